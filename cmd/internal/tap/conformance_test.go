package tap

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// echo is a gateway that answers whatever the request's X-Seed says, and remembers what came.
type echo struct {
	mu   sync.Mutex // guards came
	came map[string]string
}

// hopByHop are the headers that belong to one connection, with those that net/http writes itself for it.
var hopByHop = []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "Content-Length", "Expect"}

func text(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !slices.Contains(hopByHop, name) {
			fmt.Fprintf(&b, "%s: %q\n", name, h[name])
		}
	}
	return b.String()
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	came := fmt.Sprintf("%s %s\nhost %s\n%sbody %d %q (%v)\ntrailer %s", r.Method, r.RequestURI, r.Host, text(r.Header), r.ContentLength, body, err, text(r.Trailer))
	e.mu.Lock()
	e.came[r.Header.Get("X-Try")] = came
	e.mu.Unlock()
	var seed uint64
	_, _ = fmt.Sscan(r.Header.Get("X-Seed"), &seed)
	answer(w, r, rand.New(rand.NewPCG(seed, 7)))
}

// answer writes a random answer.
func answer(w http.ResponseWriter, r *http.Request, random *rand.Rand) {
	h := w.Header()
	for range random.IntN(4) {
		h.Add("X-Answer", randomText(random, 20))
	}
	if random.IntN(2) == 0 {
		h.Add("Set-Cookie", "node=7; Path=/")
		h.Add("Set-Cookie", "other="+strconv.Itoa(random.IntN(1000)))
	}
	switch random.IntN(3) {
	case 0:
		h["Content-Type"] = nil // none at all
	case 1:
		h.Set("Content-Type", "application/json; charset=UTF-8") // is looked at, if the agent is known
	}
	if random.IntN(3) == 0 {
		h["Date"] = nil
	} else {
		h.Set("Date", "Sun, 29 Nov 2026 12:00:00 GMT")
	}
	if random.IntN(4) == 0 {
		h.Set("Content-Encoding", "gzip")
	}
	status := []int{200, 200, 201, 204, 301, 304, 400, 401, 404, 500, 503}[random.IntN(11)]
	body := make([]byte, []int{0, 1, 60, 5000, 200_000}[random.IntN(5)])
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	if random.IntN(3) == 0 {
		n := copy(body, `{"retcode": "100-006"}`)
		copy(body[n:], bytes.Repeat([]byte{' '}, len(body)))
	}
	trailer := random.IntN(3) == 0 && len(body) > 0 && r.Method != http.MethodHead && status != 204 && status != 304
	if trailer { // HTTP/1 and HTTP/2 differ where there is no body
		h.Set("Trailer", "X-After")
	}
	if status == 204 || status == 304 {
		w.WriteHeader(status)
		return
	}
	if random.IntN(2) == 0 && !trailer {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	for len(body) > 0 {
		n := min(len(body), 1+random.IntN(70_000))
		_, _ = w.Write(body[:n])
		body = body[n:]
		if random.IntN(3) == 0 {
			_ = http.NewResponseController(w).Flush()
		}
	}
	if trailer {
		h.Set("X-After", "the end")
	}
}

func randomText(random *rand.Rand, most int) string {
	b := make([]byte, random.IntN(most))
	for i := range b {
		b[i] = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCxyz[\\]^_`{|}~"[random.IntN(49)]
	}
	return strings.TrimSpace(string(b))
}

// randomPath has what proxies like to change: escapes, dots, doubled slashes, unusual characters.
func randomPath(random *rand.Rand) string {
	parts := []string{
		"agentgateway", "resource", "onlineagent", "1001", "a%2Fb", "a%2fb", "%41", "ä", "%C3%A4", "a+b", "a%20b", "..", ".", "", "x;y=z", "a|b", "{c}", "^", "a'b", "~", "*", "a:b@c", "%00", "forcelogin",
	}
	var names []string
	for range 1 + random.IntN(6) {
		names = append(names, parts[random.IntN(len(parts))])
	}
	path := "/" + strings.Join(names, "/")
	if strings.HasPrefix(path, "//") {
		path = "/x" + path
	}
	switch random.IntN(4) {
	case 0:
		path += "?"
	case 1:
		path += "?a=1&a=2&b=%zz;c&d=%20+" + url.QueryEscape(randomText(random, 10))
	}
	return path
}

// send sends the random request of a seed and returns all that came back.
func send(t *testing.T, client *http.Client, base string, seed uint64, try string) string {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	method := []string{"GET", "GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "PROPFIND"}[random.IntN(9)]
	var body io.Reader = http.NoBody
	length := int64(0)
	if n := []int{0, 0, 1, 100, 100_000}[random.IntN(5)]; n > 0 && method != "HEAD" {
		data := bytes.Repeat([]byte{byte(random.Uint32())}, n)
		body, length = bytes.NewReader(data), int64(n)
		if random.IntN(2) == 0 {
			body, length = io.MultiReader(body), -1 // chunked
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = length
	r.URL.Opaque = randomPath(random)
	r.Host = []string{"gateway.example", "gateway.example:8043", "10.0.0.7"}[random.IntN(3)]
	r.Header = http.Header{"X-Seed": {strconv.FormatUint(seed, 10)}, "X-Try": {try}}
	for _, name := range []string{
		"Guid", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Via", "User-Agent", "Accept-Encoding", "Authorization", "X-Twice",
		"Cache-Control", "Content-Encoding", "Content-Type", "Referer", "Origin", "Range",
	} {
		if random.IntN(2) == 0 {
			r.Header.Add(name, strings.TrimSpace("of-the-desktop "+randomText(random, 10)))
		}
	}
	if random.IntN(2) == 0 {
		r.Header.Set("Guid", knownGUID)
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header["User-Agent"] = []string{""} // net/http adds none
	}
	r.Header.Add("X-Twice", "again")
	r.Header.Add("X-Empty", "")
	if random.IntN(2) == 0 {
		r.Header.Add("Cookie", "a=b; node=7")
	}
	if length < 0 && random.IntN(2) == 0 {
		r.Trailer = http.Header{"X-Sum": {"1234"}}
	}
	if length != 0 && random.IntN(3) == 0 {
		r.Header.Set("Expect", "100-continue")
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d\n%sbody %q (%v)\ntrailer %s", resp.StatusCode, text(resp.Header), got, err, text(resp.Trailer))
}

func startEcho(t *testing.T, http2 bool) (*echo, *httptest.Server) {
	t.Helper()
	e := &echo{came: map[string]string{}}
	s := httptest.NewUnstartedServer(e)
	s.EnableHTTP2 = http2
	s.Config.DisableGeneralOptionsHandler = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return e, s
}

// knownGUID is the current GUID of an agent, whose answers are looked at.
const knownGUID = "known"

// startProxy puts a tap before a gateway and returns its address. Agent 1001 is signed in.
func startProxy(t *testing.T, gateway string, http2 bool) *httptest.Server {
	t.Helper()
	p := newProxy(t, gateway)
	p.Registry.Learn(signedIn("1001", knownGUID))
	s := httptest.NewUnstartedServer(p)
	s.EnableHTTP2 = http2
	s.Config.DisableGeneralOptionsHandler = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func newProxy(t *testing.T, gateway string) *Proxy {
	t.Helper()
	at, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	registry := NewRegistry(newMemory(), time.Minute)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); registry.Run(ctx) }()
	files := &Files{}
	transport := Upstream{Timeout: time.Minute, Insecure: true, Files: files}.Transport()
	t.Cleanup(func() { transport.CloseIdleConnections(); stop(); <-over })
	return &Proxy{Gateway: at, Transport: transport, Registry: registry, Metrics: NewMetrics(""), Log: registry.Log}
}

func clientFor(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols, DisableCompression: true, ExpectContinueTimeout: time.Second,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// The same requests, sent both ways, arrive and come back the same.
func TestConformance(t *testing.T) {
	for _, desktopHTTP2 := range []bool{false, true} {
		for _, gatewayHTTP2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("desktop HTTP/2 %t, gateway HTTP/2 %t", desktopHTTP2, gatewayHTTP2), func(t *testing.T) {
				e, gateway := startEcho(t, gatewayHTTP2)
				_, direct := e, gateway
				if desktopHTTP2 != gatewayHTTP2 { // the same handler, spoken to as the desktop speaks
					direct = httptest.NewUnstartedServer(e)
					direct.EnableHTTP2 = desktopHTTP2
					direct.Config.DisableGeneralOptionsHandler = true
					direct.StartTLS()
					t.Cleanup(direct.Close)
				}
				tap, client := startProxy(t, gateway.URL, desktopHTTP2), clientFor(t, desktopHTTP2)
				for seed := range uint64(100) {
					want := send(t, client, direct.URL, seed, "direct")
					got := send(t, client, tap.URL, seed, "tap")
					if got != want {
						t.Fatalf("seed %d: the answer through the tap is\n%.2000s\nand directly\n%.2000s", seed, got, want)
					}
					e.mu.Lock()
					want, got = e.came["direct"], strings.Replace(e.came["tap"], `X-Try: ["tap"]`, `X-Try: ["direct"]`, 1)
					e.mu.Unlock()
					if got != want {
						t.Fatalf("seed %d: through the tap there came\n%.2000s\nand directly\n%.2000s", seed, got, want)
					}
				}
			})
		}
	}
}

// Not a header more than the desktop sent goes out, byte for byte.
func TestNothingIsAdded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	came := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		came <- string(b[:n])
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok")
	}()
	tap := httptest.NewServer(newProxy(t, "http://"+l.Addr().String()))
	t.Cleanup(tap.Close)
	conn, err := net.Dial("tcp", tap.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	request := "DELETE /a%2fb|c?x=%zz;y HTTP/1.1\r\nHost: gateway.example:8043\r\nContent-Length: 0\r\nGuid: g1\r\n\r\n"
	_, _ = io.WriteString(conn, request)
	if got := <-came; got != request {
		t.Errorf("there came\n%q\nwant\n%q", got, request)
	}
	b := make([]byte, 4096)
	n, _ := bufio.NewReader(conn).Read(b)
	if want := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nok"; string(b[:n]) != want {
		t.Errorf("the answer is %q, want %q", b[:n], want)
	}
}
