package service

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/config"
	"idlepolicy/worker/stream/natstest"
)

// wrong is a set-up that cannot work, or not as it was meant, and what -check says of it.
type wrong struct {
	name string
	env  func(b *bench) []string // over an environment that is right
	says string
}

// bench is an environment that is right, and what wrong ones are made of.
type bench struct {
	*testing.T
	site *site
	pki  *pki
}

func (b *bench) file(text string) string {
	file := filepath.Join(b.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// server starts a NATS server with JetStream and this configuration.
func (b *bench) server(conf string) *server.Server {
	if !strings.Contains(conf, "jetstream {") {
		conf = "jetstream { store_dir: STORE }\n" + conf
	}
	return natstest.StartConfig(b, conf)
}

func natsAt(s *server.Server, more ...string) []string {
	return append(more, "IDLE_NATS_URL=nats://"+s.Addr().String())
}

// js is a JetStream of a server, to make in it what is in the way.
func (b *bench) js(s *server.Server) jetstream.JetStream {
	return natstest.JetStream(b, natstest.Connect(b, s.ClientURL()))
}

func (b *bench) stream(s *server.Server, c jetstream.StreamConfig) jetstream.Stream {
	made, err := b.js(s).CreateStream(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	return made
}

// gateway listens with TLS and does nothing but handshakes.
func (b *bench) gateway(c *tls.Config) string {
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); _ = conn.Close() }()
		}
	}()
	return "IDLE_GATEWAY_URL=https://" + l.Addr().String()
}

// closes listens and ends each connection at once.
func (b *bench) closes() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

// closed is an address where nobody listens.
const closed = "127.0.0.1:1"

// damaged is a credentials file that somebody has damaged in this way.
func (b *bench) damaged(how string) []string {
	token, seed := natstest.WriteCredentials(b, filepath.Join(b.TempDir(), "good.creds"))
	return []string{"IDLE_NATS_CREDS=" + b.file(natstest.Damaged(token, seed)[how])}
}

func env(pairs ...string) func(*bench) []string { return func(*bench) []string { return pairs } }

// accounts is a server with one account, whose only user needs no password, and these limits of its JetStream.
func (b *bench) account(limits string) []string {
	return natsAt(b.server(`accounts { A: { jetstream: { ` + limits + ` }, users: [{ user: u, password: p }] } }, no_auth_user: u`))
}

func TestWrongSetupsAreNamed(t *testing.T) {
	all := slices.Concat(wrongFiles, wrongNATS, wrongGateways, wrongAddresses)
	if len(all) < 40 {
		t.Errorf("%d set-ups, want 40 or more", len(all))
	}
	s := newSite(t)
	keys := newPKI(t)
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			b := &bench{T: t, site: s, pki: keys}
			for _, pair := range append([]string{
				"IDLE_GATEWAY_URL=" + s.gateway.URL(), "IDLE_GATEWAY_CA=" + s.config.GatewayCA, "IDLE_NATS_URL=" + s.nats.ClientURL(),
				"IDLE_GATEWAY_TIMEOUT=2s", "IDLE_HTTP_ADDR=127.0.0.1:0",
			}, w.env(b)...) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			var out bytes.Buffer
			c, err := config.Load()
			if err != nil {
				out.WriteString(err.Error())
			} else if Check(t.Context(), c, &out) && !strings.Contains(w.name, "(warning)") {
				t.Errorf("the check says all is well:\n%s", out.String())
			}
			if !strings.Contains(out.String(), w.says) {
				t.Errorf("does not say %q:\n%s", w.says, out.String())
			}
		})
	}
	// The environment that all of them change is right, and nothing was made.
	s.config.NATSURLs = []string{s.nats.ClientURL()}
	s.check(true)
	for info := range s.connect().ListStreams(t.Context()).Info() {
		t.Errorf("the check made stream %s", info.Config.Name)
	}
}

var wrongFiles = []wrong{
	{"credentials: only a seed", func(b *bench) []string { return b.damaged("only a seed") }, "no user JWT in it"},
	{"credentials: a blank line", func(b *bench) []string { return b.damaged("a blank line before END") }, "no blank line inside"},
	{"credentials: no JWT", func(b *bench) []string { return b.damaged("no JWT between its lines") }, "no user JWT in it"},
	{"credentials: not there", env("IDLE_NATS_CREDS=/nowhere"), "no such file or directory"},
	{"authorities of NATS: not there", env("IDLE_NATS_CA=/nowhere"), "IDLE_NATS_CA"},
	{"authorities: empty", func(b *bench) []string { return []string{"IDLE_GATEWAY_CA=" + b.file("")} }, "there is none in it"},
	{"authorities: cut off", func(b *bench) []string {
		return []string{"IDLE_GATEWAY_CA=" + b.file(b.pki.caPEM+b.pki.caPEM[:len(b.pki.caPEM)/2])}
	}, "the last one in it is cut off"},
	{"certificate without its key", func(b *bench) []string { return []string{"IDLE_NATS_CERT=" + b.pki.client.cert} }, "want IDLE_NATS_KEY to be set with it"},
	{"key of another certificate", func(b *bench) []string {
		return []string{"IDLE_GATEWAY_CERT=" + b.pki.client.cert, "IDLE_GATEWAY_KEY=" + b.pki.good.key}
	}, "fits the key in IDLE_GATEWAY_KEY"},
	{"token of the page too short", func(b *bench) []string { return []string{"IDLE_HTTP_TOKEN_FILE=" + b.file("short")} }, "at least 12 characters"},
	{"password with a # in it", env("IDLE_NATS_URL=nats://idle:1234#hush@127.0.0.1"), "# as %23"},
	{"http without permission", env("IDLE_GATEWAY_URL=http://127.0.0.1:1"), "plain http only with IDLE_GATEWAY_INSECURE=true"},
	{"a name mistyped", env("IDLE_RATTE=5"), "did you mean IDLE_RATE?"},
	{"a unit missing", env("IDLE_TAKEOVER=3"), "a unit is missing: 3s"},
	{"links of docker (warning)", env("IDLE_PORT=tcp://172.17.0.2:1"), "IDLE_PORT is not a variable of this program"},
	{"a proxy, which is not used", env("HTTPS_PROXY=http://proxy:3128", "IDLE_GATEWAY_URL=https://gateway.invalid"), "HTTPS_PROXY is set and not used"},
}

var wrongNATS = []wrong{
	{"nobody listens", func(b *bench) []string { return []string{"IDLE_NATS_URL=nats://" + closed} }, "does NATS run there"},
	{"no NATS server", func(b *bench) []string { return []string{"IDLE_NATS_URL=nats://" + b.closes()} }, "is it a NATS server?"},
	{"no JetStream", func(b *bench) []string { return natsAt(natstest.StartPlain(b)) }, "nats-server -js"},
	{"an account without JetStream", func(b *bench) []string {
		return natsAt(b.server(`accounts { A: { users: [{ user: u, password: p }] } }, no_auth_user: u`))
	}, "write jetstream: enabled into that account"},
	{"wrong password", func(b *bench) []string {
		return []string{"IDLE_NATS_URL=nats://u:wrong@" + b.server("authorization { user: u, password: right }").Addr().String()}
	}, "are the credentials the right ones"},
	{"TLS of an unknown authority", func(b *bench) []string { return natsAt(b.server(b.pki.natsTLS(b.pki.good, ""))) }, "IDLE_NATS_CA must hold the authority"},
	{"TLS for another name", func(b *bench) []string {
		return natsAt(b.server(b.pki.natsTLS(b.pki.otherName, "")), "IDLE_NATS_CA="+b.pki.ca)
	}, "IDLE_NATS_URL must name the server as its certificate does"},
	{"TLS out of date", func(b *bench) []string {
		return natsAt(b.server(b.pki.natsTLS(b.pki.expired, "")), "IDLE_NATS_CA="+b.pki.ca)
	}, "out of date"},
	{"a client's certificate is wanted", func(b *bench) []string {
		return natsAt(b.server(b.pki.natsTLS(b.pki.good, `verify: true, ca_file: "`+b.pki.ca+`"`)), "IDLE_NATS_CA="+b.pki.ca)
	}, "IDLE_NATS_CERT"},
	{"tls:// without TLS", func(b *bench) []string { return []string{"IDLE_NATS_URL=tls://" + b.server("").Addr().String()} }, "the server does not offer TLS"},
	{"handshake first", func(b *bench) []string {
		return natsAt(b.server(b.pki.natsTLS(b.pki.good, "handshake_first: true, timeout: 1")), "IDLE_NATS_CA="+b.pki.ca)
	}, "IDLE_NATS_TLS_FIRST=true"},
	{"no handshake first", func(b *bench) []string { return natsAt(b.server(""), "IDLE_NATS_TLS_FIRST=true") }, "does the server have handshake_first?"},
	{"three replicas on one server", env("IDLE_REPLICAS=3"), "is not in a cluster; want 1"},
	{"too few streams", func(b *bench) []string { return b.account("max_streams: 3") }, "raise its max_streams to 6"},
	{"too few consumers", func(b *bench) []string { return b.account("max_consumers: 2") }, "raise its max_consumers to 6"},
	{"max_bytes required", func(b *bench) []string { return b.account("max_file: 1GB, max_bytes: true") }, "set IDLE_STREAM_MAX_BYTES"},
	{"too little room", func(b *bench) []string { return b.account("max_file: 1MB") }, "raise its max_file"},
	{"more asked for than there is", func(b *bench) []string {
		return append(b.account("max_file: 100MB"), "IDLE_STREAM_MAX_BYTES=50000000")
	}, "want 14979657 or less"},
	{"streams too large", func(b *bench) []string {
		return append(b.account("max_file: 1GB, disk_max_stream_bytes: 20MB"), "IDLE_STREAM_MAX_BYTES=50000000")
	}, "may have streams of 20971520 bytes at most"},
	{"changes can take the room of results (warning)", func(b *bench) []string { return b.account("max_file: 600MB") }, "set IDLE_STREAM_MAX_BYTES, to 89877942 at most"},
	{"somebody's consumer", func(b *bench) []string {
		s := b.server("")
		made := b.stream(s, jetstream.StreamConfig{Name: "IDLEPOLICY_CHANGES", Subjects: []string{"idlepolicy.changes", "idlepolicy.changes.>"}, Retention: jetstream.WorkQueuePolicy})
		if _, err := made.CreateConsumer(b.Context(), jetstream.ConsumerConfig{Durable: "audit", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			b.Fatal(err)
		}
		return natsAt(s)
	}, "nats consumer rm IDLEPOLICY_CHANGES audit"},
	{"subjects that are taken", func(b *bench) []string {
		s := b.server("")
		b.stream(s, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"idlepolicy.>"}})
		return natsAt(s)
	}, "is taken by another stream: ORDERS"},
	{"another site's stream", func(b *bench) []string {
		s := b.server("")
		b.stream(s, jetstream.StreamConfig{Name: "IDLEPOLICY_CHANGES", Subjects: []string{"idle.policy.changes"}, Retention: jetstream.WorkQueuePolicy})
		return natsAt(s)
	}, "choose an IDLE_PREFIX of your own"},
	{"a stream of another kind", func(b *bench) []string {
		s := b.server("")
		b.stream(s, jetstream.StreamConfig{Name: "IDLEPOLICY_CHANGES", Subjects: []string{"idlepolicy.changes", "idlepolicy.changes.>"}})
		return natsAt(s)
	}, "the worker needs WorkQueue"},
	{"a permission missing", func(b *bench) []string {
		return natsAt(b.server(`accounts { A: { jetstream: enabled, users: [{ user: u, password: p, permissions: { publish: { deny: "$JS.API.STREAM.INFO.>" } } }] } }, no_auth_user: u`))
	}, `NATS denies the user of this connection something it needs: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.IDLEPOLICY_CHANGES"`},
	{"an inbox of one's own", func(b *bench) []string {
		return natsAt(b.server(`accounts { A: { jetstream: enabled, users: [{ user: u, password: p, permissions: { subscribe: "_INBOX_idle.>" } }] } }, no_auth_user: u`))
	}, "name their prefix in IDLE_NATS_INBOX_PREFIX"},
	{"no connection left", func(b *bench) []string {
		s := b.server("max_connections: 1")
		b.js(s)
		return natsAt(s)
	}, "raise max_connections"},
	{"messages too small", func(b *bench) []string { return natsAt(b.server("max_payload: 16KB, max_pending: 1MB")) }, "set its max_payload to 65536 or more"},
	{"a leaf node without JetStream", func(b *bench) []string { leaf, _ := b.leaf(""); return natsAt(leaf) }, "set IDLE_NATS_DOMAIN"},
	{"a domain that is not there", func(b *bench) []string {
		leaf, _ := b.leaf("")
		return natsAt(leaf, "IDLE_NATS_DOMAIN=hup")
	}, `no JetStream domain "hup" answers`},
	{"a leaf node with JetStream of its own (warning)", func(b *bench) []string {
		leaf, _ := b.leaf("jetstream { store_dir: STORE, domain: leaf }\n")
		return natsAt(leaf)
	}, `that of the domain "leaf": if it is a leaf node`},
	{"an old server beside a new one", func(b *bench) []string {
		return []string{"IDLE_NATS_URL=" + b.server("").ClientURL() + "," + natstest.StartWireOf(b, "2.10.7").URL}
	}, "has version 2.10.7: want 2.14 or newer"},
	{"a server that is away (warning)", func(b *bench) []string {
		return []string{"IDLE_NATS_URL=" + b.server("").ClientURL() + ",nats://" + closed}
	}, "cannot be reached from here"},
	{"an old server", func(b *bench) []string {
		return []string{"IDLE_NATS_URL=" + natstest.StartWireOf(b, "2.10.7").URL}
	}, "has version 2.10.7: want 2.14 or newer"},
}

// leaf returns a leaf node, with this in its configuration, and the server behind it, whose JetStream has the domain hub.
func (b *bench) leaf(conf string) (leaf, hub *server.Server) {
	hub = b.server("jetstream { store_dir: STORE, domain: hub }\nserver_name: hub\nleafnodes { listen: \"127.0.0.1:-1\" }")
	leaf = natstest.StartConfig(b, conf+"server_name: leaf\nleafnodes { remotes: [{ url: \"nats://"+leafAddr(b, hub)+"\" }] }")
	nc := natstest.Connect(b, leaf.ClientURL())
	defer nc.Close()
	behind, err := jetstream.NewWithDomain(nc, "hub")
	if err != nil {
		b.Fatal(err)
	}
	// That the two are connected does not mean yet that the leaf node knows what the hub listens to.
	for over := time.After(natstest.Patience); ; {
		if _, err := behind.AccountInfo(b.Context()); err == nil {
			break
		}
		select {
		case <-over:
			b.Fatal("the leaf node never reaches the hub")
		case <-time.After(5 * time.Millisecond):
		}
	}
	return leaf, hub
}

func leafAddr(b *bench, s *server.Server) string {
	b.Helper()
	o, err := s.Varz(nil)
	if err != nil {
		b.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", itoa(o.LeafNode.Port))
}

var wrongGateways = []wrong{
	{"gateway: nobody listens", func(b *bench) []string { return []string{"IDLE_GATEWAY_URL=https://" + closed} }, "FAILED  gateway"},
	{"gateway: closes at once", func(b *bench) []string { return []string{"IDLE_GATEWAY_URL=https://" + b.closes()} }, "FAILED  gateway"},
	{"gateway: unknown authority", func(b *bench) []string {
		return []string{b.gateway(b.pki.tls(b.pki.good))}
	}, "IDLE_GATEWAY_CA"},
	{"gateway: another name", func(b *bench) []string {
		return []string{b.gateway(b.pki.tls(b.pki.otherName)), "IDLE_GATEWAY_CA=" + b.pki.ca}
	}, "IDLE_GATEWAY_SERVER_NAME"},
	{"gateway: no name at all", func(b *bench) []string {
		return []string{b.gateway(b.pki.tls(b.pki.noName)), "IDLE_GATEWAY_CA=" + b.pki.ca, "IDLE_GATEWAY_SERVER_NAME=localhost"}
	}, "subject alternative name"},
	{"gateway: out of date", func(b *bench) []string {
		return []string{b.gateway(b.pki.tls(b.pki.expired)), "IDLE_GATEWAY_CA=" + b.pki.ca}
	}, "expired"},
	{"gateway: wants a certificate after the handshake", func(b *bench) []string {
		c := b.pki.tls(b.pki.good)
		c.ClientAuth, c.ClientCAs, c.MinVersion = tls.RequireAndVerifyClientCert, b.pki.pool(), tls.VersionTLS13
		return []string{b.gateway(c), "IDLE_GATEWAY_CA=" + b.pki.ca}
	}, "IDLE_GATEWAY_CERT"},
	{"gateway: RSA key exchange only", func(b *bench) []string {
		c := b.pki.tls(b.pki.good)
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		return []string{b.gateway(c), "IDLE_GATEWAY_CA=" + b.pki.ca}
	}, "tlsrsakex"},
	{"gateway: TLS 1.1 only", func(b *bench) []string {
		c := b.pki.tls(b.pki.good)
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		return []string{b.gateway(c), "IDLE_GATEWAY_CA=" + b.pki.ca}
	}, "TLS 1.2"},
	{"gateway: no TLS", func(b *bench) []string {
		return []string{"IDLE_GATEWAY_URL=https://" + b.site.nats.Addr().String()}
	}, "TLS"},
}

var wrongAddresses = []wrong{
	{"page: another program listens there", func(b *bench) []string { return []string{"IDLE_HTTP_ADDR=" + b.closes()} }, "address already in use; want an address where no other program listens"},
	{"page: another site's worker listens there", func(b *bench) []string {
		other := newSite(b.T)
		other.start()
		return []string{"IDLE_PREFIX=centre.2", "IDLE_HTTP_ADDR=" + strings.TrimPrefix(other.page, "http://")}
	}, "(by idleworker with IDLE_PREFIX=centre.1)"},
	{"page: an address of another machine", env("IDLE_HTTP_ADDR=192.0.2.1:8080"), "this machine has no such address"},
}

// People run -check beside the service, which listens where the check would.
func TestCheckBesideTheRunningWorker(t *testing.T) {
	s := newSite(t)
	s.start()
	s.isOwner()
	s.config.HTTPAddr = strings.TrimPrefix(s.page, "http://")
	s.check(true, "ok      IDLE_HTTP_ADDR="+s.config.HTTPAddr+": idleworker of this site listens there already")
}
