package tap

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// scene is a NATS server with a registry, a simulated gateway, and taps before it.
type scene struct {
	t       *testing.T
	nats    *server.Server
	store   string
	gateway *gatewaytest.Gateway
	config  config.Tap
	log     safeBuffer
	client  *http.Client
}

type safeBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, store: t.TempDir()}
	s.nats = natstest.StartAt(t, s.store, server.RANDOM_PORT)
	g, err := gatewaytest.Start(gatewaytest.Options{OldGUIDFor: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	s.gateway = g
	ca, err := g.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.config = config.Tap{
		Gateway: config.Gateway{GatewayURL: g.URL(), GatewayCA: ca, GatewayTimeout: natstest.Patience},
		Addr:    "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", Silence: time.Minute, ShutdownGrace: natstest.Patience,
		Client: config.Client{NATSURLs: []string{s.nats.ClientURL()}, Prefix: "site.a"},
	}
	s.client = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 1000, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	t.Cleanup(s.client.CloseIdleConnections)
	s.makeBucket()
	return s
}

// makeBucket makes the buckets as a worker does.
func (s *scene) makeBucket() {
	s.t.Helper()
	conn, err := stream.Connect(s.t.Context(), stream.Options{URLs: s.config.NATSURLs, Name: "test"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	layout := stream.Layout{Names: messages.Names{Prefix: s.config.Prefix}, Replicas: 1, Retention: time.Hour, Takeover: 3 * time.Second}
	if _, err := stream.Prepare(s.t.Context(), conn, layout); err != nil {
		s.t.Fatal(err)
	}
}

// tap is one process of the tap.
type tapProcess struct {
	desktops, page string // addresses
	stop           func()
}

func (s *scene) start() *tapProcess {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	listens := make(chan [2]string, 1)
	service := &Service{
		Config: s.config, Name: "tap-1", Version: "1.2.3",
		Log:     slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Listens: func(desktops, page string) { listens <- [2]string{desktops, page} },
	}
	over := make(chan error, 1)
	go func() { over <- service.Run(ctx) }()
	p := &tapProcess{}
	select {
	case at := <-listens:
		scheme := "http://"
		if s.config.Cert != "" {
			scheme = "https://"
		}
		p.desktops, p.page = scheme+at[0], "http://"+at[1]
	case err := <-over:
		s.t.Fatalf("the tap ended: %v", err)
	}
	p.stop = sync.OnceFunc(func() {
		stop()
		if err := <-over; err != nil {
			s.t.Errorf("the tap ended with: %v", err)
		}
	})
	s.t.Cleanup(p.stop)
	return p
}

func (s *scene) get(url string) (int, string) {
	s.t.Helper()
	resp, err := s.client.Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// registry returns the GUIDs that are stored.
func (s *scene) registry() map[string]string {
	s.t.Helper()
	r, err := stream.OpenRegistry(s.t.Context(), stream.Options{URLs: s.config.NATSURLs, Name: "test"}, messages.Names{Prefix: s.config.Prefix})
	if err != nil {
		return nil // NATS is away
	}
	defer r.Close()
	agents, err := r.Agents(s.t.Context())
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for _, agent := range agents {
		if rec, err := r.Get(s.t.Context(), agent); err == nil && rec.Session.GUID != "" {
			all[agent] = rec.Session.GUID
		}
	}
	return all
}

func (s *scene) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(natstest.Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain until %s; the log:\n%s", what, s.log.String())
		}
	}
}

// settled waits until the registry holds what the gateway knows.
func (s *scene) settled() {
	s.t.Helper()
	s.until("the registry holds what the gateway knows", func() bool {
		has, want := s.registry(), s.gateway.Signed()
		if len(has) != len(want) {
			return false
		}
		for agent, guid := range want {
			if has[agent] != guid {
				return false
			}
		}
		return true
	})
}

func agents(n int) (all []string) {
	for i := range n {
		all = append(all, strconv.Itoa(1001+i))
	}
	return all
}

func (s *scene) work(at string, n int) *gatewaytest.Desktops {
	s.t.Helper()
	d := &gatewaytest.Desktops{Agents: agents(n), URL: at, Client: s.client, Pause: 20 * time.Millisecond}
	if err := d.Start(s.t.Context()); err != nil {
		s.t.Fatalf("%v; the log:\n%s", err, s.log.String())
	}
	return d
}

func TestSessionsComeByThemselves(t *testing.T) {
	s := newScene(t)
	s.gateway.SetTraffic(gatewaytest.Traffic{PollFor: 10 * time.Millisecond, RotateEvery: 100 * time.Millisecond, Cookie: true})
	p := s.start()
	d := s.work(p.desktops, 50)
	s.until("all GUIDs were rotated a few times", func() bool { _, n := s.gateway.Sessions(); return n > 200 })
	d.Stop()
	s.settled()
	if tally := d.Tally(); tally.Failed > 0 || len(tally.Retcodes) != 1 {
		t.Errorf("%d failed (%v), retcodes %v", tally.Failed, tally.Errors, tally.Retcodes)
	}
	if _, err := d.Desktop("1001").SignOut(t.Context(), "logout"); err != nil {
		t.Fatal(err)
	}
	s.settled()
	if _, body := s.get(p.page + "/metrics"); !strings.Contains(body, "idlepolicy_tap_sign_ins_total 50") ||
		!strings.Contains(body, `idlepolicy_tap_requests_total{class="2xx",kind="sign_in"} 50`) ||
		!strings.Contains(body, `idlepolicy_tap_sign_outs_total{reason="desktop"} 1`) || !strings.Contains(body, "idlepolicy_tap_sessions 49") {
		t.Errorf("metrics:\n%s", body)
	}
	s.wantNoSecrets(p, d)
}

// wantNoSecrets looks for credentials in all that the tap says.
func (s *scene) wantNoSecrets(p *tapProcess, d *gatewaytest.Desktops) {
	s.t.Helper()
	_, metrics := s.get(p.page + "/metrics")
	_, ready := s.get(p.page + "/readyz")
	for _, said := range []string{s.log.String(), metrics, ready} {
		secrets := []string{gatewaytest.DesktopPassword, "JSESSIONID", "AgentGateway", "node="}
		for _, agent := range d.Agents {
			secrets = append(secrets, d.Desktop(agent).GUID()[:8])
		}
		for _, secret := range secrets {
			if secret != "" && strings.Contains(said, secret) {
				s.t.Errorf("%q is said in\n%s", secret, said)
			}
		}
	}
}

// Desktops do not notice what NATS does, and the registry is right soon after it is back.
func TestNATSAway(t *testing.T) {
	s := newScene(t)
	s.gateway.SetTraffic(gatewaytest.Traffic{PollFor: 10 * time.Millisecond, RotateEvery: 100 * time.Millisecond})
	port := natstest.Port(s.nats)
	natstest.Stop(s.nats)
	p := s.start()
	if code, body := s.get(p.page + "/readyz"); code != http.StatusOK || !strings.Contains(body, `"connected": false`) {
		t.Errorf("not ready without NATS: %d %s", code, body)
	}
	d := s.work(p.desktops, 50)
	for range 2 {
		s.nats = natstest.StartAt(t, s.store, port)
		_, before := s.gateway.Sessions()
		s.until("GUIDs are rotated", func() bool { _, n := s.gateway.Sessions(); return n > before+100 })
		natstest.Stop(s.nats)
		s.until("GUIDs are rotated", func() bool { _, n := s.gateway.Sessions(); return n > before+200 })
	}
	d.Stop()
	s.nats = natstest.StartAt(t, s.store, port)
	s.settled()
	if tally := d.Tally(); tally.Failed > 0 || len(tally.Retcodes) != 1 {
		t.Errorf("%d failed (%v), retcodes %v", tally.Failed, tally.Errors, tally.Retcodes)
	}
	s.wantNoSecrets(p, d)
}

// A stop lets polls finish that are under way, and stores what it learned.
func TestStop(t *testing.T) {
	s := newScene(t)
	s.gateway.SetTraffic(gatewaytest.Traffic{PollFor: 500 * time.Millisecond, RotateEvery: time.Nanosecond})
	p := s.start()
	d := &gatewaytest.Desktop{Agent: "1001", URL: p.desktops, Client: s.client}
	if _, err := d.SignIn(t.Context(), false, ""); err != nil {
		t.Fatal(err)
	}
	type polled struct {
		gatewaytest.Reply
		error
	}
	over := make(chan polled, 1)
	go func() { r, err := d.Poll(t.Context()); over <- polled{r, err} }()
	s.until("the poll is under way", func() bool {
		_, body := s.get(p.page + "/metrics")
		return strings.Contains(body, "idlepolicy_tap_requests_open 1")
	})
	p.stop()
	if r := <-over; r.error != nil || r.Retcode != "0" || !r.Rotated {
		t.Errorf("the poll was answered %+v", r)
	}
	if guid := s.registry()["1001"]; guid != d.GUID() {
		t.Error("the last GUID is not stored")
	}
	s.settled()
}

func TestHTTPS(t *testing.T) {
	s := newScene(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writePair(t, cert, key, 1)
	s.config.Cert, s.config.Key = cert, key
	p := s.start()
	d := &gatewaytest.Desktop{Agent: "1001", URL: p.desktops, Client: s.client}
	if r, err := d.SignIn(t.Context(), false, ""); err != nil || r.Retcode != "0" {
		t.Fatalf("%+v, %v", r, err)
	}
	s.settled()
	serial := func() string {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(p.desktops, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if got := serial(); got != "1" {
		t.Errorf("certificate %s", got)
	}
	writePair(t, cert, key, 2)
	s.until("the renewed certificate is shown", func() bool { return serial() == "2" })
}

func TestCheck(t *testing.T) {
	s := newScene(t)
	var out bytes.Buffer
	if !Check(t.Context(), s.config, &out) || strings.Count(out.String(), "ok ") != 5 {
		t.Errorf("the check says\n%s", out.String())
	}
	s.config.GatewayCA = ""
	s.config.Prefix = "another"
	out.Reset()
	if Check(t.Context(), s.config, &out) || strings.Count(out.String(), "FAILED") != 2 || !strings.Contains(out.String(), "IDLE_GATEWAY_CA") ||
		!strings.Contains(out.String(), "the worker with IDLE_PREFIX=another creates it: start that worker first, or check IDLE_PREFIX\n") {
		t.Errorf("the check says\n%s", out.String())
	}
}

// People run -check beside the service, which listens where the check would.
func TestCheckBesideTheRunningTap(t *testing.T) {
	s := newScene(t)
	p := s.start()
	desktops, page := strings.TrimPrefix(p.desktops, "http://"), strings.TrimPrefix(p.page, "http://")
	program := httptest.NewServer(http.NotFoundHandler())
	defer program.Close()
	another := program.Listener.Addr().String()
	const ours = ": idletap of this site listens there already"
	for _, test := range []struct {
		name, desktops, page, prefix string
		fine                         bool
		says                         []string
	}{
		{"the same", desktops, page, "site.a", true, []string{"IDLE_TAP_ADDR=" + desktops + ours, "IDLE_HTTP_ADDR=" + page + ours}},
		{"desktops at another program", another, page, "site.a", false, []string{"FAILED  IDLE_TAP_ADDR=" + another, "no tap of this site", "IDLE_HTTP_ADDR=" + page + ours}},
		{"page at another program", "127.0.0.1:0", another, "site.a", false, []string{"FAILED  IDLE_HTTP_ADDR=" + another + ": address already in use"}},
		{"another site's", desktops, page, "site.b", false, []string{"FAILED  IDLE_TAP_ADDR=", "FAILED  IDLE_HTTP_ADDR=", "(by idletap with IDLE_PREFIX=site.a)"}},
		{"without a page", desktops, "", "site.a", true, []string{"something listens there already, and without IDLE_HTTP_ADDR nothing tells"}},
		{"of another machine", "192.0.2.1:8044", "192.0.2.1:8081", "site.a", false, []string{"FAILED  IDLE_TAP_ADDR=192.0.2.1:8044: ", "FAILED  IDLE_HTTP_ADDR=192.0.2.1:8081: "}},
	} {
		c := s.config
		c.Addr, c.HTTPAddr, c.Prefix = test.desktops, test.page, test.prefix
		var out bytes.Buffer
		if got := Check(t.Context(), c, &out); got != test.fine {
			t.Errorf("%s: the check says %t", test.name, got)
		}
		for _, want := range test.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the check does not say %q:\n%s", test.name, want, out.String())
			}
		}
	}
}

func TestAddressThatIsTaken(t *testing.T) {
	s := newScene(t)
	p := s.start()
	s.config.Addr = strings.TrimPrefix(p.desktops, "http://")
	err := (&Service{Config: s.config, Log: slog.New(slog.DiscardHandler)}).Run(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "IDLE_TAP_ADDR="+s.config.Addr) {
		t.Errorf("the tap ended with: %v", err)
	}
}
