package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// side is what is measured: its name is that of its role.
type side string

const (
	ours   side = "worker"
	byhand side = "by hand"
)

// arena is what a scenario takes place in: a NATS server with an empty store, and a gateway at which agents are signed in.
type arena struct {
	tb      testing.TB
	server  *process
	gateway *process
	js      jetstream.JetStream
	ca      string
	guids   []string // of the agents that are signed in
}

var names = messages.Names{Prefix: "idlepolicy"}

func newArena(tb testing.TB, agents int, environment ...string) *arena {
	tb.Helper()
	store := "IDLEBENCH_STORE=" + tb.TempDir()
	a := &arena{tb: tb, server: start(tb, "nats", store), gateway: start(tb, "gateway", append(environment, store)...)}
	a.ca = a.gateway.ask(order{Do: "ca"}).Text
	a.js = natstest.JetStream(tb, natstest.Connect(tb, a.server.ready), jetstream.WithPublishAsyncMaxPending(4096))
	_, err := stream.Layout{Names: names, Replicas: 1, Retention: 720 * time.Hour, Takeover: 3 * time.Second}.Ensure(tb.Context(), a.js)
	a.must(err)
	a.signIn(agents)
	return a
}

func (a *arena) must(err error) {
	a.tb.Helper()
	if err != nil {
		a.tb.Fatal(err)
	}
}

// signIn hands the sessions of all agents to the registry.
func (a *arena) signIn(agents int) {
	a.tb.Helper()
	a.guids = a.gateway.ask(order{Do: "sign in", N: agents}).Texts
	for i, guid := range a.guids {
		a.store("$KV."+names.SessionsBucket()+"."+strconv.Itoa(firstAgent+i), guid)
	}
	a.stored()
}

// publish stores changes for so many agents in turns.
func (a *arena) publish(changes, agents int) {
	a.tb.Helper()
	for i := range changes {
		a.store(names.Changes(), change(i%agents, i/agents, ""))
	}
	a.stored()
}

// change is the n-th change of an agent; more are further fields.
func change(agent, n int, more string) string {
	return fmt.Sprintf(`{"agent_id":"%d","flag":"f%d"%s}`, firstAgent+agent, n%1000, more)
}

func (a *arena) store(subject, text string) {
	a.tb.Helper()
	_, err := a.js.PublishAsync(subject, []byte(text), jetstream.WithStallWait(natstest.Patience))
	a.must(err)
}

func (a *arena) stored() {
	a.tb.Helper()
	select {
	case <-a.js.PublishAsyncComplete():
	case <-time.After(natstest.Patience):
		a.tb.Fatal("the NATS server does not store what was published")
	}
}

// begin starts a side; rate is in calls per second, 0 for no limit.
func (a *arena) begin(s side, rate float64, environment ...string) *process {
	a.tb.Helper()
	return start(a.tb, string(s), append(a.environment(rate), environment...)...) // the later one counts
}

// beginProgram starts a side for which memory counts: the real program, where there is one.
func (a *arena) beginProgram(s side, rate float64) *process {
	a.tb.Helper()
	if s == ours && *full && os.Getenv("IDLEBENCH_PROFILE") == "" {
		return program(a.tb, "idleworker", a.environment(rate)...)
	}
	return a.begin(s, rate)
}

func (a *arena) environment(rate float64) []string {
	return []string{
		"IDLE_NATS_URL=" + a.server.ready, "IDLE_GATEWAY_URL=" + a.gateway.ready, "IDLE_GATEWAY_CA=" + a.ca,
		"IDLE_HTTP_ADDR=127.0.0.1:0", "IDLE_LOG_LEVEL=warn", "IDLE_RATE=" + strconv.FormatFloat(rate, 'f', -1, 64),
	}
}

// until waits until something is so.
func (a *arena) until(what string, so func() bool) {
	a.tb.Helper()
	for end := time.Now().Add(natstest.Patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			a.tb.Fatal("never " + what)
		}
	}
}

func (a *arena) stream(name string) *jetstream.StreamInfo {
	a.tb.Helper()
	s, err := a.js.Stream(a.tb.Context(), name)
	a.must(err)
	return s.CachedInfo()
}

// results waits until so many results are stored and returns when the first and the last were.
func (a *arena) results(n int) (first, last time.Time) {
	a.tb.Helper()
	var state jetstream.StreamState
	a.until("were "+strconv.Itoa(n)+" results stored", func() bool {
		state = a.stream(names.ResultsStream()).State
		return state.Msgs >= uint64(n)
	})
	return state.FirstTime, state.LastTime
}

func (a *arena) calls() []seen { a.tb.Helper(); return a.gateway.ask(order{Do: "calls"}).Calls }

func (a *arena) countCalls() int { a.tb.Helper(); return a.gateway.ask(order{Do: "count"}).Count }

// each reads all results so far.
func (a *arena) each(f func(m jetstream.Msg, stored time.Time)) {
	a.tb.Helper()
	ctx, cancel := context.WithTimeout(a.tb.Context(), natstest.Patience)
	defer cancel()
	c, err := a.js.OrderedConsumer(ctx, names.ResultsStream(), jetstream.OrderedConsumerConfig{})
	a.must(err)
	for left := a.stream(names.ResultsStream()).State.Msgs; left > 0; left-- {
		m, err := c.Next(jetstream.FetchMaxWait(natstest.Patience))
		a.must(err)
		meta, err := m.Metadata()
		a.must(err)
		f(m, meta.Timestamp)
	}
}
