package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	worker "idlepolicy/cmd/internal/service"
	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

// realWorker runs the whole worker of the site, and its gateway, until the test is over.
func (s *site) realWorker() *gatewaytest.Gateway {
	s.t.Helper()
	g, err := gatewaytest.Start(gatewaytest.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(g.Close)
	ca, err := g.WriteCA(s.t.TempDir())
	if err != nil {
		s.t.Fatal(err)
	}
	client, _ := s.environment() // cannot fail
	w := &worker.Service{Name: "host-a", Log: slog.New(slog.DiscardHandler), Config: config.Config{
		Client: client, Gateway: config.Gateway{GatewayURL: g.URL(), GatewayCA: ca, GatewayTimeout: 30 * time.Second}, Replicas: 1, Retention: time.Hour,
		Takeover: 3 * time.Second, MaxInFlight: 4, MaxAttempts: 8, Validity: time.Hour, ShutdownGrace: 10 * time.Second,
		BackoffInitial: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond, BackoffMultiplier: 2,
	}}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- w.Run(ctx) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-over; err != nil && !errors.Is(err, context.Canceled) {
			s.t.Error(err)
		}
	})
	return g
}

// explained asks about an agent until the tool's answer has the text, and returns the answer.
func (s *site) explained(agent, text string) string {
	s.t.Helper()
	var o outcome
	for deadline := time.Now().Add(natstest.Patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if o = s.run("explain", agent); strings.Contains(o.out, text) {
			return o.out
		}
	}
	s.t.Fatalf("explain %s never said %q, but:\n%s%s", agent, text, o.out, o.errout)
	return ""
}

// Why has agent 1001 not got its policy? Five causes, each named in one sentence by one command.
func TestExplainNamesTheCause(t *testing.T) {
	s := newSite(t)
	g := s.realWorker()
	signIn := func(agent string) {
		s.run("session", "put", agent, "--guid", g.SignIn(agent)).want(t, statusFine)
	}
	publish := func(body string) {
		o := s.runWith(t.Context(), body, "publish", "-", "--format", "jsonl")
		o.want(t, statusFine)
	}

	publish(`{"agent_id":"1001","flag":"false","id":"late-shift"}`)
	s.explained("1001", "it waits for the agent to sign in")

	kv, err := s.js.KeyValue(t.Context(), s.names.SessionsBucket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "1001", `{"guid":17}`); err != nil {
		t.Fatal(err)
	}
	s.explained("1001", "counts as not signed in, because the record in the registry cannot be used: guid: ")

	s.run("session", "put", "1001", "--guid", "0123456789abcdef", "--gateway-url", "https://elsewhere:8043").want(t, statusFine)
	if out := s.explained("1001", "its session's gateway_url is ignored, the configured gateway is called: its host is not among"); strings.Contains(out, "elsewhere") {
		t.Errorf("what the record has is shown:\n%s", out)
	}

	signIn("1002")
	publish(`{"agent_id":"1002","flag":"false","id":"tonight","effective_at":"2999-01-01T00:00:00Z"}`)
	s.explained("1002", "wrap-up (flag false) of change tonight, in ")

	signIn("1003")
	g.On("1003", gatewaytest.Rule{Retcode: "000-002", Message: "invalid parameter"})
	publish(`{"agent_id":"1003","flag":"false","id":"refused"}`)
	s.explained("1003", "change refused failed with retcode 000-002: invalid parameter")

	signIn("1004")
	publish(`{"agent_id":"1004","flag":"true","id":"newer"}`)
	s.explained("1004", "has idle after a call")
	publish(`{"agent_id":"1005","flag":"false","id":"older"}`)
	s.explained("1005", "wrap-up (flag false) is not in force yet")
	publish(`{"agent_id":"1005","flag":"true","id":"newer"}`)
	s.explained("1005", "older                     a newer change for this agent took effect")
	if out := s.explained("1005", "idle after a call is not in force yet"); !strings.Contains(out, string(messages.Superseded)) {
		t.Errorf("the older change is not shown as superseded:\n%s", out)
	}

	signIn("1007")
	g.On("1007", gatewaytest.Rule{Status: 500})
	publish(`{"agent_id":"1007","flag":"false","id":"its own node"}`)
	s.explained("1007", "it pauses before another attempt")
	s.explained("1007", "the last call came to nothing: ")

	if err := g.SetOutage(gatewaytest.Refusing); err != nil {
		t.Fatal(err)
	}
	signIn("1006")
	publish(`{"agent_id":"1006","flag":"false","id":"outage"}`)
	s.explained("1006", "wrap-up (flag false) is not in force yet: it is due, and waits for the gate")
	if o := s.run("status"); !strings.Contains(o.out, "refused") {
		t.Errorf("the status does not say that the gateway refuses connections:\n%s", o.out)
	}
	if err := g.SetOutage(gatewaytest.NoOutage); err != nil {
		t.Fatal(err)
	}
	s.explained("1006", "has wrap-up (flag false)")
}
