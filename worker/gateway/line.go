package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// line is one connection to a gateway that speaks HTTP/1.1. Whoever makes a call has a line to itself, writes the request
// and reads the answer. The standard library's transport serves each connection with two goroutines and reads each answer
// anew, which costs as much as everything else that a change goes through.
type line struct {
	conn  net.Conn
	raw   net.Conn // the socket below TLS
	from  *bufio.Reader
	left  io.LimitedReader // bounds what one answer may bring
	text  []byte           // of the request
	last  memory           // of the last answer
	end   [1]byte          // where what should not come would go
	used  time.Time        // when it was given back last
	clear bool             // the last answer was read to its end, and the gateway keeps the connection open
}

const (
	maxAnswer = maxHeader + maxBody + maxDrain
	readAhead = 2 << 10 // answers have some hundred bytes, header and all
)

func newLine(conn net.Conn) *line {
	l := &line{conn: conn, raw: conn, left: io.LimitedReader{R: conn}}
	if encrypted, ok := conn.(*tls.Conn); ok {
		l.raw = encrypted.NetConn()
	}
	if held, ok := l.raw.(*leased); ok {
		l.raw = held.Conn
	}
	l.from = bufio.NewReaderSize(&l.left, readAhead)
	return l
}

// call makes the call and reads the answer. The end of the context breaks it off.
func (l *line) call(ctx context.Context, until time.Time, to server, call worker.Call) (worker.Answer, error) {
	l.clear = false
	if err := l.put(to, call); err != nil {
		return worker.Answer{}, err
	}
	if err := l.conn.SetDeadline(until); err != nil {
		return worker.Answer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(past) }) // fails only where the connection is closed
	defer func() { l.clear = stop() && l.clear }()
	if _, err := l.conn.Write(l.text); err != nil {
		return worker.Answer{}, err
	}
	return l.answer(call.Session)
}

var past = time.Unix(1, 0)

func (l *line) answer(session messages.Session) (worker.Answer, error) {
	l.left.N = maxAnswer
	resp, err := l.response() //nolint:bodyclose // its Close would read all of it, however much comes
	if err != nil {
		return worker.Answer{}, err
	}
	a := read(resp, session, time.Now(), &l.last)
	_, err = resp.Body.Read(l.end[:])
	l.clear = errors.Is(err, io.EOF) && !resp.Close && l.from.Buffered() == 0
	return a, nil
}

// maxEarly is how many answers may say that the real one is still to come.
const maxEarly = 5

func (l *line) response() (*http.Response, error) {
	for range maxEarly {
		resp, err := http.ReadResponse(l.from, post)
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		if resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, errEarly
}

var (
	post       = &http.Request{Method: http.MethodPost}
	errEarly   = errors.New("too many answers that say that the real one is still to come")
	errUnclean = errors.New("the change or the session has characters that a request cannot have")
)

// put puts the request together. What comes from outside is checked where it comes in; in here a line break would be a
// second request, so it is looked at once more.
func (l *line) put(to server, call worker.Call) error {
	if !word(call.AgentID) || !word(call.Flag) || !visible(call.Session.GUID) {
		return errUnclean
	}
	b := l.text[:0]
	b = append(append(append(b, "POST "+pathHead...), call.AgentID...), pathMid...)
	b = append(append(b, call.Flag...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, to.host...), "\r\nUser-Agent: idlepolicy\r\nContent-Length: 0\r\n"+
		"Content-Type: application/json; charset=UTF-8\r\nGuid: "...)
	b = append(b, call.Session.GUID...)
	for i, cookie := range call.Session.Cookies {
		if !visible(cookie) {
			return errUnclean
		}
		b = append(append(b, [...]string{"\r\nCookie: ", "; "}[min(i, 1)]...), cookie...)
	}
	if messages.ValidTraceParent(call.TraceParent) {
		b = append(append(b, "\r\nTraceparent: "...), call.TraceParent...)
		if messages.ValidTraceState(call.TraceState) {
			b = append(append(b, "\r\nTracestate: "...), call.TraceState...)
		}
	}
	b = append(b, "\r\n\r\n"...)
	l.text = b
	return nil
}

// word tells whether s is of letters, digits, "-" and "_" only.
func word(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// visible tells whether s can stand in a header.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
