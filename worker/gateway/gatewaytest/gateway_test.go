package gatewaytest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

const success = `{"result": {}, "message": "success", "retcode": "0"}`

// bench is a gateway and a client of it.
type bench struct {
	*gatewaytest.Gateway
	client *http.Client
	guids  map[string]string
}

func start(t *testing.T, o gatewaytest.Options) *bench {
	t.Helper()
	g, err := gatewaytest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return &bench{Gateway: g, guids: map[string]string{}, client: clientOf(t, g, o)}
}

// clientOf makes a client that speaks as the options say and has no connections yet.
func clientOf(t *testing.T, g *gatewaytest.Gateway, o gatewaytest.Options) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !o.PlainHTTP && !pool.AppendCertsFromPEM(g.CA()) {
		t.Fatal("no CA")
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!o.HTTP2)
	protocols.SetHTTP2(o.HTTP2)
	protocols.SetUnencryptedHTTP2(o.HTTP2 && o.PlainHTTP)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// signIn signs agents in and remembers their GUIDs for calls.
func (b *bench) signIn(agents ...string) {
	for _, agent := range agents {
		b.guids[agent] = b.SignIn(agent)
	}
}

func path(agent, flag string) string {
	return "/agentgateway/resource/onlineagent/" + agent + "/autoenteridle/" + flag
}

// answer is what a call came to.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (b *bench) send(ctx context.Context, method, path string, header http.Header) (a answer) {
	r, err := http.NewRequestWithContext(ctx, method, b.URL()+path, http.NoBody)
	if err != nil {
		return answer{err: err}
	}
	r.Header = header
	resp, err := b.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// set makes the one call, with the agent's GUID.
func (b *bench) set(ctx context.Context, agent, flag string) answer {
	return b.send(ctx, http.MethodPost, path(agent, flag), http.Header{"Guid": {b.guids[agent]}})
}

// code returns the retcode that is quoted in an answer.
func (a answer) code() string {
	_, rest, _ := strings.Cut(a.body, `"retcode": "`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// until waits for something that another goroutine brings about. It ends with the test's own time limit.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func wantFlag(t *testing.T, b *bench, agent, want string) {
	t.Helper()
	if flag, ok := b.Flag(agent); flag != want || ok != (want != "") {
		t.Errorf("the flag of %s is %q, want %q", agent, flag, want)
	}
}

func TestProtocols(t *testing.T) {
	for name, test := range map[string]struct {
		options gatewaytest.Options
		proto   string
		scheme  string
	}{
		"HTTP/1.1 over TLS": {gatewaytest.Options{}, "HTTP/1.1", "https://"},
		"HTTP/2 over TLS":   {gatewaytest.Options{HTTP2: true}, "HTTP/2.0", "https://"},
		"plain HTTP/1.1":    {gatewaytest.Options{PlainHTTP: true}, "HTTP/1.1", "http://"},
		"plain HTTP/2":      {gatewaytest.Options{PlainHTTP: true, HTTP2: true}, "HTTP/2.0", "http://"},
		"IPv6 or a port":    {gatewaytest.Options{Addr: "localhost:0"}, "HTTP/1.1", "https://"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, test.options)
			b.signIn("1001")
			if a := b.set(t.Context(), "1001", "false"); a.status != 200 || a.body != success || a.header.Get("Content-Type") != "application/json;charset=UTF-8" {
				t.Errorf("got %+v", a)
			}
			wantFlag(t, b, "1001", "false")
			if c := b.Calls()[0]; c.Proto != test.proto || !strings.HasPrefix(b.URL(), test.scheme) {
				t.Errorf("got %s at %s", c.Proto, b.URL())
			}
		})
	}
}

func TestCertificateNames(t *testing.T) {
	b := start(t, gatewaytest.Options{Names: []string{"gateway.example", "192.0.2.7"}})
	file, err := b.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	for name, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "localhost": true, "gateway.example": true, "192.0.2.7": true, "other.example": false,
	} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(b.URL(), "https://"), &tls.Config{RootCAs: pool, ServerName: name})
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestGivenCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, selfSigned, selfSigned, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	b := start(t, gatewaytest.Options{Cert: gatewaytest.Certificate{
		CA: chain, Chain: chain, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}})
	b.signIn("1001")
	if a := b.set(t.Context(), "1001", "false"); a.code() != "0" {
		t.Errorf("got %+v", a)
	}
	if _, err := gatewaytest.Start(gatewaytest.Options{Cert: gatewaytest.Certificate{Chain: chain}}); err == nil {
		t.Error("started without a key")
	}
}

var selfSigned = &x509.Certificate{
	SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
}

func TestCloseEndsEverything(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001", "1002")
	b.On("1001", gatewaytest.Rule{Fault: gatewaytest.Hang})
	b.On("1002", gatewaytest.Rule{LandAfter: time.Hour})
	ended := make(chan answer, 2)
	for _, agent := range []string{"1001", "1002"} {
		go func() { ended <- b.set(context.Background(), agent, "false") }()
	}
	until(t, "both calls arrive", func() bool { return b.NumCalls() == 2 })
	b.Close()
	for range 2 {
		if a := <-ended; a.err == nil {
			t.Errorf("answered: %+v", a)
		}
	}
	b.Close() // again does nothing
	var refused *net.OpError
	if a := b.set(t.Context(), "1001", "false"); !errors.As(a.err, &refused) {
		t.Errorf("got %+v", a)
	}
	if n := len(b.Calls()); n != 2 {
		t.Errorf("%d calls are still on record, want 2", n)
	}
}
