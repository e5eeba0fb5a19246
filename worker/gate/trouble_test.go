package gate

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// must asks for a call that nothing may keep back.
func must(t *testing.T, g *Gate, address, agent string, now time.Time) {
	t.Helper()
	if ok, again, why := g.Ask(address, agent, now); !ok {
		t.Fatalf("agent %s is kept back at %v until %v: %s", agent, now.Sub(origin), again.Sub(origin), why)
	}
}

func TestRetryAfterHoldsEverybody(t *testing.T) {
	g := newGate(100, 10, 32)
	now := origin.Add(time.Minute)
	for _, agent := range []string{"1001", "1002", "1003"} {
		must(t, g, "", agent, now)
	}
	g.Report(Report{Agent: "1001", Sent: now, Kind: Busy, RetryAfter: 3 * time.Second, Why: "503"}, now)
	g.Report(Report{Agent: "1002", Sent: now, Kind: Busy, RetryAfter: time.Second, Why: "429"}, now) // asks for less
	open := now.Add(3 * time.Second)
	for _, address := range []string{"", "other:8043"} {
		if ok, again, why := g.Ask(address, "1999", now.Add(time.Second)); ok || !again.Equal(open) || why != RetryAfter {
			t.Errorf("asked: %v, again at %v, %s", ok, again, why)
		}
	}
	if s := g.State(now); s.State != "shut" || !strings.Contains(s.Why, "503") || !s.Since.Equal(now) || !s.Until.Equal(open) {
		t.Errorf("state %+v", s)
	}
	answer(g, "1003", now, open.Add(-ms)) // sent before: no reason to send more
	if ok, _, _ := g.Ask("", "1999", open.Add(-ms)); ok {
		t.Error("a call went before its time")
	}
	must(t, g, "", "1001", open)
	if ok, _, why := g.Ask("", "1002", open.Add(ms)); ok || why != Breaker {
		t.Errorf("a second call went beside the probe: %s", why)
	}
	answer(g, "1001", open, open.Add(10*ms))
	if n := len(pull(t, g, open.Add(10*ms), open.Add(time.Second))); n < 70 || n > 100 {
		t.Errorf("%d calls in the second after the probe", n)
	}
}

func TestRetryAfterIsCappedAndEndsWhenResumed(t *testing.T) {
	g := newGate(100, 10, 32)
	now := origin.Add(time.Minute)
	must(t, g, "", "1001", now)
	g.Report(Report{Agent: "1001", Sent: now, Kind: Busy, RetryAfter: time.Hour}, now)
	if s := g.State(now); !s.Until.Equal(now.Add(10 * time.Minute)) {
		t.Errorf("held until %v", s.Until.Sub(now))
	}
	later := now.Add(time.Minute)
	g.Resume(now, later) // said before the hold began, of an older one
	if ok, _, _ := g.Ask("", "1001", later); ok {
		t.Error("an operator who resumed earlier ended it")
	}
	g.Resume(later, later)
	must(t, g, "", "1001", later)
	if ok, _, _ := g.Ask("", "1002", later); ok {
		t.Error("more than one probe after an operator resumed")
	}
	answer(g, "1001", later, later.Add(ms))
	must(t, g, "", "1002", later.Add(100*ms))
}

func TestCallsThatWereNotSentCountAsNothing(t *testing.T) {
	g := newGate(0, 1, 32)
	now := origin.Add(time.Minute)
	for i := range 32 {
		must(t, g, "", strconv.Itoa(i), now)
		g.Report(Report{Agent: strconv.Itoa(i), Sent: now, Kind: NotSent}, now)
		if ok, again, why := g.Ask("", "x", now); ok || !again.Equal(now.Add(leaseLook)) || why != Lease {
			t.Fatalf("asked after a call that was not sent: %v, %v, %s", ok, again, why)
		}
		now = now.Add(leaseLook)
	}
	if g.Tally("") != (Tally{}) || g.InFlight() != 0 || g.State(now).State != "open" {
		t.Errorf("%+v, %d in flight, %+v", g.Tally(""), g.InFlight(), g.State(now))
	}
}

// fail has calls of several agents fail one after the other, and returns how many it took until the gate kept one back.
func fail(t *testing.T, g *Gate, address string, now time.Time, agent func(n int) string, connect bool) int {
	t.Helper()
	for n := range 100 {
		if ok, _, why := g.Ask(address, agent(n), now); !ok {
			if why != Breaker {
				t.Fatalf("kept back by %s", why)
			}
			return n
		}
		g.Report(Report{Address: address, Agent: agent(n), Sent: now, Kind: Fault, Connect: connect, Why: "reset"}, now)
	}
	return 100
}

func TestBreakerTripsAfterARow(t *testing.T) {
	now := origin.Add(time.Minute)
	alone := func(int) string { return "1001" }
	tests := []struct {
		name    string
		agent   func(n int) string
		connect bool
		want    int
	}{
		{"several agents", strconv.Itoa, false, enoughFaults},
		{"one agent", alone, false, 100},
		{"one agent and nobody listens", alone, true, enoughFaults},
	}
	for _, test := range tests {
		if got := fail(t, newGate(0, 1, 32), "", now, test.agent, test.connect); got != test.want {
			t.Errorf("%s: kept back after %d faults, want %d", test.name, got, test.want)
		}
	}
}

func TestBreakerOfOneAddressIsNobodyElses(t *testing.T) {
	g := newGate(0, 1, 32)
	now := origin.Add(time.Minute)
	must(t, g, "", "good", now)
	fail(t, g, "node2:8043", now, strconv.Itoa, false)
	must(t, g, "", "1001", now)
	s := g.State(now)
	if s.State != "probing" || !strings.Contains(s.Why, "node2:8043") || !strings.Contains(s.Why, "reset") {
		t.Errorf("state %+v", s)
	}
	if s := g.State(now.Add(longUnasked + time.Second)); s.State != "open" {
		t.Errorf("an address that nobody asks for any more: %+v", s)
	}
	if g.Doubts("") || !g.Doubts("node2:8043") || !g.Decides("node2:8043", now) || g.Decides("", now) {
		t.Error("the doubts are about the wrong address")
	}
}

func TestBreakerClosesWithTheFirstAnswerToAProbe(t *testing.T) {
	g := newGate(500, 50, 32)
	now := origin.Add(time.Minute)
	must(t, g, "", "slow", now.Add(-time.Second))
	fail(t, g, "", now, strconv.Itoa, false)
	answer(g, "slow", now.Add(-time.Second), now.Add(ms)) // it says nothing of what came later
	if ok, _, _ := g.Ask("", "1001", now.Add(2*ms)); ok {
		t.Fatal("an old answer closed the breaker")
	}
	probe := now.Add(firstProbe)
	must(t, g, "", "1001", probe)
	answer(g, "1001", probe, probe.Add(10*ms))
	calls := pull(t, g, probe.Add(10*ms), probe.Add(2*time.Second))
	if n := count(calls, probe, probe.Add(110*ms)); n > 40 {
		t.Errorf("%d calls in the first 100 ms", n)
	}
	if n := count(calls, probe.Add(900*ms), probe.Add(1900*ms)); n < 495 {
		t.Errorf("%d calls in the second from 0.9 s on", n)
	}
}

func count(calls []time.Time, from, to time.Time) int {
	n := 0
	for _, at := range calls {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// Late time-outs of calls that hung say nothing once others were answered.
func TestLateTimeOutsSayNothing(t *testing.T) {
	g := newGate(0, 1, 64)
	for i := range 20 {
		must(t, g, "", "hung"+strconv.Itoa(i), origin)
		must(t, g, "", strconv.Itoa(i), origin.Add(ms))
		answer(g, strconv.Itoa(i), origin.Add(ms), origin.Add(2*ms))
	}
	now := origin.Add(5 * time.Second)
	for i := range 20 {
		g.Report(Report{Agent: "hung" + strconv.Itoa(i), Sent: origin, Kind: Fault}, now)
	}
	must(t, g, "", "1001", now)
}

// The row of faults that trips the breaker is so long that noise does not reach it: at 30 % less than once in 10,000
// calls, at 50 % less than once in 1,000, however many calls are in flight and however soon a fault comes back.
func TestNoiseDoesNotTripTheBreaker(t *testing.T) {
	tests := []struct {
		share  float64
		once   int
		fault  time.Duration
		proper time.Duration
	}{{0.3, 10_000, 10 * ms, 10 * ms}, {0.3, 10_000, ms, 100 * ms}, {0.5, 1000, 10 * ms, 10 * ms}, {0.5, 1000, ms, 100 * ms}, {0.5, 1000, 50 * ms, ms}}
	for _, test := range tests {
		random := rand.New(rand.NewPCG(3, 5))
		s := &sim{}
		var w row
		trips := 0
		s.now = origin
		const calls = 200_000
		for n := range calls {
			agent := strconv.Itoa(n)
			w.send(agent, s.now)
			if random.Float64() < test.share {
				s.after(test.fault, func() {
					if _, tripped := w.fault(agent, false, false); tripped {
						trips++
						w = row{}
					}
				})
			} else {
				s.after(test.proper, func() { w.answered(agent) })
			}
			next := s.now.Add(3 * ms)
			for len(s.events) > 0 && s.events[0].at.Before(next) {
				e := s.pop()
				s.now = e.at
				e.do()
			}
			s.now = next
		}
		t.Logf("%.0f %% faults, back after %v, answers after %v: once in %.0f calls", 100*test.share, test.fault, test.proper, calls/float64(max(1, trips)))
		if trips*test.once >= calls {
			t.Errorf("%.0f %% faults, back after %v: %d trips in %d calls", 100*test.share, test.fault, trips, calls)
		}
	}
}

func TestStallStopsCallsAndAnyAnswerEndsIt(t *testing.T) {
	g := newGate(0, 1, 64)
	for i := range 32 {
		must(t, g, "", strconv.Itoa(i), origin)
		answer(g, strconv.Itoa(i), origin, origin.Add(10*ms))
	}
	hang := origin.Add(time.Second)
	sent := 0
	for now := hang; now.Before(hang.Add(200 * ms)); now = now.Add(2 * ms) {
		if ok, _, _ := g.Ask("", "h"+strconv.Itoa(sent), now); ok {
			sent++
		}
	}
	if sent < fewUnheard || sent > 10 {
		t.Errorf("%d calls into a hang before the first probe", sent)
	}
	g.Report(Report{Agent: "h0", Sent: hang, Kind: Answered, Took: 200 * ms}, hang.Add(200*ms))
	for i := range 10 {
		must(t, g, "", "a"+strconv.Itoa(i), hang.Add(200*ms))
	}
}

func TestStallOfAnAddressThatNeverAnswered(t *testing.T) {
	g := newGate(0, 1, 32)
	n := 0
	for ok := true; ok; n++ {
		ok, _, _ = g.Ask("", strconv.Itoa(n), origin)
	}
	if n-1 != enoughFaults {
		t.Errorf("%d calls before anything was heard", n-1)
	}
}

func TestOneAddressLeavesRoomForTheOthers(t *testing.T) {
	g := newGate(0, 1, 8)
	must(t, g, "b", "0", origin)
	answer2 := func(agent string) {
		g.Report(Report{Address: "b", Agent: agent, Sent: origin, Kind: Answered, Took: ms}, origin)
	}
	answer2("0")
	n := 0
	for ok := true; ok; n++ {
		ok, _, _ = g.Ask("", strconv.Itoa(n), origin)
	}
	if n-1 != 5 {
		t.Errorf("%d of 8 calls in flight go to one of two addresses", n-1)
	}
	must(t, g, "b", "1", origin)
}

func TestFingerprintKnowsWhichAddressesAreInTrouble(t *testing.T) {
	addresses := []string{"", "node1:8043", "node2:8043"}
	seen := map[uint64]string{}
	for in := range 1 << len(addresses) {
		g := newGate(0, 1, 32)
		var open []string
		for i, address := range addresses {
			must(t, g, address, "1001", origin)
			if r := g.routes[address]; in&(1<<i) != 0 {
				r.breaker.open = true
				open = append(open, address)
			}
		}
		mark, what := g.Fingerprint(), fmt.Sprintf("%q", open)
		if same, ok := seen[mark]; ok {
			t.Errorf("trouble with %s looks like trouble with %s", what, same)
		}
		seen[mark] = what
	}
}

func TestKnowledgeOutlivesTheProcess(t *testing.T) {
	now := origin.Add(time.Minute)
	old := newGate(0, 1, 32)
	mark := old.Fingerprint()
	must(t, old, "", "1001", now)
	fail(t, old, "node2:8043", now, strconv.Itoa, true)
	if old.Fingerprint() == mark {
		t.Error("the mark says that nothing changed")
	}
	mark = old.Fingerprint()
	old.Report(Report{Agent: "1001", Sent: now, Kind: Busy, RetryAfter: 20 * time.Second, Why: "429"}, now)
	if old.Fingerprint() == mark {
		t.Error("the mark says that nothing changed")
	}
	old.routes[""].limit.set(42, reachFound, now)
	later := now.Add(5 * time.Second)
	g := newGate(0, 1, 32)
	g.Restore(old.Snapshot(later), later)
	if s := g.State(later); s.State != "shut" || !s.Until.Equal(now.Add(20*time.Second)) || !strings.Contains(s.Why, "429") {
		t.Errorf("state %+v", s)
	}
	end := now.Add(20 * time.Second)
	if ok, _, _ := g.Ask("", "1001", end.Add(-ms)); ok {
		t.Error("a call went before its time")
	}
	must(t, g, "node2:8043", "1002", end)
	if ok, _, _ := g.Ask("node2:8043", "1003", end.Add(ms)); ok {
		t.Error("the breaker of the other address was forgotten")
	}
	must(t, g, "", "1001", end.Add(20*ms))
	answer(g, "1001", end.Add(20*ms), end.Add(30*ms))
	if pace, _ := g.routes[""].adaptiveRate(100, end.Add(2*time.Second)); pace < 38 || pace > 43 {
		t.Errorf("pace %v, want about 42", pace)
	}
}

func TestRestoreBelievesNoTimeBeyondTheCap(t *testing.T) {
	g := newGate(100, 10, 32)
	s := Snapshot{HoldUntil: origin.Add(1e6 * time.Hour)}
	for i := range 1000 {
		s.Routes = append(s.Routes, RouteSnapshot{Address: strconv.Itoa(i), Open: true})
	}
	g.Restore(s, origin)
	if until := g.State(origin).Until; until.After(origin.Add(maxHold)) || len(g.routes) > mostRoutes {
		t.Errorf("held until %v, %d addresses", until, len(g.routes))
	}
}

func TestANewTermForgetsOnlyCallsInFlight(t *testing.T) {
	g := newGate(100, 10, 32)
	now := origin.Add(time.Minute)
	must(t, g, "", "1001", now)
	must(t, g, "", "1002", now)
	g.Report(Report{Agent: "1001", Sent: now, Kind: Busy, RetryAfter: 20 * time.Second, Why: "429"}, now)
	g.Begin(now.Add(time.Second))
	if s := g.State(now.Add(time.Second)); s.State != "shut" || s.InFlight != 0 {
		t.Errorf("state %+v", s)
	}
}

func TestStateSaysWhatWhySinceAndUntil(t *testing.T) {
	now := origin.Add(time.Minute)
	g := newGate(100, 10, 32)
	must(t, g, "", "1001", now)
	g.routes[""].limit.set(42, reachFound, now)
	g.routes[""].limit.why = "503 Service Unavailable"
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "at most 40.7 calls per second are made since 06:01:00Z: it took 42 and refused the others: 503 Service Unavailable"},
		{func() {
			g.Report(Report{Agent: "1001", Sent: now, Kind: Busy, RetryAfter: 2 * time.Second, Why: "429 Too Many Requests"}, now)
		}, "no call is made since 06:01:00Z until 06:01:02Z: the gateway asked for that: 429 Too Many Requests"},
		{func() { g.SetPaused(true, now) }, "no call is made since 06:01:00Z: an operator paused the calls"},
		{func() { g.SetPaused(false, now); now = now.Add(3 * time.Second) }, "only single calls are made since 06:01:00Z: the last of them: 429 Too Many Requests"},
	} {
		step.do()
		if got := g.State(now).Why; got != step.want {
			t.Errorf("%s\nwant %s", got, step.want)
		}
	}
}

func ExampleGate() {
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	g := New(Config{Rate: 10, Burst: 1, MaxInFlight: 4}, now)
	ok, again, why := g.Ask("", "1001", now)
	fmt.Println(ok, again.Sub(now).Round(time.Millisecond), why)
	now = again
	ok, _, _ = g.Ask("", "1001", now)
	fmt.Println(ok)
	g.Report(Report{Agent: "1001", Sent: now, Kind: Busy, RetryAfter: 2 * time.Second, Why: "429"}, now)
	fmt.Println(g.State(now).Why)
	// Output:
	// false 100ms rate
	// true
	// no call is made since 06:00:00Z until 06:00:02Z: the gateway asked for that: 429
}
