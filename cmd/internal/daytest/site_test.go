package daytest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

var (
	full = flag.Bool("full", false, "the numbers of a large site, and its promises about time")
	show = flag.Bool("show", false, "show the logs of the workers")
)

// scaled returns a number for every run, or that of a large site.
func scaled(small, large int) int {
	if *full {
		return large
	}
	return small
}

// site is one site with everything around it: what the tests do, publishers, desktops and operators do for real.
type site struct {
	t       *testing.T
	config  config.Config
	nats    *server.Server
	gateway *gatewaytest.Gateway
	js      jetstream.JetStream
	desk    *desk.Desk
	log     *logbook
	results *ledger
	guids   *credentials
	stalls  *faulttest.Stalls // what is wanted within a time allows for them; watched for where that is wanted
	names   messages.Names
	page    atomic.Pointer[string] // where the worker that was started last serves HTTP; nil: nowhere yet
	begin   func() (end func())    // starts a worker, see eachWay
}

func newSite(t *testing.T, o gatewaytest.Options) *site {
	t.Helper()
	t.Parallel()
	s := &site{
		t: t, nats: natstest.Start(t), log: &logbook{}, guids: &credentials{}, stalls: &faulttest.Stalls{},
		names: messages.Names{Prefix: "centre.1"},
	}
	if *full {
		s.stalls = faulttest.WatchStalls(t)
	}
	g, err := gatewaytest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	s.gateway = g
	ca, err := g.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.config = config.Config{
		Gateway: config.Gateway{GatewayURL: g.URL(), GatewayCA: ca, GatewayTimeout: 2 * time.Second}, Replicas: 1, Retention: time.Hour,
		Takeover: 2500 * time.Millisecond, MaxInFlight: 32, BackoffInitial: 20 * time.Millisecond, BackoffMax: time.Second,
		BackoffMultiplier: 2, BackoffJitter: 0.5, MaxAttempts: 8, Validity: 12 * time.Hour, Reapply: true,
		ShutdownGrace: 10 * time.Second,
		Client:        config.Client{NATSURLs: []string{s.nats.ClientURL()}, Prefix: s.names.Prefix},
	}
	s.connect()
	return s
}

// connect makes the tests' own connection, and the streams that the first worker of a site would make.
func (s *site) connect() {
	s.t.Helper()
	s.js = natstest.JetStream(s.t, natstest.Connect(s.t, s.nats.ClientURL()), jetstream.WithPublishAsyncMaxPending(4096))
	layout := stream.Layout{Names: s.names, Replicas: 1, Retention: s.config.Retention, Takeover: s.config.Takeover}
	if _, err := layout.Ensure(s.t.Context(), s.js); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if s.desk, err = desk.Open(s.t.Context(), stream.Options{URLs: s.config.NATSURLs, Name: "operator"}, s.names); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.desk.Close)
	s.results = followResults(s)
	s.t.Cleanup(s.audit)
}

// wait waits until something is so.
func (s *site) wait(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(natstest.Patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never came true: %s; results so far: %s; %d messages are unfinished", what, s.results.counts(), s.unfinished())
		}
	}
}

// publish publishes a change message, given as a value or as JSON, and returns its sequence.
func (s *site) publish(body any) uint64 {
	s.t.Helper()
	ack, err := s.js.Publish(s.t.Context(), s.names.Changes(), s.encoded(body))
	if err != nil {
		s.t.Fatal(err)
	}
	s.results.expect(ack.Sequence)
	return ack.Sequence
}

func (s *site) encoded(body any) []byte {
	s.t.Helper()
	if text, ok := body.(string); ok {
		return []byte(text)
	}
	data, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	return data
}

// item is a change message or one item of it, as a publisher writes it.
type item struct {
	Agent      string    `json:"agent_id,omitempty"`
	Agents     []string  `json:"agent_ids,omitempty"`
	Changes    []item    `json:"changes,omitempty"`
	Flag       string    `json:"flag,omitempty"`
	ID         string    `json:"id,omitempty"`
	Batch      string    `json:"batch_id,omitempty"`
	BatchTotal int       `json:"batch_total,omitempty"`
	Effective  time.Time `json:"effective_at,omitzero"`
	Until      time.Time `json:"valid_until,omitzero"`
	Cancel     bool      `json:"cancel,omitempty"`
}

// agents returns the IDs of so many agents.
func agents(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.Itoa(20001 + i)
	}
	return all
}

// signIn signs an agent in at the gateway and hands the session over, as a desktop does.
func (s *site) signIn(agent string) messages.Session {
	s.t.Helper()
	session := messages.Session{GUID: s.gateway.SignIn(agent), SignedInAt: time.Now()}
	s.register(agent, session)
	return session
}

// known returns once the worker that runs knows the session: a change that is published next finds it.
func (s *site) known(agent string, session messages.Session) {
	s.t.Helper()
	s.wait("the worker knows the session of "+agent, func() bool {
		view, err := s.desk.Explain(s.t.Context(), agent)
		return err == nil && view.SignedIn && view.SignedAt.Equal(session.SignedInAt)
	})
}

// rotate gives the agent's session a new GUID: no new sign-in.
func (s *site) rotate(agent string, session messages.Session) messages.Session {
	s.t.Helper()
	session.GUID = s.gateway.Rotate(agent)
	s.register(agent, session)
	return session
}

func (s *site) register(agent string, session messages.Session) {
	s.t.Helper()
	s.registerText(agent, string(messages.EncodeSession(session)))
	s.guids.add(session.GUID)
}

func (s *site) registerText(agent, text string) {
	s.t.Helper()
	if _, err := s.js.Publish(s.t.Context(), s.key(agent), []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) key(agent string) string { return "$KV." + s.names.SessionsBucket() + "." + agent }

func (s *site) signOut(agent string) {
	s.t.Helper()
	s.gateway.SignOut(agent)
	if err := s.desk.DeleteSession(s.t.Context(), agent); err != nil {
		s.t.Fatal(err)
	}
}

// others are agents that a test uses for nothing else.
var others = []string{"901", "902"}

// settled returns once the worker has seen everything that was said of sessions before, and has made the calls that it
// makes because of that: sessions come in order, and two agents that sign in afterwards have theirs made.
func (s *site) settled() {
	s.t.Helper()
	for _, agent := range others {
		seq := s.publish(item{Agent: agent, Flag: "false"})
		s.wait("the change of "+agent+" waits", func() bool { return s.results.has(seq, messages.Waiting) })
		s.signIn(agent)
		s.wait("the change of "+agent+" is applied", func() bool { return s.results.has(seq, messages.Applied) })
		s.signOut(agent)
	}
}

// unfinished is how many messages the stream of changes holds.
func (s *site) unfinished() uint64 {
	s.t.Helper()
	st, err := s.js.Stream(context.Background(), s.names.ChangesStream())
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().State.Msgs
}

// waitFinished waits until nothing is unfinished and all that was told of it has been heard.
func (s *site) waitFinished() {
	s.t.Helper()
	s.wait("every change has ended", func() bool { return s.unfinished() == 0 && s.results.complete() })
	st, err := s.js.Stream(context.Background(), s.names.ResultsStream())
	if err != nil {
		s.t.Fatal(err)
	}
	last := st.CachedInfo().State.LastSeq
	s.wait("every result has been heard", func() bool { return s.results.heard() >= last })
}

// flags returns the flags that were set for an agent, in order.
func (s *site) flags(agent string) string {
	flags := []string{}
	for _, c := range s.gateway.CallsOf(agent).Applied() {
		flags = append(flags, c.Flag)
	}
	return fmt.Sprint(flags)
}
