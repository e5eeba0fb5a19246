package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"idlepolicy/worker"
	"idlepolicy/worker/gateway/gatewaytest"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for host, as PEM texts. It ends after so long, which can be in the past.
func (a *authority) issue(host string, ends time.Duration) (chain, key []byte) {
	a.t.Helper()
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(ends),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	own := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.cert, own.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

func write(t *testing.T, file string, text []byte) string {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The usual mistakes with certificates are said so that an operator knows what to do, by -check and by a call alike.
func TestWrongCertificatesAreNamed(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	tests := map[string]struct {
		host string
		ends time.Duration
		set  func(c *Client)
		want string // empty: it works
	}{
		"fine":                 {"gw.example", time.Hour, func(c *Client) { c.ServerName = "gw.example" }, ""},
		"another authority":    {"gw.example", time.Hour, func(c *Client) { c.ServerName = "gw.example"; c.CA = "theirs" }, "IDLE_GATEWAY_CA"},
		"another name":         {"gw.example", time.Hour, nil, "IDLE_GATEWAY_SERVER_NAME"},
		"out of date":          {"gw.example", -time.Hour, func(c *Client) { c.ServerName = "gw.example" }, "out of date"},
		"insecure takes all":   {"gw.example", -time.Hour, func(c *Client) { c.CA = ""; c.Insecure = true }, ""},
		"system's authorities": {"gw.example", time.Hour, func(c *Client) { c.ServerName = "gw.example"; c.CA = "" }, "IDLE_GATEWAY_CA"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			chain, key := ours.issue(test.host, test.ends)
			g := start(t, gatewaytest.Options{Cert: gatewaytest.Certificate{CA: ours.pem, Chain: chain, Key: key}})
			c := open(t, g, func(c *Client) {
				if test.set != nil {
					test.set(c)
				}
				if c.CA == "theirs" {
					c.CA = write(t, filepath.Join(t.TempDir(), "theirs.pem"), theirs.pem)
				}
			})
			err := c.Check(t.Context())
			a := c.Set(t.Context(), callOf("1001", "f", g.SignIn("1001")))
			if test.want == "" {
				if err != nil || a.Class != worker.Success {
					t.Errorf("check: %v, call: %+v", err, a)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("check: %v, want %q in it", err, test.want)
			}
			if a.Class != worker.Unsound || !a.Connect || !strings.Contains(a.Fault, test.want) {
				t.Errorf("call: %+v, want %q in its fault", a, test.want)
			}
		})
	}
}

func TestGatewayWithoutTLS(t *testing.T) {
	g := start(t, gatewaytest.Options{PlainHTTP: true})
	c := open(t, g, func(c *Client) { c.Insecure = true })
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if a := c.Set(t.Context(), callOf("1001", "f", g.SignIn("1001"))); a.Class != worker.Success {
		t.Errorf("answer %+v", a)
	}
	c = open(t, g, func(c *Client) { c.URL = "https" + strings.TrimPrefix(c.URL, "http") })
	if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "does not speak TLS") {
		t.Errorf("https to a plain port: %v", err)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, "ours")
	chain, _ := a.issue("client", time.Hour)
	_, otherKey := a.issue("client", time.Hour)
	cert, key := write(t, filepath.Join(dir, "cert.pem"), chain), write(t, filepath.Join(dir, "key.pem"), otherKey)
	none := write(t, filepath.Join(dir, "none.pem"), []byte("nothing"))
	for name, test := range map[string]struct {
		c    *Client
		want string
	}{
		"no file":        {&Client{CA: filepath.Join(dir, "missing.pem")}, "missing.pem"},
		"no certificate": {&Client{CA: none}, "none.pem holds no PEM certificate"},
		"key of another": {&Client{Cert: cert, Key: key}, "client certificate"},
	} {
		test.c.URL = "https://gw:8043"
		if err := test.c.Open(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
	}
}

// The certificates on both sides are replaced while the client runs; a file that is just being written is passed over.
func TestReplacedFilesServeTheNextConnection(t *testing.T) {
	dir := t.TempDir()
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	var serves atomic.Pointer[tls.Certificate]
	var seen atomic.Pointer[string]
	serve := func(a *authority) {
		chain, key := a.issue("gw.example", time.Hour)
		pair, err := tls.X509KeyPair(chain, key)
		if err != nil {
			t.Fatal(err)
		}
		serves.Store(&pair)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(&r.TLS.PeerCertificates[0].Subject.CommonName)
		_, _ = io.WriteString(w, `{"retcode":"0"}`)
	}))
	server.TLS = &tls.Config{
		ClientAuth:     tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return serves.Load(), nil },
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	serve(first)
	server.StartTLS()
	defer server.Close()
	server.TLS.Certificates = nil

	chain, key := first.issue("one", time.Hour)
	c := &Client{
		URL: server.URL, ServerName: "gw.example", Timeout: never, Log: slog.New(slog.DiscardHandler),
		CA: write(t, filepath.Join(dir, "ca.pem"), first.pem), Cert: write(t, filepath.Join(dir, "cert.pem"), chain),
		Key: write(t, filepath.Join(dir, "key.pem"), key),
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	call := func() worker.Answer {
		c.Close() // the next call takes a new connection
		return c.Set(t.Context(), callOf("1001", "f", "guid"))
	}
	if a := call(); a.Class != worker.Success || *seen.Load() != "one" {
		t.Fatalf("answer %+v", a)
	}
	serve(second)
	if a := call(); a.Class != worker.Unsound {
		t.Fatalf("the new authority is not known yet, but %+v", a)
	}
	write(t, c.CA, []byte("half a fi"))
	if a := call(); a.Class != worker.Unsound {
		t.Fatalf("answer %+v", a)
	}
	chain, key = second.issue("two", time.Hour)
	write(t, c.CA, append(first.pem, second.pem...))
	write(t, c.Cert, chain)
	write(t, c.Key, key)
	if a := call(); a.Class != worker.Success || *seen.Load() != "two" {
		t.Errorf("answer %+v, certificate of %s", a, *seen.Load())
	}
}
