package gateway

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker"
)

// tlsServer serves successes with a TLS set-up of its own.
func tlsServer(t *testing.T, config *tls.Config) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"retcode":"0"}`) }))
	s.TLS, s.Config.ErrorLog = config, log.New(io.Discard, "", 0)
	s.EnableHTTP2 = len(config.NextProtos) > 0
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// rsaPair makes a certificate with an RSA key, which old key exchanges need.
func rsaPair(t *testing.T) []tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}

// What sites have met with TLS, against real listeners: both -check and a call name the cause and the way out.
func TestTLSErrorsAreNamed(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ours.pem)
	chain, key := ours.issue("gw.example", time.Hour)
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	demands := func(protocols ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, NextProtos: protocols}
	}
	old := rsaPair(t)
	var (
		rsaOnly    = &tls.Config{Certificates: old, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}
		tripleOnly = &tls.Config{Certificates: old, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}}
	)
	withCertificate := func(a *authority) func(c *Client) {
		chain, key := a.issue("client", time.Hour)
		return func(c *Client) {
			dir := t.TempDir()
			c.Cert, c.Key = write(t, filepath.Join(dir, "cert.pem"), chain), write(t, filepath.Join(dir, "key.pem"), key)
		}
	}
	for name, test := range map[string]struct {
		config *tls.Config
		set    func(c *Client)
		debug  string // GODEBUG
		want   string // empty: it works
	}{
		"certificate demanded, none given":         {config: demands(), want: "asks for a client certificate: IDLE_GATEWAY_CERT"},
		"certificate demanded, none given, HTTP/2": {config: demands("h2"), want: "asks for a client certificate: IDLE_GATEWAY_CERT"},
		"certificate demanded by TLS 1.2, none given": {
			config: &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted, MaxVersion: tls.VersionTLS12},
			want:   "asks for a client certificate: IDLE_GATEWAY_CERT",
		},
		"certificate demanded, wrong given":         {config: demands(), set: withCertificate(theirs), want: "client certificate: IDLE_GATEWAY_CERT"},
		"certificate demanded, right given":         {config: demands(), set: withCertificate(ours)},
		"certificate demanded, right given, HTTP/2": {config: demands("h2"), set: withCertificate(ours)},
		"RSA key exchange only":                     {config: rsaOnly, want: "GODEBUG=tlsrsakex=1"},
		"RSA key exchange only, allowed":            {config: rsaOnly, debug: "tlsrsakex=1"},
		"3DES only":                                 {config: tripleOnly, want: "GODEBUG=tls3des=1"},
		"3DES only, allowed":                        {config: tripleOnly, debug: "tls3des=1"},
		"TLS 1.1 only":                              {config: &tls.Config{Certificates: old, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, want: "older than 1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.debug != "" {
				t.Setenv("GODEBUG", test.debug)
			}
			c := &Client{URL: tlsServer(t, test.config), Insecure: true, Timeout: never, Log: slog.New(slog.DiscardHandler)}
			if test.set != nil {
				test.set(c)
			}
			if err := c.Open(); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			err, a := c.Check(t.Context()), c.Set(t.Context(), callOf("1001", "f", "guid"))
			if test.want == "" {
				if err != nil || a.Class != worker.Success {
					t.Errorf("check: %v, call: %+v", err, a)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("check: %v, want %q in it", err, test.want)
			}
			early := a.Connect || test.config.NextProtos != nil // over HTTP/2 the request may have been written before the alert was read
			if a.Class != worker.Unsound || !early || !strings.Contains(a.Fault, test.want) {
				t.Errorf("call: %+v, want %q in its fault", a, test.want)
			}
		})
	}
}

func TestCertificateWithoutNames(t *testing.T) {
	ours := newAuthority(t, "ours")
	own := newKey(t)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gw.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ours.cert, own.Public(), ours.key)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{
		URL: tlsServer(t, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: own}}}), Timeout: never,
		ServerName: "gw.example", CA: write(t, filepath.Join(t.TempDir(), "ca.pem"), ours.pem),
	}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const want = "has no subject alternative name"
	err, a := c.Check(t.Context()), c.Set(t.Context(), callOf("1001", "f", "guid"))
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(a.Fault, want) || strings.Contains(err.Error(), "IDLE_GATEWAY_SERVER_NAME") {
		t.Errorf("check: %v, call: %+v", err, a)
	}
}

// A middlebox that drops what it does not know, and a server that closes at once.
func TestConnectionsThatBreakOffEarly(t *testing.T) {
	for name, test := range map[string]struct {
		scheme string
		want   string
	}{
		"in the handshake": {"https", "GODEBUG=tlsmlkem=0"},
		"without TLS":      {"http", "closed the connection at once"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_ = conn.Close()
				}
			}()
			c := &Client{URL: test.scheme + "://" + l.Addr().String(), Insecure: true, Timeout: never}
			if err := c.Open(); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("check: %v, want %q in it", err, test.want)
			}
		})
	}
}

// The library's own server cannot renegotiate. This is what the client says when it is asked to.
func TestRenegotiationIsNamed(t *testing.T) {
	err := &net.OpError{Op: "local error", Err: errors.New("tls: no renegotiation")}
	if hint := hintOf(err); !strings.Contains(hint, "renegotiates TLS after the request") {
		t.Errorf("hint %q", hint)
	}
}
