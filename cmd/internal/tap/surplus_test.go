package tap

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

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

// startRaw starts a gateway that gives each connection, with TLS or without, to serve.
func startRaw(t *testing.T, encrypted bool, serve func(conn net.Conn, under *corked)) (url string) {
	t.Helper()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if encrypted {
		cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
		writePair(t, cert, key, 1)
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	running.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = raw.Close() })
			running.Go(func() {
				defer func() { _ = raw.Close() }()
				under := &corked{Conn: raw}
				if encrypted {
					serve(tls.Server(under, config), under)
				} else {
					serve(under, under)
				}
			})
		}
	})
	t.Cleanup(func() { stop(); _ = l.Close(); running.Wait() })
	if encrypted {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// A gateway that answers twice in one segment, once for nobody: no desktop takes the surplus answer, however many wait for
// a connection, and the registry learns nothing from it.
func TestSurplusAnswerIsNobodys(t *testing.T) {
	const desktops, polls = 16, 25
	for _, encrypted := range []bool{true, false} {
		gateway := startRaw(t, encrypted, func(conn net.Conn, under *corked) {
			requests := bufio.NewReader(conn)
			for {
				r, err := http.ReadRequest(requests)
				if err != nil {
					return
				}
				under.cork = true
				for _, agent := range []string{strings.TrimPrefix(r.URL.Path, "/agentgateway/resource/agentevent/"), "surplus"} {
					body := `{"retcode":"0","message":"` + agent + `"}`
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nSet-GUID: of-"+agent+"\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
						return
					}
				}
				if under.uncork() != nil {
					return
				}
			}
		})
		tap := httptest.NewServer(newProxy(t, gateway))
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: desktops}}
		var wrong, right atomic.Int32
		var running sync.WaitGroup
		for n := range desktops {
			running.Go(func() {
				for i := range polls {
					agent := strconv.Itoa(1001 + n*polls + i)
					resp, err := client.Get(tap.URL + "/agentgateway/resource/agentevent/" + agent)
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					switch {
					case err == nil && strings.Contains(string(body), agent) && resp.Header.Get("Set-Guid") == "of-"+agent:
						right.Add(1)
					case resp.StatusCode != http.StatusBadGateway:
						wrong.Add(1)
					}
				}
			})
		}
		running.Wait()
		if wrong.Load() > 0 || right.Load() < desktops*polls/2 {
			t.Errorf("TLS %t: of %d requests %d were answered as theirs, and %d took an answer that was not", encrypted, desktops*polls, right.Load(), wrong.Load())
		}
		client.CloseIdleConnections()
		tap.Close()
	}
}
