package main_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

var names = messages.Names{Prefix: "idlepolicy"}

// patience is how long a test waits for what has to come; a busy machine needs long.
const patience = natstest.Patience

// site is what a worker works between, and everything that it is seen to do.
type site struct {
	t       *testing.T
	server  *server.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	gateway *gatewaytest.Gateway
	ca      string

	mu      sync.Mutex // guards results
	results []messages.Result
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, server: natstest.Start(t)}
	s.conn = natstest.Connect(t, s.server.ClientURL())
	s.js = natstest.JetStream(t, s.conn)
	var err error
	if s.gateway, err = gatewaytest.Start(gatewaytest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.gateway.Close)
	if s.ca, err = s.gateway.WriteCA(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if _, err = s.conn.Subscribe(names.ResultsAll(), s.heed); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) heed(m *nats.Msg) {
	var r messages.Result
	if err := json.Unmarshal(m.Data, &r); err != nil {
		s.t.Errorf("result %s: %v", m.Data, err)
	}
	if want := names.Result(r.Outcome, r.AgentID); m.Subject != want {
		s.t.Errorf("result on %s, want %s", m.Subject, want)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results = append(s.results, r)
}

// seen returns the results so far.
func (s *site) seen() []messages.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]messages.Result(nil), s.results...)
}

// ended returns the endings so far.
func (s *site) ended() []messages.Result {
	var endings []messages.Result
	for _, r := range s.seen() {
		if r.Outcome.Ends() {
			endings = append(endings, r)
		}
	}
	return endings
}

// waitEnded waits for so many endings in all.
func (s *site) waitEnded(n int) []messages.Result {
	s.t.Helper()
	s.await(func() bool { return len(s.ended()) >= n }, func() string { return strconv.Itoa(n) + " endings, got " + describe(s.seen()) })
	return s.ended()
}

// await waits until something holds.
func (s *site) await(holds func() bool, want func() string) {
	s.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("within %v: want %s", patience, want())
		}
	}
}

// describe tells results in a few words each.
func describe(results []messages.Result) string {
	var all []string
	for _, r := range results[:min(len(results), 20)] {
		all = append(all, string(r.Outcome)+" "+r.AgentID+" "+r.Flag+" ("+r.Retcode+" "+r.Message+")")
	}
	return strconv.Itoa(len(results)) + ": " + strings.Join(all, ", ")
}

// signIn gives agents sessions and puts them into the registry, as soon as a worker has made that.
func (s *site) signIn(agents ...string) {
	s.t.Helper()
	for _, agent := range agents {
		s.putSession(agent, messages.Session{GUID: s.gateway.SignIn(agent)})
	}
}

func (s *site) putSession(agent string, session messages.Session) {
	s.t.Helper()
	if _, err := s.registry().Put(s.t.Context(), agent, messages.EncodeSession(session)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) registry() jetstream.KeyValue {
	s.t.Helper()
	var kv jetstream.KeyValue
	s.await(func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		defer cancel()
		var err error
		kv, err = s.js.KeyValue(ctx, names.SessionsBucket())
		return err == nil
	}, func() string { return "the session registry" })
	return kv
}

// publish publishes as the simplest client does, without JetStream.
func (s *site) publish(bodies ...string) {
	s.t.Helper()
	for _, body := range bodies {
		if err := s.conn.Publish(names.Changes(), []byte(body)); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.conn.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// worker is the program as it runs.
type worker struct {
	*faulttest.Process
	site *site

	mu  sync.Mutex // guards url
	url string     // of its page; empty: not known yet
}

// start runs the worker with some variables more.
func (s *site) start(more ...string) *worker {
	s.t.Helper()
	w := s.launch(more...)
	s.await(func() bool { status, _ := w.get("/readyz"); return status == 200 }, func() string { return "a worker that is ready:\n" + w.Output() })
	return w
}

// launch is start without waiting for anything.
func (s *site) launch(more ...string) *worker {
	s.t.Helper()
	w := &worker{site: s}
	w.Process = faulttest.Start(s.t, program, faulttest.Options{Env: s.env(more...), Line: w.heed})
	return w
}

// env is the environment of a worker of this site. What comes later wins.
func (s *site) env(more ...string) []string {
	return append([]string{
		"IDLE_NATS_URL=" + s.server.ClientURL(), "IDLE_GATEWAY_URL=" + s.gateway.URL(), "IDLE_GATEWAY_CA=" + s.ca,
		"IDLE_HTTP_ADDR=127.0.0.1:0", "IDLE_TAKEOVER=2.5s", "IDLE_RATE=0", "IDLE_LOG_LEVEL=debug", "IDLE_LOG_FORMAT=json",
		"IDLE_BACKOFF_INITIAL=20ms", "IDLE_BACKOFF_MAX=1s", "IDLE_GATEWAY_TIMEOUT=30s", // no machine is so slow that a call is given up
	}, more...)
}
