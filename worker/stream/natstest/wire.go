package natstest

import (
	"bufio"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Wire plays just enough of a NATS server for a client to connect to it, asks for a signature, and keeps all that clients send.
// It speaks no TLS, so that what it keeps is what anybody on the way could read.
type Wire struct {
	URL string

	version string

	mu    sync.Mutex // guards what follows
	heard strings.Builder
	conns []net.Conn
}

// StartWire listens until the test is over.
func StartWire(tb testing.TB) *Wire {
	tb.Helper()
	return StartWireOf(tb, "2.15.2")
}

// StartWireOf is StartWire for a server that says it is of this version.
func StartWireOf(tb testing.TB, version string) *Wire {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends with the test
	if err != nil {
		tb.Fatal(err)
	}
	w := &Wire{URL: "nats://" + l.Addr().String(), version: version}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.conns = append(w.conns, conn)
			w.mu.Unlock()
			wg.Go(func() { w.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close() // the error is that of a listener that is closed already
		w.Cut()
		wg.Wait()
	})
	return w
}

const info = `INFO {"server_id":"WIRE","server_name":"wire","version":"VERSION","go":"go","host":"127.0.0.1","port":4222,"headers":true,` +
	`"max_payload":1048576,"proto":1,"auth_required":true,"nonce":"c29tZXRoaW5nLXRvLXNpZ24"}` + "\r\n"

func (w *Wire) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.Replace(info, "VERSION", w.version, 1))); err != nil {
		return
	}
	for lines := bufio.NewReader(conn); ; {
		line, err := lines.ReadString('\n')
		w.mu.Lock()
		w.heard.WriteString(line)
		w.mu.Unlock()
		if strings.HasPrefix(line, "PING") && err == nil {
			_, err = conn.Write([]byte("PONG\r\n"))
		}
		if err != nil {
			return
		}
	}
}

// Heard returns all that clients have sent so far.
func (w *Wire) Heard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.heard.String()
}

// Connections returns how many there were so far.
func (w *Wire) Connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

// Cut closes all connections.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close() // the client may have closed it
	}
}

// WriteCredentials writes a user's credentials as nsc does, and returns the JWT and the seed that are in the file.
func WriteCredentials(tb testing.TB, file string) (token, seed string) {
	tb.Helper()
	account, err := nkeys.CreateAccount()
	if err != nil {
		tb.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		tb.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		tb.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	claims.Expires = time.Now().Add(time.Hour).Unix()
	if token, err = claims.Encode(account); err != nil {
		tb.Fatal(err)
	}
	secret, err := user.Seed()
	if err != nil {
		tb.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(token, secret)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return token, string(secret)
}

// Damaged returns the ways in which credentials get damaged that make the NATS client send the seed, by name.
func Damaged(token, seed string) map[string]string {
	const (
		beginJWT, endJWT   = "-----BEGIN NATS USER JWT-----\n", "------END NATS USER JWT------\n"
		beginSeed, endSeed = "-----BEGIN USER NKEY SEED-----\n", "------END USER NKEY SEED------\n"
	)
	return map[string]string{
		"only a seed":                    seed + "\n",
		"only a seed, decorated":         beginSeed + seed + "\n" + endSeed,
		"a blank line before END":        beginJWT + token + "\n\n" + endJWT + "\n" + beginSeed + seed + "\n" + endSeed,
		"blank lines before both ENDs":   beginJWT + token + "\n\n" + endJWT + "\n" + beginSeed + seed + "\n\n" + endSeed,
		"no JWT between its lines":       beginJWT + endJWT + "\n" + beginSeed + seed + "\n" + endSeed,
		"the seed where the JWT belongs": beginJWT + seed + "\n" + endJWT + "\n" + beginSeed + seed + "\n" + endSeed,
		"JWT and seed without lines":     token + "\n" + seed + "\n",
		"cut off in the JWT":             beginJWT + token[:len(token)/2] + "\n",
		"cut off before the last line":   beginJWT + token + "\n" + endJWT + "\n" + beginSeed + seed,
		"an account's seed":              beginJWT + token + "\n" + endJWT + "\n" + beginSeed + "SA" + seed[2:] + "\n" + endSeed,
	}
}
