package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/gateway/guard"
)

const (
	// maxBody is many times the size of the gateway's answers; anything longer is another server's page.
	maxBody = 64 << 10
	// maxKept is the largest buffer for bodies that is kept.
	maxKept = 4 << 10
	// maxDrain is how much of an answer is read only to reuse its connection: beyond that, a new one is cheaper.
	maxDrain = 256 << 10
	// A return code has 7 characters. The text must fit into the header of a dead letter beside everything else.
	maxRetcode = 64
	maxMessage = 4 << 10
	// maxRetryAfter keeps what a proxy asks for from overflowing. The gate decides how long it waits.
	maxRetryAfter = 24 * time.Hour
)

// read turns a response into an Answer. The body is read, bounded, so that the connection serves the next call.
func (c *Client) read(resp *http.Response, session messages.Session, now time.Time) (worker.Answer, error) {
	a := worker.Answer{Status: resp.StatusCode}
	switch resp.StatusCode {
	case http.StatusOK:
		s, err := c.understand(resp.Body)
		if err != nil {
			return a, fmt.Errorf("the answer broke off: %w", err)
		}
		if s.fault == "" && !c.proven.Load() && resp.Request.URL.Host == c.home.host {
			c.proven.Store(true)
		}
		return s.verdict(a, session), nil
	case http.StatusUnauthorized, http.StatusForbidden:
		// The gateway's own JSON with one of these is about this agent's session. A page applies to all agents.
		if s, err := c.understand(resp.Body); err == nil && s.fault == "" && classOf(s.retcode) != worker.Success {
			a = s.verdict(a, session)
			a.Class = worker.NoAgent
			return a, nil
		}
		return c.notOurs(a, resp), nil
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		a.Class, a.RetryAfter = worker.Busy, retryAfter(resp.Header, now)
		a.Fault = "HTTP status " + strconv.Itoa(resp.StatusCode) + ": the gateway, or a proxy before it, asks for fewer calls"
	case http.StatusSwitchingProtocols:
		return c.notOurs(a, resp), nil // its body is the connection, which has no end
	case http.StatusBadRequest:
		return c.refusedByProxy(a, resp), nil
	default:
		a = c.notOurs(a, resp)
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain) // only for the sake of the connection
	return a, nil
}

// notOurs explains an answer that is not the gateway's own. An address that the gateway has answered at is right.
func (c *Client) notOurs(a worker.Answer, resp *http.Response) worker.Answer {
	if a.Status >= 300 && a.Status < 400 {
		return unsound(a, fmt.Sprintf("HTTP status %d: a redirect, which is not followed: IDLE_GATEWAY_URL must be the gateway's own address, scheme and port", a.Status))
	}
	why := fmt.Sprintf("HTTP status %d: not the gateway's own answer", a.Status)
	if !c.proven.Load() || resp.Request.URL.Host != c.home.host {
		why += "; is its address right?"
	}
	return unsound(a, why)
}

// refusedByProxy explains a status 400 of a proxy by its text.
func (c *Client) refusedByProxy(a worker.Answer, resp *http.Response) worker.Answer {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxDrain))
	switch {
	case bytes.Contains(text, []byte("SSL certificate")): // "No required SSL certificate was sent", "The SSL certificate error"
		return unsound(a, "HTTP status 400: "+demandsCertificate)
	case bytes.Contains(text, []byte("HTTP request")) && bytes.Contains(text, []byte("HTTPS")): // "… was sent to HTTPS port", "… to an HTTPS server"
		return unsound(a, "HTTP status 400: the gateway speaks TLS at this address; IDLE_GATEWAY_URL must begin with https")
	}
	return c.notOurs(a, resp)
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// understand reads and parses a body. Nearly all of the gateway's answers are the same bytes, so the last one is cached. It reads one
// byte more than it accepts, so that it recognises a body that is too long.
func (c *Client) understand(from io.Reader) (*parsed, error) {
	b, _ := bodies.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= maxKept {
			bodies.Put(b)
		}
	}()
	b.Reset()
	if _, err := b.ReadFrom(io.LimitReader(from, maxBody+1)); err != nil {
		return nil, err
	}
	if last := c.last.Load(); last != nil && bytes.Equal(b.Bytes(), last.body) {
		return last, nil
	}
	s := understand(bytes.Clone(b.Bytes()))
	c.last.Store(&s)
	return &s, nil
}

func unsound(a worker.Answer, why string) worker.Answer {
	a.Class, a.Fault = worker.Unsound, why
	return a
}

// parsed is a body that was parsed.
type parsed struct {
	body             []byte
	retcode, message string
	fault            string // why it is not the gateway's own answer; empty: it is
}

// understand parses the gateway's own JSON: the return code as a string or a number, and the message if there is one. It ignores
// result, which differs between versions.
func understand(body []byte) parsed {
	var fields map[string]json.RawMessage // a struct would take "Retcode" for the retcode as well
	if len(body) > maxBody || json.Unmarshal(asUTF8(unpacked(body)), &fields) != nil {
		return parsed{body: body, fault: "an answer without the gateway's JSON: is its address right?"}
	}
	retcode, err := readRetcode(fields["retcode"])
	if err != nil {
		return parsed{body: body, fault: "the gateway's JSON has " + err.Error()}
	}
	s := parsed{body: body, retcode: retcode}
	_ = json.Unmarshal(fields["message"], &s.message) // not stable, and only for people: none is as good
	s.message = cut(s.message, maxMessage+maxSecret)  // so that none is cut in two before it is concealed
	return s
}

// unpacked decompresses a body that a proxy has compressed with gzip unasked, with or without a header that says so.
func unpacked(body []byte) []byte {
	if !bytes.HasPrefix(body, []byte("\x1f\x8b")) {
		return body
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxBody))
	if err != nil {
		return body
	}
	return plain
}

// asUTF8 returns a body without byte order marks, and as UTF-8 if it is in GBK as some versions write it. In GBK the second byte of a
// character may be a backslash, which would escape the quote behind it.
func asUTF8(body []byte) []byte {
	for bytes.HasPrefix(body, bom) {
		body = body[len(bom):]
	}
	if utf8.Valid(body) {
		return body
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return text
}

var bom = []byte("\ufeff")

func (s *parsed) verdict(a worker.Answer, session messages.Session) worker.Answer {
	if s.fault != "" {
		return unsound(a, s.fault)
	}
	a.Class, a.Retcode = classOf(s.retcode), conceal(s.retcode, session)
	a.Message = cut(conceal(s.message, session), maxMessage)
	return a
}

var (
	errNoRetcode  = errors.New("no retcode")
	errBadRetcode = errors.New("a retcode that is neither a short text nor a number")
)

// readRetcode parses both forms of a return code.
func readRetcode(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", errNoRetcode
	}
	var number json.Number
	var text string
	if json.Unmarshal(raw, &text) != nil {
		if json.Unmarshal(raw, &number) != nil {
			return "", errBadRetcode
		}
		text = number.String()
	}
	if text == "" || len(text) > maxRetcode {
		return "", errBadRetcode
	}
	return text, nil
}

// inWords describes an error without anything that was received. The library quotes lines that it cannot parse, and one of them may be
// the header with the agent's next GUID.
func inWords(err error) string {
	var dial *dialError
	var socket *net.OpError
	switch {
	case errors.As(err, &dial):
		return dial.Error()
	case errors.As(err, &socket):
		return socket.Error()
	case errors.Is(err, guard.ErrUnasked):
		return guard.ErrUnasked.Error()
	case errors.Is(err, context.Canceled):
		return "the call was broken off"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.HasSuffix(err.Error(), "server closed idle connection"),
		strings.HasPrefix(err.Error(), "http2: client conn"): // as the library calls the ends of a connection
		return "the gateway closed the connection before its answer was complete"
	}
	return "what came is not an answer of HTTP that can be read"
}

// cut returns at most n bytes of s, without half a character at the end.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// conceal removes a session's credentials from a text that the gateway sent, because it may quote the request.
func conceal(text string, session messages.Session) string {
	if len(text) < leastSecret {
		return text
	}
	text = without(text, session.GUID)
	for _, cookie := range session.Cookies {
		_, value, _ := strings.Cut(cookie, "=")
		text = without(text, value)
	}
	return text
}

func without(text, secret string) string {
	if len(secret) < leastSecret {
		return text
	}
	return strings.ReplaceAll(text, secret, "***")
}

// maxSecret is more than any credential of a session has.
const maxSecret = 8 << 10

// leastSecret is the least length of a text that is taken for a secret: replacing every "1" would garble any message.
const leastSecret = 6

// retryAfter parses Retry-After: seconds, or an instant, which is compared with the sender's own clock if the answer has a Date. 0:
// there is none, or it has passed.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
		return min(time.Duration(min(seconds, maxRetryAfter.Seconds())*float64(time.Second)), maxRetryAfter)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return min(max(0, until.Sub(now)), maxRetryAfter)
}
