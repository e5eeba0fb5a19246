package worker

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

var origin = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// pull asks the gate whenever it says to, answers at once, and returns when calls were let through until end.
func pull(g *gate, from, end time.Time, answer func(n int) Answer) []time.Time {
	var calls []time.Time
	for now := from; now.Before(end); {
		ok, again := g.ask(nth(len(calls)+1), now)
		if ok {
			calls = append(calls, now)
			g.tell(nth(len(calls)), answer(len(calls)), now, now)
			continue
		}
		if again.IsZero() || !again.After(now) {
			panic("the gate says neither yes nor when")
		}
		now = again
	}
	return calls
}

// nth names agents that differ from the one before.
func nth(n int) string { return strconv.Itoa(1001 + n) }

func sound(int) Answer { return Answer{Class: Success, Retcode: "0"} }

// most returns how many calls the fullest window of one second holds.
func most(calls []time.Time) int { return mostIn(calls, time.Second) }

func mostIn(calls []time.Time, window time.Duration) int {
	n, first := 0, 0
	for i, at := range calls {
		for at.Sub(calls[first]) >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

func TestGateKeepsTheRateInEveryWindow(t *testing.T) {
	tests := []struct{ rate, burst float64 }{{50, 5}, {500, 50}, {1, 1}, {0.5, 1}, {3, 30}, {2000, 1}, {2000, 200}, {7.5, 2.5}}
	for _, test := range tests {
		g := newGate(Policy{Rate: test.rate, Burst: test.burst, MaxInFlight: 32}, origin)
		idle := origin.Add(time.Hour) // the bucket is full by then
		calls := pull(&g, idle, idle.Add(20*time.Second), sound)
		if got := most(calls); float64(got) > test.rate+test.burst {
			t.Errorf("rate %v, burst %v: %d calls in one second", test.rate, test.burst, got)
		}
		if got := len(calls); float64(got) < 0.99*test.rate*20-1 {
			t.Errorf("rate %v: only %d calls in 20 seconds", test.rate, got)
		}
	}
}

func TestGateBeginsWithAnEmptyBucket(t *testing.T) {
	g := newGate(Policy{Rate: 10, Burst: 5, MaxInFlight: 32}, origin)
	if ok, again := g.ask("1999", origin); ok || again.Sub(origin).Round(time.Millisecond) != 100*time.Millisecond {
		t.Errorf("asked at once: %v, again at %v", ok, again)
	}
	g.setRate(20, 5, origin.Add(time.Hour))
	if ok, again := g.ask("1999", origin.Add(time.Hour)); ok || again.Sub(origin.Add(time.Hour)).Round(time.Millisecond) != 50*time.Millisecond {
		t.Errorf("asked after a new rate: %v, again at %v", ok, again)
	}
}

func TestGateKeepsTheRateWhenItIsChanged(t *testing.T) {
	g := newGate(Policy{Rate: 100, Burst: 10, MaxInFlight: 32}, origin)
	now := origin.Add(time.Minute)
	var calls []time.Time
	for i := range 50 {
		rate := []float64{100, 50, 80}[i%3]
		g.setRate(rate, rate/10, now)
		calls = append(calls, pull(&g, now, now.Add(130*time.Millisecond), sound)...)
		now = now.Add(130 * time.Millisecond)
	}
	if got := most(calls); got > 110 {
		t.Errorf("%d calls in one second", got)
	}
}

// What counts is when calls arrive, and some are held up on their way.
func TestGateKeepsTheRateAsTheGatewaySeesIt(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		g := newGate(Policy{Rate: 500, Burst: 50, MaxInFlight: 32}, origin)
		var arrived, answered []time.Time // the latter of calls under way, in order
		now, end := origin.Add(time.Minute), origin.Add(time.Minute+10*time.Second)
		var stuck time.Time // nothing arrives before then
		for now.Before(end) {
			for len(answered) > 0 && !answered[0].After(now) {
				answered = answered[1:]
				g.tell("1001", sound(0), now, now)
			}
			ok, again := g.ask("1999", now)
			if ok {
				at := now.Add(time.Duration(random.Int64N(int64(time.Millisecond))))
				if random.IntN(500) == 0 {
					stuck = now.Add(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
				}
				if at.Before(stuck) {
					at = stuck
				}
				arrived = append(arrived, at)
				answered = append(answered, at.Add(time.Millisecond))
				slices.SortFunc(answered, time.Time.Compare)
				continue
			}
			if again.IsZero() || len(answered) > 0 && answered[0].Before(again) {
				again = answered[0]
			}
			now = again
			if random.IntN(500) == 0 { // this process does not get its turn
				now = now.Add(time.Duration(random.Int64N(int64(50 * time.Millisecond))))
			}
		}
		slices.SortFunc(arrived, time.Time.Compare)
		if n := mostIn(arrived, time.Second); n > 550 {
			t.Errorf("seed %d: %d calls arrived within one second", seed, n)
		}
		if n := mostIn(arrived, 100*time.Millisecond); n > 100 {
			t.Errorf("seed %d: %d calls arrived within 100 ms", seed, n)
		}
		if n := len(arrived); n < 4850 {
			t.Errorf("seed %d: only %d calls in 10 s", seed, n)
		}
	}
}

func TestGateBurstIsShallowerByWhatIsUnderWay(t *testing.T) {
	tests := []struct {
		burst, rate float64
		inFlight    int
		want        float64
	}{{50, 500, 0, 42.5}, {50, 500, 30, 12.5}, {50, 500, 50, 6}, {5, 50, 0, 4.25}, {5, 50, 32, 1.5}, {1, 50, 0, 1}, {1, 50, 9, 1}, {1, 0.5, 3, 1}}
	for _, test := range tests {
		g := gate{burst: test.burst, inFlight: test.inFlight}
		if got := g.depth(test.rate); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("burst %v, rate %v, %d in flight: %v, want %v", test.burst, test.rate, test.inFlight, got, test.want)
		}
	}
}

func TestGateWithATinyRateDoesNotSpin(t *testing.T) {
	g := newGate(Policy{Rate: 1e-12, Burst: 1, MaxInFlight: 1}, origin)
	if ok, again := g.ask("1999", origin.Add(time.Second)); ok || !again.After(origin.Add(time.Second)) {
		t.Errorf("asked: %v, again at %v", ok, again)
	}
}

func TestGateInFlightAndPause(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 2}, origin)
	for i, want := range []bool{true, true, false} {
		if ok, again := g.ask("1999", origin); ok != want || !again.IsZero() {
			t.Errorf("ask %d: %v, again %v", i, ok, again)
		}
	}
	g.tell("1001", Answer{Class: Success}, origin, origin)
	g.paused = true
	if ok, again := g.ask("1999", origin); ok || !again.IsZero() {
		t.Errorf("while paused: %v, again %v", ok, again)
	}
	if s := g.state(origin); s.State != "paused" || s.Why == "" || s.InFlight != 1 {
		t.Errorf("state %+v", s)
	}
	g.paused = false
	if ok, _ := g.ask("1999", origin); !ok {
		t.Error("not resumed")
	}
}

func TestGateRetryAfter(t *testing.T) {
	g := newGate(Policy{Rate: 100, Burst: 10, MaxInFlight: 32}, origin)
	now := origin.Add(time.Minute)
	g.ask("1999", now)
	g.ask("1999", now)
	g.tell("1001", Answer{Class: Busy, Status: 503, RetryAfter: 3 * time.Second, Fault: "503"}, now, now)
	g.tell("1002", Answer{Class: Busy, Status: 429, RetryAfter: time.Second, Fault: "429"}, now, now) // asks for less
	open := now.Add(3 * time.Second)
	if ok, again := g.ask("1999", now.Add(time.Second)); ok || !again.Equal(open) {
		t.Errorf("asked: %v, again at %v", ok, again)
	}
	if s := g.state(now); s.State != "shut" || s.Why != "503" || !s.Until.Equal(open) {
		t.Errorf("state %+v", s)
	}
	calls := pull(&g, open, open.Add(2*time.Second), sound)
	if n := count(calls, open, open.Add(200*time.Millisecond)); n > 8 {
		t.Errorf("%d calls in the first 200 ms after the gate opened", n)
	}
	if n := count(calls, open.Add(time.Second), open.Add(2*time.Second)); n < 99 {
		t.Errorf("%d calls in the second second after the gate opened", n)
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

func TestGateHalvesOnceAndGrows(t *testing.T) {
	g := newGate(Policy{Rate: 100, Burst: 10, MaxInFlight: 32}, origin)
	now := origin.Add(time.Minute)
	for range 4 {
		g.ask("1999", now)
	}
	for range 4 { // all four were sent at the same rate
		g.tell("1001", Answer{Class: Busy, Status: 429}, now, now)
	}
	if r := g.state(now).Rate; r != 50 {
		t.Errorf("rate %v after one halving", r)
	}
	if s := g.state(now); s.State != "slowed" || s.Why == "" || s.Limit != 100 {
		t.Errorf("state %+v", s)
	}
	if r := g.state(now.Add(2 * time.Second)).Rate; r != 70 {
		t.Errorf("rate %v two seconds later", r)
	}
	later := now.Add(2 * time.Second)
	g.ask("1999", later)
	g.tell("1001", Answer{Class: Busy, Status: 429}, later, later)
	if r := g.state(later).Rate; r != 35 {
		t.Errorf("rate %v after another halving", r)
	}
	if s := g.state(later.Add(10 * time.Second)); s.Rate != 100 || s.State != "open" {
		t.Errorf("state %+v ten seconds later", s)
	}
}

func TestGateHalvesWithoutALimitAndNeverToNothing(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 32}, origin)
	now := origin
	g.ask("1999", now)
	g.tell("1001", Answer{Class: Busy, Status: 429}, now, now)
	if r := g.state(now).Rate; r != unlimitedPace/2 {
		t.Errorf("rate %v", r)
	}
	for range 30 {
		now = now.Add(time.Millisecond)
		g.pace.halve(g.rate, now, now)
	}
	if r := g.state(now).Rate; r < leastPace {
		t.Errorf("rate %v", r)
	}
	if r := g.state(now.Add(time.Minute)).Rate; r != 0 {
		t.Errorf("rate %v a minute later, want no limit", r)
	}
}

func TestGateNotSent(t *testing.T) {
	g := newGate(Policy{MaxInFlight: 1}, origin)
	g.ask("1999", origin)
	g.notSent("the lease is gone", origin, origin)
	if ok, again := g.ask("1999", origin); ok || again.Sub(origin) != leaseLook || g.inFlight != 0 {
		t.Errorf("asked: %v, again at %v, in flight %d", ok, again, g.inFlight)
	}
}

// A rate that is set while the gateway asked for silence does not bring the burst along as that ends.
func TestRateThatIsSetWhileShut(t *testing.T) {
	g := newGate(Policy{Rate: 100, Burst: 50, MaxInFlight: 64}, origin)
	g.ask("1001", origin.Add(time.Second))
	g.tell("1001", Answer{Class: Busy, Status: statusTooMany, RetryAfter: 10 * time.Second}, origin, origin.Add(time.Second))
	g.setRate(120, 50, origin.Add(2*time.Second))
	for n := range 3 {
		if ok, _ := g.ask("1002", origin.Add(11*time.Second+time.Millisecond)); ok && n > 0 {
			t.Error("several calls at once")
		}
	}
}
