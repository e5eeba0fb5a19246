package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"idlepolicy/worker"
)

// rawServer accepts TLS connections and gives each to serve, which returns when its connection is closed.
func rawServer(t *testing.T, serve func(conn net.Conn, under *corked)) *Client {
	t.Helper()
	chain, key := newAuthority(t, "ours").issue("gw.example", time.Hour)
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = raw.Close() }()
				under := &corked{Conn: raw}
				serve(tls.Server(under, config), under)
			})
		}
	})
	c := &Client{URL: "https://" + l.Addr().String(), Timeout: never, Insecure: true}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the client's connections end before the server waits for them
		_ = l.Close()
		c.Close()
		running.Wait()
	})
	return c
}

// corked is the socket below TLS. While it is corked it keeps what is written, so that several records go out in one segment.
type corked struct {
	net.Conn
	cork bool
	kept []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if c.cork {
		c.kept = append(c.kept, b...)
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *corked) uncork() error {
	_, err := c.Conn.Write(c.kept)
	c.cork, c.kept = false, nil
	return err
}

func answerOf(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// A gateway that answers twice in one segment, once with success and for nobody: no call takes the surplus answer, however
// many wait for a connection.
func TestSurplusAnswerBelongsToNoAgent(t *testing.T) {
	for name, records := range map[string]int{"one record": 1, "a record each": 2} {
		for callers, calls := range map[int]int{1: 20, 16: 30} {
			t.Run(name+" to "+strconv.Itoa(callers), func(t *testing.T) {
				c := rawServer(t, func(conn net.Conn, under *corked) { answerTwice(conn, under, records) })
				var wrong atomic.Int32
				var running sync.WaitGroup
				for n := range callers {
					running.Go(func() {
						for i := range calls {
							agent := strconv.Itoa(1000 + 100*n + i)
							a := c.Set(t.Context(), callOf(agent, "false", "guid"))
							if a.Class == worker.Success || a.Message != "" && a.Message != agent {
								wrong.Add(1)
							}
						}
					})
				}
				running.Wait()
				if n := wrong.Load(); n > 0 {
					t.Errorf("%d of %d calls took an answer that was not theirs", n, callers*calls)
				}
			})
		}
	}
}

// What came unasked is not quoted in the log of the process: it may be the header with an agent's next GUID.
func TestSurplusAnswerIsNotLogged(t *testing.T) {
	DropQuotes() // so that Open does not
	var text bytes.Buffer
	before := log.Writer()
	defer log.SetOutput(before)
	log.SetOutput(unquoted{&text})
	c := rawServer(t, func(conn net.Conn, under *corked) { answerTwice(conn, under, 1) })
	for range 20 {
		c.Set(t.Context(), callOf("1001", "false", "guid"))
	}
	log.Print("another line")
	if lines := strings.Count(text.String(), "\n"); lines != 1 || !strings.Contains(text.String(), "another line") {
		t.Errorf("the log says %q", text.String())
	}
}

// answerTwice answers each request as its agent's, and with a success for nobody behind it.
func answerTwice(conn net.Conn, under *corked, records int) {
	requests := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		agent := strings.Split(r.URL.Path, "/")[4]
		texts := []string{answerOf(`{"retcode":"100-009","message":"` + agent + `"}`), answerOf(`{"retcode":"0","message":"surplus"}`)}
		if records == 1 {
			texts = []string{texts[0] + texts[1]}
		}
		under.cork = true
		for _, text := range texts {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
		if under.uncork() != nil {
			return
		}
	}
}

// A connection that changed its protocol serves no further call, and the call does not wait for its end.
func TestSwitchedProtocol(t *testing.T) {
	var connections atomic.Int32
	c := rawServer(t, func(conn net.Conn, _ *corked) {
		connections.Add(1)
		requests := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(requests); err != nil {
				return
			}
			if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"); err != nil {
				return
			}
		}
	})
	for range 2 {
		if a := c.Set(t.Context(), callOf("1001", "false", "guid")); a.Class != worker.Unsound || !strings.Contains(a.Fault, "101") {
			t.Errorf("answer %+v", a)
		}
	}
	if n := connections.Load(); n != 2 {
		t.Errorf("%d connections for two calls", n)
	}
}
