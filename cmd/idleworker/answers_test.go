package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

func TestRefusedForGoodFailsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	s.signIn("1001")
	s.gateway.On("1001", gatewaytest.Rule{Retcode: "000-002", Message: "bad parameter"})
	s.publish(`{"agent_id":"1001","flag":"false"}`)
	r := s.waitEnded(1)[0]
	if r.Outcome != messages.Failed || r.Retcode != "000-002" || r.Message != "bad parameter" || r.Attempts != 1 {
		t.Errorf("result %+v", r)
	}
	if letters := s.letters(1); letters[0] != `{"agent_id":"1001","flag":"false"}` {
		t.Errorf("dead letter %s", letters[0])
	}
	if n := s.gateway.NumCalls(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestPassingTroubleIsTriedAgainWithGrowingPauses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start("IDLE_MAX_ATTEMPTS=5", "IDLE_BACKOFF_INITIAL=40ms", "IDLE_BACKOFF_MULTIPLIER=2", "IDLE_BACKOFF_JITTER=0.5")
	s.signIn("1001")
	s.gateway.On("1001", gatewaytest.Rule{Retcode: "100-007"})
	s.publish(`{"agent_id":"1001","flag":"false"}`)
	if r := s.waitEnded(1)[0]; r.Outcome != messages.Failed || r.Retcode != "100-007" || r.Attempts != 5 {
		t.Errorf("result %+v", r)
	}
	calls := s.gateway.Calls()
	if len(calls) != 5 {
		t.Fatalf("%d calls, want 5", len(calls))
	}
	for i, least := 1, 20*time.Millisecond; i < len(calls); i, least = i+1, 2*least {
		if pause := calls[i].At.Sub(calls[i-1].Done); pause < least-time.Millisecond {
			t.Errorf("pause %d: %v, want %v or more", i, pause, least)
		}
	}
	s.letters(1)
}

func TestSessionTroubleWaitsWithoutCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("IDLE_MAX_ATTEMPTS=1")
	s.signIn("1001", "1002")
	s.await(func() bool { return w.metric("idlepolicy_sessions") == 2 }, func() string { return "a worker that knows both sessions" })
	next := s.gateway.Rotate("1001") // the registry does not know it yet
	s.publish(`{"agent_id":"1001","flag":"false"}`)
	s.await(func() bool { return len(s.seen()) == 1 }, func() string { return "a result, got " + describe(s.seen()) })
	if r := s.seen()[0]; r.Outcome != messages.Waiting || r.Retcode != "100-006" {
		t.Errorf("result %+v, want waiting with 100-006", r)
	}
	// Longer than any pause between attempts would be, told by the clock of the site: other changes come and go.
	for i, began := 0, time.Now(); time.Since(began) < 300*time.Millisecond; i++ {
		s.publish(fmt.Sprintf(`{"agent_id":"1002","flag":"w%d"}`, i))
		s.waitEnded(i + 1)
	}
	if n := len(s.gateway.CallsOf("1001")); n != 1 {
		t.Errorf("%d calls before the session changed, want 1", n)
	}
	s.putSession("1001", messages.Session{GUID: next})
	s.await(func() bool { flag, _ := s.gateway.Flag("1001"); return flag == "false" }, func() string { return "the flag, got " + describe(s.seen()) })
	if n := len(s.gateway.CallsOf("1001")); n != 2 {
		t.Errorf("%d calls in all, want 2", n)
	}
}

func TestAgentWhoIsNotSignedInIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	s.publish(`{"agent_id":"1001","flag":"false"}`)
	s.await(func() bool { return len(s.seen()) == 1 }, func() string { return "a result" })
	if r := s.seen()[0]; r.Outcome != messages.Waiting || s.gateway.NumCalls() != 0 {
		t.Errorf("result %+v after %d calls, want waiting and none", r, s.gateway.NumCalls())
	}
	s.signIn("1001")
	if r := s.waitEnded(1)[0]; r.Outcome != messages.Applied {
		t.Errorf("result %+v", r)
	}
}

func TestRefusedConnectionEndsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start("IDLE_MAX_ATTEMPTS=1")
	s.signIn("1001", "1002")
	if err := s.gateway.SetOutage(gatewaytest.Refusing); err != nil {
		t.Fatal(err)
	}
	s.publish(`{"agent_id":"1001","flag":"false"}`, `{"agent_id":"1002","flag":"false"}`)
	s.await(func() bool { return strings.Contains(w.Output(), "the gate holds calls back") },
		func() string { return "the log to say that calls are held back:\n" + w.Output() })
	if ended := s.ended(); len(ended) > 0 {
		t.Errorf("ended meanwhile: %s", describe(ended))
	}
	if err := s.gateway.SetOutage(gatewaytest.NoOutage); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.waitEnded(2) {
		if r.Outcome != messages.Applied || r.Attempts != 1 {
			t.Errorf("result %+v, want applied with 1 attempt", r)
		}
	}
	if !strings.Contains(w.Output(), "the gate is open again") {
		t.Error("the log does not say that the outage is over")
	}
}
