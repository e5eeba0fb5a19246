package stream_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// The users of deploy/nats/accounts.conf.
const (
	publisher = "publisher"
	sessions  = "sessions"
	theTap    = "tap"
	observer  = "observer"
	operator  = "operator"
	admin     = "admin" // commented out there; tests look around with it
	theWorker = "worker"
)

var guardedNames = messages.Names{Prefix: "idlepolicy"}

// guarded is a server with the configuration that is delivered: its TLS, accounts and permissions.
type guarded struct {
	t       *testing.T
	dir     string
	server  *server.Server
	refused *refusals
}

// newGuarded starts the server after changes to what it finds in its folder.
func newGuarded(t *testing.T, changes ...func(*guarded)) *guarded {
	t.Helper()
	g := &guarded{t: t, dir: t.TempDir(), refused: &refusals{}}
	g.writeCertificates()
	g.copyConfig("accounts.conf", `# { user: "CN=idlepolicy-admin" }`, `{ user: "CN=idlepolicy-admin" }`)
	g.copyConfig("nats-server.conf", "/etc/nats", g.dir)
	g.write("tls/store-key.conf", []byte("cipher: aes\nkey: \"for this test only\"\n"))
	for _, change := range changes {
		change(g)
	}
	g.start(server.RANDOM_PORT)
	return g
}

func (g *guarded) start(port int) {
	g.t.Helper()
	opts, err := server.ProcessConfigFile(filepath.Join(g.dir, "nats-server.conf"))
	if err != nil {
		g.t.Fatal(err)
	}
	opts.Host, opts.Port, opts.HTTPPort, opts.StoreDir, opts.NoSigs = "127.0.0.1", port, 0, filepath.Join(g.dir, "store"), true
	opts.HTTPHost = ""
	s, err := server.NewServer(opts)
	if err != nil {
		g.t.Fatal(err)
	}
	g.server = s
	s.SetLoggerV2(g.refused, false, false, false)
	g.t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	s.Start()
	if !s.ReadyForConnections(natstest.Patience) {
		g.t.Fatalf("the server does not get ready: %v", g.refused.all())
	}
}

func (g *guarded) write(name string, text []byte) string {
	g.t.Helper()
	file := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		g.t.Fatal(err)
	}
	return file
}

// copyConfig fails where there is nothing to replace, so that the files cannot drift away from what is tested.
func (g *guarded) copyConfig(name, old, replacement string) {
	g.t.Helper()
	g.replace(filepath.Join("..", "..", "deploy", "nats", name), name, old, replacement)
}

func (g *guarded) replace(from, name, old, replacement string) {
	g.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		g.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		g.t.Fatalf("%s does not say %q", name, old)
	}
	g.write(name, []byte(strings.ReplaceAll(string(text), old, replacement)))
}

// options are those of a program that shows the certificate of a user.
func (g *guarded) options(user string) stream.Options {
	return stream.Options{
		URLs: []string{g.url()}, Name: user, CA: g.file("tls/ca.crt"), Cert: g.file("tls/" + user + ".crt"), Key: g.file("tls/" + user + ".key"),
	}
}

func (g *guarded) file(name string) string { return filepath.Join(g.dir, name) }

func (g *guarded) url() string { return strings.Replace(g.server.ClientURL(), "nats://", "tls://", 1) }

// as connects a stranger's program: with the library alone.
func (g *guarded) as(user string) *nats.Conn {
	g.t.Helper()
	o := g.options(user)
	return natstest.Connect(g.t, g.url(), nats.RootCAs(o.CA), nats.ClientCert(o.Cert, o.Key),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // else it prints what is refused on purpose
}

// writeCertificates makes an authority, a certificate for the server and one for each user.
func (g *guarded) writeCertificates() {
	g.t.Helper()
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey := g.certify("ca", ca, ca, nil)
	g.certify("tls", &x509.Certificate{Subject: pkix.Name{CommonName: "nats"}, DNSNames: []string{"localhost"}, IPAddresses: loopback}, ca, caKey)
	for _, user := range []string{publisher, sessions, theTap, observer, operator, admin, theWorker} {
		g.certify(user, &x509.Certificate{Subject: pkix.Name{CommonName: "idlepolicy-" + user}}, ca, caKey)
	}
}

var loopback = []net.IP{net.IPv4(127, 0, 0, 1)}

func (g *guarded) certify(name string, c, by *x509.Certificate, byKey *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	g.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	if byKey == nil {
		byKey = key
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		g.t.Fatal(err)
	}
	g.write("tls/"+name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	g.write("tls/"+name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
	return key
}

// refusals is a log of the server that keeps what it denies to anybody, and its own trouble.
type refusals struct {
	mu   sync.Mutex // guards said
	said []string
}

func (r *refusals) Errorf(format string, v ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, v...))
}

func (r *refusals) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.said...)
}

func (r *refusals) Fatalf(format string, v ...any) { r.Errorf(format, v...) }
func (r *refusals) Warnf(string, ...any)           {}
func (r *refusals) Noticef(string, ...any)         {}
func (r *refusals) Debugf(string, ...any)          {}
func (r *refusals) Tracef(string, ...any)          {}
