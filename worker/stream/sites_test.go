package stream_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

// siteGateway keeps which sessions it was called with.
type siteGateway struct {
	mu    sync.Mutex // guards guids
	guids map[string]int
}

func (g *siteGateway) Set(_ context.Context, c worker.Call) worker.Answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guids[c.Session.GUID]++
	return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
}

func (g *siteGateway) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.guids))
}

// prefixed is one of several sites on a server.
type prefixed struct {
	names   messages.Names
	gateway *siteGateway
	desk    *desk.Desk
	signed  *worker.Sessions // as its worker knows them
}

func startPrefixed(t *testing.T, url, prefix string) *prefixed {
	t.Helper()
	p := &prefixed{names: messages.Names{Prefix: prefix}, gateway: &siteGateway{guids: map[string]int{}}}
	log := slog.New(slog.DiscardHandler)
	options := stream.Options{URLs: []string{url}, Name: prefix, Log: log}
	nc, err := stream.Connect(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	layout := stream.Layout{Names: p.names, Retention: time.Hour, Takeover: 3 * time.Second}
	if _, err := stream.Prepare(t.Context(), nc, layout); err != nil {
		t.Fatal(err)
	}
	p.signed = worker.NewSessions()
	w := &worker.Worker{Gateway: p.gateway, Sessions: p.signed, Policy: worker.Policy{Names: p.names}, Log: log}
	owner := &stream.Owner{Conn: nc, Layout: layout, Lease: stream.NewLease(layout), Worker: w, Name: prefix, Hold: time.Millisecond, Log: log}
	service := &stream.Service{Conn: nc, Names: p.names, Owner: owner, Worker: w, Log: log}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { owner.FollowSessions(ctx) })
	running.Go(func() { reportError(t, service.Run(ctx)) })
	running.Go(func() { reportError(t, owner.Run(ctx)) })
	t.Cleanup(func() { cancel(); running.Wait(); nc.Close() })
	if p.desk, err = desk.Open(t.Context(), options, p.names); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.desk.Close)
	waitRole(t, owner, view.RoleOwner)
	return p
}

// The same agents with the same batches at three sites of one server, one of whose names begins with another's.
func TestSitesDoNotTouchEachOther(t *testing.T) {
	url := natstest.Start(t).ClientURL()
	agents := []string{"1001", "1002", "1003"}
	sites := map[string]*prefixed{}
	for _, prefix := range []string{"site", "site.west", "north"} {
		sites[prefix] = startPrefixed(t, url, prefix)
	}
	for prefix, p := range sites {
		for _, agent := range agents {
			if _, err := p.desk.PutSession(t.Context(), agent, messages.Session{GUID: "guid-at-" + prefix, SignedInAt: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		p.waitSignedIn(t, len(agents))
	}
	if _, err := sites["north"].desk.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"site", "site.west"} { // a pause at north holds nobody else up
		publishAndWait(t, sites[prefix].desk, "same", agents...)
	}
	if calls := sites["north"].gateway.seen(); len(calls) > 0 {
		t.Errorf("the paused site called its gateway: %v", calls)
	}
	if _, err := sites["north"].desk.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	publishAndWait(t, sites["north"].desk, "same", agents...)
	for prefix, p := range sites {
		p.wantOnlyItsOwn(t, prefix, agents)
	}
}

// waitSignedIn waits until the worker knows so many sessions: a change that it reads before would wait for a sign-in.
func (p *prefixed) waitSignedIn(t *testing.T, n int) {
	t.Helper()
	for tick := time.Tick(5 * time.Millisecond); p.signed.Len() != n; {
		select {
		case <-tick:
		case <-t.Context().Done():
			t.Fatalf("the worker knows %d sessions, want %d", p.signed.Len(), n)
		}
	}
}

func (p *prefixed) wantOnlyItsOwn(t *testing.T, prefix string, agents []string) {
	t.Helper()
	if got, want := p.gateway.seen(), []string{"guid-at-" + prefix}; !slices.Equal(got, want) {
		t.Errorf("the gateway of %s was called with %v", prefix, got)
	}
	var got, want []string
	if err := p.desk.Results(t.Context(), desk.Query{All: true}, func(e desk.Event) error {
		got = append(got, fmt.Sprintf("%s %s", e.Outcome, e.AgentID))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, agent := range agents {
		want = append(want, "applied "+agent)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("results of %s: %v", prefix, got)
	}
}
