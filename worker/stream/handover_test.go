package stream

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
	"idlepolicy/worker/view"
)

// The standby would wait an hour if it did not find out that nothing of its predecessor may still land.
func TestCleanStopHandsOverWithoutTheHold(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	a := s.startOwner("a")
	b := s.start("b")
	s.wait("b stands by for a", func() bool { st := b.owner.State(); return st.Role == view.RoleStandby && st.Owner == "a" })
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("it waits for the agent", func() bool { return len(s.results()) == 1 })
	stopped := time.Now()
	a.finish()
	s.waitOwner(b)
	t.Logf("handed over in %v", time.Since(stopped).Round(time.Millisecond))
	s.signIn("1001", "g")
	s.waitFinished()
	s.wantResults("waiting 1001 c1", "applied 1001 c1")
	if st := b.owner.State(); st.Owner != "b" || st.Since.Before(stopped) || st.Trouble != "" {
		t.Errorf("b says of itself %+v", st)
	}
}

// An owner that was lost leaves calls behind that may still land: its agents wait one gateway time-out, others do not.
func TestLostOwnerIsWaitedFor(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	a := s.startOwner("a")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("it waits for the agent", func() bool { return len(s.results()) == 1 })
	a.owner.Conn.Close() // as good as dead: what it would say at its end reaches nobody
	s.startOwner("b")
	s.signIn("1001", "g")
	s.signIn("1002", "g")
	s.publish(`{"agent_id":"1002","flag":"f","id":"c2"}`)
	s.wait("the other agent's change is applied", func() bool { return len(s.results()) == 2 })
	s.wantResults("waiting 1001 c1", "applied 1002 c2")
	if calls := s.gateway.made(); len(calls) != 1 || calls[0] != "1002 f g" {
		t.Errorf("calls: %q", calls)
	}
}

// rival is a journal beside the one of the owner: what another owner would have stored.
func (s *site) rival(t *testing.T) *journal {
	t.Helper()
	o := &Owner{Conn: s.nc, Layout: s.layout, Log: quiet, js: s.js}
	o.troubles.logTo(quiet)
	j, err := newJournal(t.Context(), o, &inbox{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); j.run(t.Context()) }()
	t.Cleanup(func() { <-done })
	return j
}

// storeApplied stores that a change was applied, as an owner would, and returns the error.
func (s *site) storeApplied(t *testing.T, j *journal, agent string, seq, expect uint64) error {
	t.Helper()
	st, err := s.js.Stream(t.Context(), s.layout.Names.ChangesStream())
	if err != nil {
		t.Fatal(err)
	}
	pos := ledger.Position{Incarnation: st.CachedInfo().Created.UnixNano(), Seq: seq}
	ledger := ledger.Ledger{Done: pos, Newest: ledger.Effect{At: time.Now().UnixNano(), Pos: pos, ID: "c1"}}
	text, _ := ledger.AppendText(nil)
	rec := worker.Record{Pos: pos, Expect: expect, Ledger: text, Result: appliedResult(agent, seq)}
	stored := make(chan error, 1)
	j.Store(rec, func(_ uint64, _ worker.Kept, err error) { stored <- err })
	return <-stored
}

func TestDeposedOwnersResultIsRefusedAndUnderstood(t *testing.T) {
	s := newSite(t)
	called, goOn := make(chan struct{}), make(chan struct{})
	s.gateway.answer = func(worker.Call) worker.Answer {
		close(called)
		<-goOn
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	s.startOwner("a")
	s.signIn("1001", "g")
	seq := s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	<-called
	if err := s.storeApplied(t, s.rival(t), "1001", seq, 0); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	s.waitFinished()
	s.wantResults("applied 1001 c1")
	if r := s.results()[0]; r.Message != "by the rival" {
		t.Errorf("the deposed owner's result took the place of the other one: %+v", r)
	}
}

func TestStoredResultIsAcknowledgedWithoutACall(t *testing.T) {
	s := newSite(t)
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	s.signIn("1001", "g")
	seq := s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	if err := s.storeApplied(t, s.rival(t), "1001", seq, 0); err != nil {
		t.Fatal(err)
	}
	s.start("a")
	s.waitFinished()
	s.wantResults("applied 1001 c1")
	if calls := s.gateway.made(); len(calls) > 0 {
		t.Errorf("calls: %q", calls)
	}
}

func TestMessagesThatComeAgainFindTheirChanges(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	var all []uint64
	for _, agent := range []string{"1001", "1002", "1003"} {
		all = append(all, s.publish(`{"agent_id":"`+agent+`","flag":"f"}`))
	}
	all = append(all, s.publish(`{"agent_id":"1001","flag":"g","effective_at":"2099-01-01T00:00:00Z","id":"later"}`))
	s.wait("all wait", func() bool { return len(s.results()) == 4 })
	s.resetConsumer()
	s.wait("all came again", func() bool { return s.delivered() >= 4 })
	for _, agent := range []string{"1001", "1002", "1003"} {
		s.signIn(agent, "g")
	}
	s.publish(`{"agent_id":"1001","id":"later","cancel":true}`)
	s.waitFinished()
	s.wantOneEndingEach(all)
	if n := len(s.gateway.made()); n != 3 {
		t.Errorf("%d calls for 3 changes", n)
	}
}

// A standby that looked while nobody was the owner may ask for its reset after another has begun. What comes twice then must
// not be taken for all there is: the change at the end would be acknowledged without an ending.
func TestLateResetOfAStandby(t *testing.T) {
	s := newSite(t)
	s.hold = time.Millisecond
	a := s.startOwner("a")
	signIn := func() {
		s.signIn("1001", fmt.Sprintf(`{"guid":"g","signed_in_at":%q}`, time.Now().Format(time.RFC3339Nano)))
	}
	signIn()
	s.publish(`{"agent_id":"1001","flag":"f","id":"now"}`)
	s.waitFinished()
	const others = 4000
	for i := range others {
		body := fmt.Appendf(nil, `{"agent_id":%d,"flag":"f"}`, 2000+i)
		if _, err := s.js.PublishAsync(s.layout.Names.Changes(), body); err != nil {
			t.Fatal(err)
		}
	}
	<-s.js.PublishAsyncComplete()
	s.publish(`{"agent_id":"1001","flag":"g","id":"later","effective_at":"2099-01-01T00:00:00Z"}`)
	s.wait("all wait", func() bool { return s.stored() == others+2 })
	a.finish()
	signIn() // what is in force is reapplied as soon as all was read
	s.startOwner("b")
	s.wait("half of them are delivered", func() bool { return s.delivered() > others/2 })
	s.resetConsumer()
	s.wait("it is reapplied", func() bool { return s.stored() == others+3 })
	l, err := readLedger(t.Context(), s.js, s.layout.Names, "1001")
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Open) != 1 {
		t.Errorf("the ledger calls %v open, want the change that waits for its instant", l.Open)
	}
}

// What the owner was handed says nothing any more once somebody else had the consumer begin again: it takes over from itself.
func TestResetBySomebodyElseEndsTheTerm(t *testing.T) {
	s := newSite(t)
	a := s.startOwner("a")
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("it waits for the agent", func() bool { return len(s.results()) == 1 })
	_, before, err := a.owner.readOwners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.resetConsumer()
	s.wait("another term has begun", func() bool {
		_, rev, err := a.owner.readOwners(t.Context())
		return err == nil && rev > before
	})
	s.signIn("1001", "g")
	s.waitFinished()
	s.wantResults("waiting 1001 c1", "applied 1001 c1")
}

func (s *site) resetConsumer() {
	s.t.Helper()
	if _, err := s.js.ResetConsumer(context.Background(), s.layout.Names.ChangesStream(), consumerName); err != nil {
		s.t.Fatal(err)
	}
}

// delivered is how many messages the consumer has sent since it was made or reset.
func (s *site) delivered() uint64 {
	s.t.Helper()
	c, err := s.js.Consumer(context.Background(), s.layout.Names.ChangesStream(), consumerName)
	if err != nil {
		s.t.Fatal(err)
	}
	return c.CachedInfo().Delivered.Consumer
}

// quiet writes nothing down.
var quiet = slog.New(slog.DiscardHandler)

func appliedResult(agent string, seq uint64) messages.Result {
	now := time.Now().UTC()
	return messages.Result{
		Outcome: messages.Applied, AgentID: agent, Retcode: "0", Message: "by the rival", Flag: "f", ChangeID: "c1", ChangeSeq: seq,
		Attempts: 1, ReceivedAt: now, EffectiveAt: now, ValidUntil: now.Add(time.Hour), FinishedAt: now,
	}
}
