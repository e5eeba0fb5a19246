package stream

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// The standby would wait an hour if it did not find out that nothing of its predecessor may still land.
func TestCleanStopHandsOverWithoutTheHold(t *testing.T) {
	s := newSite(t)
	s.hold = time.Hour
	a := s.start("a")
	s.waitOwner(a)
	b := s.start("b")
	s.wait("b stands by for a", func() bool { st := b.owner.State(); return st.Role == RoleStandby && st.Owner == "a" })
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
	a := s.start("a")
	s.waitOwner(a)
	s.publish(`{"agent_id":"1001","flag":"f","id":"c1"}`)
	s.wait("it waits for the agent", func() bool { return len(s.results()) == 1 })
	a.owner.Conn.Close() // as good as dead: what it would say at its end reaches nobody
	b := s.start("b")
	s.waitOwner(b)
	s.signIn("1001", "g")
	s.signIn("1002", "g")
	s.publish(`{"agent_id":"1002","flag":"f","id":"c2"}`)
	s.wait("the other agent's change is applied", func() bool { return len(s.results()) == 2 })
	s.wantResults("waiting 1001 c1", "applied 1002 c2")
	if calls := s.desk.made(); len(calls) != 1 || calls[0] != "1002 f g" {
		t.Errorf("calls: %q", calls)
	}
}

// rival is a journal beside the one of the owner: what another owner would have stored.
func (s *site) rival(t *testing.T) *journal {
	t.Helper()
	o := &Owner{Conn: s.nc, Layout: s.layout, Log: quiet, js: s.js}
	o.troubles.log = quiet
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
	pos := worker.Position{Epoch: st.CachedInfo().Created.UnixNano(), Seq: seq}
	ledger := worker.Ledger{Done: pos, Newest: worker.Effect{At: time.Now().UnixNano(), Pos: pos, ID: "c1"}}
	text, _ := ledger.AppendText(nil)
	rec := worker.Record{Pos: pos, Expect: expect, Ledger: text, Result: appliedResult(agent, seq)}
	stored := make(chan error, 1)
	j.Store(rec, func(_ uint64, err error) { stored <- err })
	return <-stored
}

func TestDeposedOwnersResultIsRefusedAndUnderstood(t *testing.T) {
	s := newSite(t)
	called, goOn := make(chan struct{}), make(chan struct{})
	s.desk.answer = func(worker.Call) worker.Answer {
		close(called)
		<-goOn
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	a := s.start("a")
	s.waitOwner(a)
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
	if calls := s.desk.made(); len(calls) > 0 {
		t.Errorf("calls: %q", calls)
	}
}

func TestMessagesThatComeAgainFindTheirChanges(t *testing.T) {
	s := newSite(t)
	a := s.start("a")
	s.waitOwner(a)
	var all []uint64
	for _, agent := range []string{"1001", "1002", "1003"} {
		all = append(all, s.publish(`{"agent_id":"`+agent+`","flag":"f"}`))
	}
	all = append(all, s.publish(`{"agent_id":"1001","flag":"g","effective_at":"2099-01-01T00:00:00Z","id":"later"}`))
	s.wait("all wait", func() bool { return len(s.results()) == 4 })
	if _, err := s.js.ResetConsumer(t.Context(), s.layout.Names.ChangesStream(), consumerName); err != nil {
		t.Fatal(err)
	}
	s.wait("all came again", func() bool { return s.delivered() >= 4 })
	for _, agent := range []string{"1001", "1002", "1003"} {
		s.signIn(agent, "g")
	}
	s.publish(`{"agent_id":"1001","id":"later","cancel":true}`)
	s.waitFinished()
	s.wantOneEndingEach(all)
	if n := len(s.desk.made()); n != 3 {
		t.Errorf("%d calls for 3 changes", n)
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
