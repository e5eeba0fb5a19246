package natstest

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Raw is a connection to a server without a client library: it sends header blocks that clients refuse to send.
type Raw struct {
	tb   testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// DialRaw connects to a server without TLS.
func DialRaw(tb testing.TB, address string) *Raw {
	tb.Helper()
	u, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	var d net.Dialer
	conn, err := d.DialContext(tb.Context(), "tcp", u.Host)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	r := &Raw{tb, conn, bufio.NewReader(conn)}
	r.send(`CONNECT {"headers":true,"verbose":false,"no_responders":true}` + "\r\n")
	return r
}

// For returns the same connection for another test, such as one run of a fuzz target.
func (r *Raw) For(tb testing.TB) *Raw {
	tb.Helper()
	same := *r
	same.tb = tb
	return &same
}

// Publish publishes a message with that header block, and returns once the server has read it.
func (r *Raw) Publish(subject, block, body string) {
	r.tb.Helper()
	_ = r.conn.SetDeadline(time.Now().Add(Patience)) // never fails for TCP
	r.send(fmt.Sprintf("HPUB %s %d %d\r\n%s%s\r\nPING\r\n", subject, len(block), len(block)+len(body), block, body))
	for {
		line, err := r.in.ReadString('\n')
		if err != nil {
			r.tb.Fatalf("publish on %s: %v", subject, err)
		}
		switch line = strings.TrimSpace(line); {
		case line == "PONG":
			return
		case line == "PING":
			r.send("PONG\r\n")
		case strings.HasPrefix(line, "-ERR"):
			r.tb.Fatalf("publish on %s: %s", subject, line)
		}
	}
}

func (r *Raw) send(text string) {
	r.tb.Helper()
	if _, err := r.conn.Write([]byte(text)); err != nil {
		r.tb.Fatal(err)
	}
}
