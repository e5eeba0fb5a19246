package stream_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// authority makes another one, whose files begin with its name.
func (g *guarded) authority(name string) (*x509.Certificate, *ecdsa.PrivateKey) {
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	return ca, g.certify(name, ca, ca, nil)
}

// serverAs gives the server a certificate of another authority, with which clients are not verified.
func serverAs(c x509.Certificate) func(*guarded) {
	return func(g *guarded) {
		ca, key := g.authority("other")
		g.certify("tls", &c, ca, key)
	}
}

// Each usual mistake is said with the variable that mends it, at the first try and while the worker goes on trying.
func TestWrongCertificatesAreNamed(t *testing.T) {
	fine := x509.Certificate{Subject: pkix.Name{CommonName: "nats"}, IPAddresses: loopback}
	named := x509.Certificate{Subject: pkix.Name{CommonName: "nats"}, DNSNames: []string{"nats.example.com"}}
	old := fine
	old.NotBefore, old.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	foreign := func(g *guarded) {
		ca, key := g.authority("stranger")
		g.certify(theWorker, &x509.Certificate{Subject: pkix.Name{CommonName: "idlepolicy-worker"}}, ca, key)
	}
	for _, mistake := range []struct {
		name   string
		before func(*guarded)
		change func(g *guarded, o *stream.Options)
		want   string
	}{
		{"wrong authority", serverAs(fine), func(*guarded, *stream.Options) {}, "IDLE_NATS_CA must hold the authority"},
		{"another name", serverAs(named), func(g *guarded, o *stream.Options) { o.CA = g.file("tls/other.crt") }, "IDLE_NATS_URL must name the server"},
		{"out of date", serverAs(old), func(g *guarded, o *stream.Options) { o.CA = g.file("tls/other.crt") }, "out of date"},
		{"no certificate", nil, func(_ *guarded, o *stream.Options) { o.Cert, o.Key = "", "" }, "IDLE_NATS_CERT"},
		{"certificate of a stranger", foreign, func(*guarded, *stream.Options) {}, "IDLE_NATS_CERT"},
		{"key of another", nil, func(g *guarded, o *stream.Options) { o.Key = g.file("tls/operator.key") }, "IDLE_NATS_KEY must be the key"},
	} {
		t.Run(mistake.name, func(t *testing.T) {
			g := newGuarded(t, slices.DeleteFunc([]func(*guarded){mistake.before}, func(f func(*guarded)) bool { return f == nil })...)
			o := g.options(theWorker)
			mistake.change(g, &o)
			if _, err := stream.Connect(t.Context(), o); err == nil || !strings.Contains(err.Error(), mistake.want) {
				t.Errorf("said %v, want something with %q", err, mistake.want)
			}
			wantSaidWhileTrying(t, o, mistake.want)
		})
	}
}

func wantSaidWhileTrying(t *testing.T, o stream.Options, want string) {
	t.Helper()
	said := &watched{want: want, found: make(chan struct{})}
	o.Wait, o.Log = true, slog.New(slog.NewTextHandler(said, nil))
	ctx, cancel := context.WithCancel(t.Context())
	var trying sync.WaitGroup
	defer trying.Wait()
	defer cancel()
	trying.Go(func() {
		nc, err := stream.Connect(ctx, o)
		if err == nil {
			nc.Close()
			return
		}
		_, _ = said.Write([]byte(err.Error())) // what no waiting mends
	})
	select {
	case <-said.found:
	case <-time.After(natstest.Patience):
		t.Errorf("the log never says %q, only\n%s", want, said.all())
	}
}

// watched is a log in which something is waited for.
type watched struct {
	want  string
	found chan struct{}
	once  sync.Once

	mu   sync.Mutex // guards text
	text []byte
}

func (w *watched) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

func (w *watched) Write(line []byte) (int, error) {
	w.mu.Lock()
	w.text = append(w.text, line...)
	w.mu.Unlock()
	if bytes.Contains(line, []byte(w.want)) {
		w.once.Do(func() { close(w.found) })
	}
	return len(line), nil
}

// Files that are replaced serve the next connection: here all of them, because the authority itself is a new one.
func TestCertificatesAreReplacedWithoutARestart(t *testing.T) {
	g := newGuarded(t)
	nc := g.connect(g.options(theWorker))
	before := serial(t, nc)
	port := natstest.Port(g.server)
	natstest.Stop(g.server)
	g.writeCertificates()
	g.start(port)
	waitFor(t, "it is connected again", nc.IsConnected)
	if serial(t, nc) == before {
		t.Error("the server still shows its old certificate")
	}
}

// The client library itself says nothing about a server that is there again and cannot be talked to.
func TestCertificateThatIsDamagedLaterIsNamed(t *testing.T) {
	g := newGuarded(t)
	said := &watched{want: "error loading client certificate", found: make(chan struct{})}
	o := g.options(theWorker)
	o.Log = slog.New(slog.NewTextHandler(said, nil))
	whole, err := os.ReadFile(o.Cert)
	if err != nil {
		t.Fatal(err)
	}
	nc := g.connect(o)
	write(t, o.Cert, string(whole[:len(whole)/2]))
	port := natstest.Port(g.server)
	natstest.Stop(g.server)
	g.start(port)
	select {
	case <-said.found:
	case <-time.After(natstest.Patience):
		t.Errorf("the log never says why, only\n%s", said.all())
	}
	write(t, o.Cert, string(whole))
	waitFor(t, "it is connected again", nc.IsConnected)
}

func (g *guarded) connect(o stream.Options) *nats.Conn {
	g.t.Helper()
	nc, err := stream.Connect(g.t.Context(), o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(nc.Close)
	return nc
}

func serial(t *testing.T, nc *nats.Conn) string {
	t.Helper()
	state, err := nc.TLSConnectionState()
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].SerialNumber.String()
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	over := time.After(natstest.Patience)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// Credentials are revoked and replaced on disk: the connection comes back with the new ones.
func TestCredentialsAreReplacedWithoutARestart(t *testing.T) {
	operator, account := newKey(t, nkeys.CreateOperator), newKey(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(public(t, account))
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(claims.Subject, encoded(t, claims, operator)); err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, AccountResolver: resolver, TrustedKeys: []string{public(t, operator)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { natstest.Stop(s) })
	s.Start()
	file := filepath.Join(t.TempDir(), "worker.creds")
	old := writeCredentials(t, file, account)
	nc, err := stream.Connect(t.Context(), stream.Options{URLs: []string{s.ClientURL()}, Creds: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	changed := nc.StatusChanged(nats.RECONNECTING)
	writeCredentials(t, file, account)
	claims.Revoke(old)
	served, err := s.LookupAccount(claims.Subject)
	if err != nil {
		t.Fatal(err)
	}
	s.UpdateAccountClaims(served, claims)
	<-changed
	waitFor(t, "it is let in with the new credentials", nc.IsConnected)
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(t *testing.T, key nkeys.KeyPair) string {
	t.Helper()
	text, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func encoded(t *testing.T, claims jwt.Claims, by nkeys.KeyPair) string {
	t.Helper()
	token, err := claims.Encode(by)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// writeCredentials makes a user with credentials of its own and returns its name for the server.
func writeCredentials(t *testing.T, file string, account nkeys.KeyPair) string {
	t.Helper()
	user := newKey(t, nkeys.CreateUser)
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(encoded(t, jwt.NewUserClaims(public(t, user)), account), seed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return public(t, user)
}

// A connection that was closed at once leaves nothing behind.
func TestClosedConnectionLeavesNothing(t *testing.T) {
	url := natstest.Start(t).ClientURL()
	for range 100 {
		nc, err := stream.Connect(t.Context(), stream.Options{URLs: []string{url}})
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	waitFor(t, "what watches the connections to end", func() bool {
		stacks := make([]byte, 4<<20)
		return !bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("watchHandshakes"))
	})
}
