package stream

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

// site is one site on a real server: what tests publish with and read results with is a connection of its own.
type site struct {
	t        testing.TB
	dir      string
	server   *server.Server
	nc       *nats.Conn
	js       jetstream.JetStream
	layout   Layout
	gateway  *fakeGateway
	policy   worker.Policy
	hold     time.Duration
	finished time.Duration // the longest clean stop; 0: the default
	via      string        // where replicas find the server; empty: where it is
	proxy    *proxy        // through which replicas find it; nil: directly
	change   func(*server.Options)
	log      slog.Handler // nil: of the replicas nothing is written down

	replicas []*replica
}

// fakeGateway is a gateway in memory: what it answers is up to the test. The real one has tests of its own.
type fakeGateway struct {
	mu     sync.Mutex
	calls  []string
	answer func(c worker.Call) worker.Answer
}

func (g *fakeGateway) Set(_ context.Context, c worker.Call) worker.Answer {
	g.mu.Lock()
	g.calls = append(g.calls, c.AgentID+" "+c.Flag+" "+c.Session.GUID)
	answer := g.answer
	g.mu.Unlock()
	if answer != nil {
		return answer(c)
	}
	return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
}

func (g *fakeGateway) made() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

func newSite(tb testing.TB) *site {
	tb.Helper()
	return newSiteWith(tb, nil)
}

// newSiteWith is a site whose server is set up otherwise.
func newSiteWith(tb testing.TB, change func(*server.Options)) *site {
	tb.Helper()
	s := &site{t: tb, dir: tb.TempDir(), gateway: &fakeGateway{}, hold: 50 * time.Millisecond, layout: testLayout(), change: change}
	s.startServer(natstest.FreePort(tb))
	s.connect()
	return s
}

func (s *site) startServer(port int) {
	s.t.Helper()
	opts := &server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: s.dir, NoSigs: true, NoLog: true, AuthTimeout: natstest.Patience.Seconds()}
	if s.change != nil {
		s.change(opts)
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		s.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(natstest.Patience) {
		s.t.Fatal("the embedded server does not get ready")
	}
	s.server = srv
	s.t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
}

// restartServer stops the server and starts it again with the same store, at the same address.
func (s *site) restartServer() {
	s.t.Helper()
	port := natstest.Port(s.server)
	natstest.Stop(s.server)
	s.startServer(port)
}

func (s *site) connect() {
	s.t.Helper()
	url := s.server.ClientURL()
	if s.change != nil { // servers of tests that change something let this user in
		url = strings.Replace(url, "nats://", "nats://all:pw@", 1)
	}
	s.nc = natstest.Connect(s.t, url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // headers that cannot be decoded
	s.js = natstest.JetStream(s.t, s.nc)
}

// replica is one worker of the site.
type replica struct {
	owner *Owner
	proxy *proxy // nil: it is connected directly
	stop  context.CancelFunc
	over  chan struct{}
	once  sync.Once
}

func (s *site) start(name string) *replica {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("IDLE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("replica", name)
	}
	if s.log != nil {
		log = slog.New(s.log)
	}
	nc, err := Connect(context.Background(), Options{URLs: []string{s.address()}, Name: name, Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	sessions := worker.NewSessions()
	w := &worker.Worker{Gateway: s.gateway, Sessions: sessions, Policy: s.policy, Log: log}
	ctx, cancel := context.WithCancel(context.Background())
	r := &replica{proxy: s.proxy, stop: cancel, over: make(chan struct{})}
	r.owner = &Owner{Conn: nc, Layout: s.layout, Lease: NewLease(s.layout), Worker: w, Name: name, Hold: s.hold, Finished: s.finished, Log: log}
	var wg sync.WaitGroup
	follow, unfollow := context.WithCancel(context.Background())
	wg.Go(func() { r.owner.FollowSessions(follow) })
	go func() {
		defer close(r.over)
		if err := r.owner.Run(ctx); err != nil {
			s.t.Error(err)
		}
		unfollow()
		wg.Wait()
		nc.Close()
	}()
	s.t.Cleanup(r.finish)
	s.replicas = append(s.replicas, r)
	return r
}

// startOwner starts a replica, and returns once it is the owner.
func (s *site) startOwner(name string) *replica {
	s.t.Helper()
	r := s.start(name)
	s.waitOwner(r)
	return r
}

// address is where replicas find the server.
func (s *site) address() string {
	switch {
	case s.proxy != nil:
		return s.proxy.url
	case s.via != "":
		return s.via
	}
	return s.server.ClientURL()
}

// finish stops a replica cleanly.
func (r *replica) finish() {
	r.once.Do(r.stop)
	<-r.over
}

// hears reports whether what is on the server reaches the replica, at once or in the end.
func (r *replica) hears() bool {
	return !r.owner.Conn.IsClosed() && (r.proxy == nil || r.proxy.isOpen())
}

// wait waits until something is so.
func (s *site) wait(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(natstest.Patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never came true: %s", what)
		}
	}
}

// signIn signs an agent in, and returns once all replicas know that: a change that is published next finds the session.
func (s *site) signIn(agent, record string) {
	s.t.Helper()
	rev := s.putSession(agent, record)
	session, err := messages.DecodeSession([]byte(record))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range s.replicas {
		s.wait(r.owner.Name+" knows the session of "+agent, func() bool {
			known, _ := r.owner.Worker.Sessions.Of(agent)
			return known.Rev == rev && known.SameAs(session) || !r.hears()
		})
	}
}

// putSession signs an agent in; nobody may have heard of it yet.
func (s *site) putSession(agent, record string) (rev uint64) {
	s.t.Helper()
	ctx := context.Background()
	kv, err := s.js.KeyValue(ctx, s.layout.Names.SessionsBucket())
	if err != nil {
		s.t.Fatal(err)
	}
	if rev, err = kv.PutString(ctx, agent, record); err != nil {
		s.t.Fatal(err)
	}
	return rev
}

func (s *site) publish(body string, opts ...jetstream.PublishOpt) uint64 {
	s.t.Helper()
	m := nats.NewMsg(s.layout.Names.Changes())
	m.Data = []byte(body)
	return s.publishMsg(m, opts...)
}

// publishMsg publishes until the server has taken it: it may be starting.
func (s *site) publishMsg(m *nats.Msg, opts ...jetstream.PublishOpt) uint64 {
	s.t.Helper()
	var seq uint64
	s.wait("a change is taken", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		ack, err := s.js.PublishMsg(ctx, m, opts...)
		if err == nil {
			seq = ack.Sequence
		}
		return err == nil
	})
	return seq
}

// unfinished is how many messages the stream of changes holds.
func (s *site) unfinished() uint64 {
	s.t.Helper()
	st, err := s.js.Stream(context.Background(), s.layout.Names.ChangesStream())
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().State.Msgs
}

func (s *site) waitFinished() {
	s.t.Helper()
	s.wait("the stream of changes is empty", func() bool { return s.unfinished() == 0 })
}

func (s *site) waitOwner(r *replica) {
	s.t.Helper()
	s.wait("a replica is the owner", func() bool { return r.owner.State().Role == view.RoleOwner })
}
