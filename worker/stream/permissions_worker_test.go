package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

// strictGateway refuses one agent for good.
type strictGateway string

func (s strictGateway) Set(_ context.Context, c worker.Call) worker.Answer {
	if c.AgentID == string(s) {
		return worker.Answer{Class: worker.Refused, Retcode: "000-002", Message: "no"}
	}
	return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
}

// startReplica runs the real worker as its own user, with all that speaks NATS, and returns how to stop it.
func (g *guarded) startReplica(name string) (*stream.Owner, func()) {
	g.t.Helper()
	log := slog.New(slog.NewTextHandler(&deniedLog{g.refused}, nil))
	o := g.options(theWorker)
	o.Name, o.Log = name, log
	nc, err := stream.Connect(g.t.Context(), o)
	if err != nil {
		g.t.Fatal(err)
	}
	layout := stream.Layout{Names: guardedNames, Retention: time.Hour, Takeover: 3 * time.Second}
	signedIn := worker.NewSessions()
	w := &worker.Worker{Gateway: strictGateway("1002"), Sessions: signedIn, Log: log}
	owner := &stream.Owner{Conn: nc, Layout: layout, Lease: stream.NewLease(layout), Worker: w, Name: name, Hold: time.Millisecond, Finished: 5 * time.Second, Log: log}
	service := &stream.Service{Conn: nc, Names: guardedNames, Owner: owner, Worker: w, Log: log}
	serving, stopServing := context.WithCancel(context.WithoutCancel(g.t.Context()))
	owning, stopOwning := context.WithCancel(context.WithoutCancel(g.t.Context()))
	var around, running sync.WaitGroup
	around.Go(func() { owner.FollowSessions(serving) })
	around.Go(func() { reportError(g.t, service.Run(serving)) })
	running.Go(func() { reportError(g.t, owner.Run(owning)) })
	stop := sync.OnceFunc(func() {
		stopOwning()
		running.Wait()
		stopServing()
		around.Wait()
		nc.Close()
	})
	g.t.Cleanup(stop)
	return owner, stop
}

func reportError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// deniedLog adds what a program says of denied subjects to what the server says of them.
type deniedLog struct{ refused *refusals }

func (d *deniedLog) Write(line []byte) (int, error) {
	if strings.Contains(strings.ToLower(string(line)), "permission") || strings.Contains(string(line), "denies") {
		d.refused.Errorf("%s", line)
	}
	return len(line), nil
}

// Worker and operator can do all they do, and the server has nothing to refuse.
func TestPermissionsAreEnoughForWorkerAndOperator(t *testing.T) {
	g := newGuarded(t)
	first, stopFirst := g.startReplica("a")
	waitRole(t, first, view.RoleOwner)
	second, _ := g.startReplica("b")
	waitRole(t, second, view.RoleStandby)
	d, err := desk.Open(t.Context(), g.options(operator), guardedNames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	operate(t, d)
	askWorker(t, d)
	stopFirst()
	waitRole(t, second, view.RoleOwner)
	publishAndWait(t, d, "after", "1001", "1002") // 1003 has signed out
	if said := g.refused.all(); len(said) > 0 {
		t.Errorf("refused:\n%s", strings.Join(said, "\n"))
	}
}

// A publisher may not look at the stream, and has the answer to each message instead. What it may not publish is named.
func TestPublisherMayUseTheTool(t *testing.T) {
	g := newGuarded(t)
	g.prepare()
	for _, test := range []struct {
		names  messages.Names
		denied string
	}{{guardedNames, ""}, {messages.Names{Prefix: "elsewhere"}, `"elsewhere.changes"`}} {
		d, err := desk.Open(t.Context(), g.options(publisher), test.names)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		var stored []desk.Stored
		err = d.Publish(t.Context(), func(yield func(desk.Publication) bool) {
			yield(desk.Publication{ID: "c-1", Body: []byte(`{"agent_id":"1001","flag":"true"}`), Agents: []string{"1001"}})
		}, func(s desk.Stored) { stored = append(stored, s) })
		switch {
		case test.denied == "" && (err != nil || len(stored) != 1 || stored[0].Seq != 1):
			t.Errorf("stored %v, %v", stored, err)
		case test.denied != "" && (err == nil || !strings.Contains(err.Error(), test.denied)):
			t.Errorf("publishing to %s says: %v", test.names.Prefix, err)
		}
	}
}

// Whoever uses the tool as the wrong user reads which one is right.
func TestTheToolNamesTheUserWhoMay(t *testing.T) {
	g := newGuarded(t)
	g.prepare()
	const operatorMay = "the user idlepolicy-operator of deploy/nats/accounts.conf may"
	for who, asks := range map[string]map[string]func(*desk.Desk) error{
		operatorMay: {
			publisher: func(d *desk.Desk) error {
				return d.Dead(t.Context(), desk.DeadQuery{}, func(desk.Letter) error { return nil })
			},
			sessions: func(d *desk.Desk) error { _, err := d.Pause(t.Context()); return err },
		},
		"the users idlepolicy-publisher and idlepolicy-operator of deploy/nats/accounts.conf may": {
			observer: func(d *desk.Desk) error {
				return d.Publish(t.Context(), func(yield func(desk.Publication) bool) {
					yield(desk.Publication{ID: "c-1", Body: []byte(`{"agent_id":"1001","flag":"true"}`), Agents: []string{"1001"}})
				}, func(desk.Stored) {})
			},
		},
	} {
		for as, ask := range asks {
			d, err := desk.Open(t.Context(), g.options(as), guardedNames)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.Close)
			if err := ask(d); err == nil || !strings.Contains(err.Error(), who) {
				t.Errorf("as %s: %v, want %q", as, err, who)
			}
		}
	}
}

func waitRole(t *testing.T, o *stream.Owner, role string) {
	t.Helper()
	for tick := time.Tick(5 * time.Millisecond); o.State().Role != role; {
		select {
		case <-tick:
		case <-t.Context().Done():
			t.Fatalf("never the %s: %+v", role, o.State())
		}
	}
}

// operate does what idlectl does with what is stored.
func operate(t *testing.T, d *desk.Desk) {
	t.Helper()
	for _, agent := range []string{"1001", "1002", "1003"} {
		if _, err := d.PutSession(t.Context(), agent, messages.Session{GUID: "guid-of-" + agent, SignedInAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	publishAndWait(t, d, "before", "1001", "1002", "1003")
	if sum, err := d.Batch(t.Context(), "before", func() {}, func(messages.BatchProgress) {}); err != nil || sum.Failed != 1 || sum.Applied != 2 {
		t.Errorf("batch: %+v, %v", sum, err)
	}
	for what, do := range map[string]func() error{
		"the last results": func() error {
			return d.Results(t.Context(), desk.Query{Last: 5}, func(desk.Event) error { return nil })
		},
		"results of one agent": func() error {
			return d.Results(t.Context(), desk.Query{All: true, Agent: "1001"}, func(desk.Event) error { return nil })
		},
		"sessions": func() error {
			return d.Sessions(t.Context(), func(desk.SessionEntry) error { return nil })
		},
		"sign out": func() error { return d.DeleteSession(t.Context(), "1003") },
		"overview": func() error { _, err := d.Overview(t.Context()); return err },
		"in force": func() error { _, err := d.InForce(t.Context(), "1001"); return err },
		"letters":  func() error { return bury(t, d) },
		"plans": func() error {
			one := []desk.PlanEntry{{Key: "1001", Value: []byte("x")}}
			for range 2 { // created and replaced
				if err := d.StorePlan(t.Context(), "roster", one); err != nil {
					return err
				}
			}
			one[0].Revision = 0
			if err := d.StorePlan(t.Context(), "roster", one); err != nil { // looks at what is stored
				return err
			}
			_, err := d.Plan(t.Context(), "roster")
			return err
		},
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func publishAndWait(t *testing.T, d *desk.Desk, batch string, agents ...string) {
	t.Helper()
	expected := desk.Expected{}
	if err := d.Publish(t.Context(), func(yield func(desk.Publication) bool) {
		for _, agent := range agents {
			body := fmt.Appendf(nil, `{"agent_id":%q,"flag":"true","batch_id":%q,"batch_total":%d}`, agent, batch, len(agents))
			if !yield(desk.Publication{ID: batch + agent, Body: body, Agents: []string{agent}}) {
				return
			}
		}
	}, func(s desk.Stored) { expected[s.Seq] = 1 }); err != nil {
		t.Fatal(err)
	}
	if err := d.Endings(t.Context(), expected, desk.Since{}, func(desk.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// bury looks at the dead letter, replays it and deletes both.
func bury(t *testing.T, d *desk.Desk) error {
	t.Helper()
	var seqs []uint64
	for len(seqs) == 0 { // it is stored after its result
		if err := d.Dead(t.Context(), desk.DeadQuery{Agent: "1002"}, func(l desk.Letter) error {
			seqs = append(seqs, l.Seq)
			return nil
		}); err != nil {
			return err
		}
	}
	plan, err := d.PlanReplay(t.Context(), seqs[0], false)
	if err != nil {
		return err
	}
	if err := d.Replay(t.Context(), &plan); err != nil {
		return err
	}
	if err := d.Endings(t.Context(), desk.Expected{plan.Seq: 1}, desk.Since{}, func(desk.Event) error { return nil }); err != nil {
		return err
	}
	n, err := d.Purge(t.Context(), seqs)
	if err == nil && n != 1 {
		err = fmt.Errorf("deleted %d dead letters", n)
	}
	return err
}

// askWorker does what idlectl asks the worker to do.
func askWorker(t *testing.T, d *desk.Desk) {
	t.Helper()
	for what, ask := range map[string]func() error{
		"status":  func() error { _, err := d.Status(t.Context()); return err },
		"explain": func() error { _, err := d.Explain(t.Context(), "1001"); return err },
		"pause":   func() error { _, err := d.Pause(t.Context()); return err },
		"rate":    func() error { _, err := d.Rate(t.Context(), 100); return err },
	} {
		if err := ask(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	var declined *desk.Declined
	if v, err := d.Resume(t.Context()); err != nil && !errors.As(err, &declined) || v.Paused {
		t.Errorf("resume: %+v, %v", v, err)
	}
}

// Without a permission the worker goes on trying, and its log says which one it lacks.
func TestTheLogNamesThePermissionThatIsMissing(t *testing.T) {
	for permission, subject := range map[string]string{
		`, "$JS.API.CONSUMER.RESET.IDLEPOLICY_CHANGES.worker"`: "$JS.API.CONSUMER.RESET.IDLEPOLICY_CHANGES.worker",
		`"idlepolicy.result.>", "idlepolicy.batch.>", `:        "idlepolicy.result.rejected.unknown",
		`"$KV.idlepolicy_control.*"`:                           "$KV.idlepolicy_control.owner",
	} {
		t.Run(subject, func(t *testing.T) {
			g := newGuarded(t, func(g *guarded) { g.replace(g.file("accounts.conf"), "accounts.conf", permission, "") })
			g.startReplica("a")
			g.publishUnusable()
			g.waitDenied(subject)
		})
	}
}

// publishUnusable publishes what only needs a result; the worker may not have made its stream yet.
func (g *guarded) publishUnusable() {
	g.t.Helper()
	js, err := jetstream.New(g.as(publisher))
	if err != nil {
		g.t.Fatal(err)
	}
	for {
		if _, err = js.Publish(g.t.Context(), "idlepolicy.changes", []byte(`{}`)); err == nil {
			return
		}
		if g.t.Context().Err() != nil {
			g.t.Fatal(err)
		}
	}
}

func (g *guarded) waitDenied(subject string) {
	g.t.Helper()
	over := time.After(natstest.Patience)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		for _, line := range g.refused.all() {
			if strings.Contains(line, "NATS denies the user") && strings.Contains(line, subject) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-over:
			g.t.Fatalf("the log does not name %s, only\n%s", subject, strings.Join(g.refused.all(), "\n"))
		}
	}
}
