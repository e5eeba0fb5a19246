package status

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer takes what several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// mostLines is how many lines of one kind are right, however slow this machine is.
func mostLines(began time.Time) int { return 1 + int(time.Since(began)/logAgain) }

// Whoever reaches the server cannot fill its log, however many requests of theirs are refused.
func TestRefusedRequestsDoNotFillTheLog(t *testing.T) {
	s := newStage()
	s.withAPI(t)
	var out lockedBuffer
	s.server.Log = slog.New(slog.NewTextHandler(&out, nil))
	s.server.Actions = &Actions{Token: "right"}
	s.open(t)
	began := time.Now()
	for i := range 50 {
		s.do(t, "POST", "/api/changes", strings.NewReader("{}"), "Authorization", fmt.Sprintf("Bearer wrong-%d", i))
		s.do(t, "POST", "/api/changes", strings.NewReader("{}"))
		s.do(t, "POST", "/actions/pause", strings.NewReader("token=wrong"), "Content-Type", "application/x-www-form-urlencoded")
	}
	for _, kind := range []string{"the token is not known", "Authorization: missing", "wrong token"} {
		if n := strings.Count(out.String(), kind); n == 0 || n > mostLines(began) {
			t.Errorf("%d lines of %q", n, kind)
		}
	}
	if strings.Contains(out.String(), "wrong-") {
		t.Error("the log shows a token")
	}
}

// The same goes for connections that the HTTP library reports.
func TestBadHandshakesDoNotFillTheLog(t *testing.T) {
	s := newStage()
	var out lockedBuffer
	s.server.Log = slog.New(slog.NewTextHandler(&out, nil))
	s.server.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none") }}
	s.open(t)
	began := time.Now()
	for range 50 {
		conn, err := net.Dial("tcp", s.server.Address())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte("\x16 this is not a handshake of TLS\r\n\r\n"))
		_, _ = io.ReadAll(conn) // until the server has logged it and closed the connection
		conn.Close()
	}
	if n := strings.Count(out.String(), "HTTP connection"); n == 0 || n > mostLines(began) {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}

func TestSeldomSaysWhatItLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log, s := slog.New(slog.NewTextHandler(&out, nil)), seldom{}
		for range 150 {
			s.warn(log, "a", "first")
			s.warn(log, "b", "second")
			time.Sleep(time.Second)
		}
		var left []string
		for line := range strings.Lines(out.String()) {
			_, what, _ := strings.Cut(strings.TrimSpace(line), "msg=")
			left = append(left, what)
		}
		want := "first not_logged_before=0, second not_logged_before=0, first not_logged_before=59, second not_logged_before=59, " +
			"first not_logged_before=59, second not_logged_before=59"
		if got := strings.Join(left, ", "); got != want {
			t.Errorf("logged %s", got)
		}
	})
}
