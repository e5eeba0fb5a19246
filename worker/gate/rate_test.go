package gate

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

func newGate(rate, burst float64, inFlight int) *Gate {
	return New(Config{Rate: rate, Burst: burst, MaxInFlight: inFlight}, origin)
}

// answer reports a proper answer that took 10 ms to the agent's call.
func answer(g *Gate, agent string, sent, now time.Time) {
	g.Report(Report{Agent: agent, Sent: sent, Kind: Answered, Took: 10 * ms}, now)
}

// pull asks whenever the gate says to, answers at once, and returns when calls were let through until end.
func pull(t *testing.T, g *Gate, from, end time.Time) []time.Time {
	t.Helper()
	var calls []time.Time
	for now := from; now.Before(end); {
		agent := strconv.Itoa(len(calls))
		ok, again, why := g.Ask("", agent, now)
		if ok {
			calls = append(calls, now)
			answer(g, agent, now, now)
			continue
		}
		if !again.After(now) {
			t.Fatalf("the gate says neither yes nor when: %v, %s", again, why)
		}
		now = again
	}
	return calls
}

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

func TestRateIsExactInEveryWindow(t *testing.T) {
	tests := []struct{ rate, burst float64 }{{50, 5}, {500, 50}, {1, 1}, {0.5, 1}, {3, 30}, {2000, 1}, {2000, 200}, {7.5, 2.5}}
	for _, test := range tests {
		g := newGate(test.rate, test.burst, 32)
		idle := origin.Add(time.Hour) // the bucket is full by then
		calls := pull(t, g, idle, idle.Add(20*time.Second))
		if got := mostIn(calls, time.Second); float64(got) > test.rate+test.burst {
			t.Errorf("rate %v, burst %v: %d calls in one second", test.rate, test.burst, got)
		}
		if got := len(calls); float64(got) < 0.99*test.rate*20-1 {
			t.Errorf("rate %v: only %d calls in 20 seconds", test.rate, got)
		}
	}
}

func TestRateBeginsWithAnEmptyBucket(t *testing.T) {
	g := newGate(10, 5, 32)
	if ok, again, why := g.Ask("", "1999", origin); ok || again.Sub(origin).Round(ms) != 100*ms || why != Rate {
		t.Errorf("asked at once: %v, again at %v, %s", ok, again, why)
	}
	later := origin.Add(time.Hour)
	g.SetRate(20, 5, false, later)
	if ok, again, _ := g.Ask("", "1999", later); ok || again.Sub(later).Round(ms) != 50*ms {
		t.Errorf("asked after a new rate: %v, again at %v", ok, again)
	}
	g.Begin(later.Add(time.Hour))
	if ok, _, _ := g.Ask("", "1999", later.Add(time.Hour)); ok {
		t.Error("a new term began with a full bucket")
	}
}

func TestRateHoldsWhileItIsChanged(t *testing.T) {
	g := newGate(100, 10, 32)
	now := origin.Add(time.Minute)
	var calls []time.Time
	for i := range 50 {
		rate := []float64{100, 50, 80}[i%3]
		g.SetRate(rate, rate/10, false, now)
		calls = append(calls, pull(t, g, now, now.Add(130*ms))...)
		now = now.Add(130 * ms)
	}
	if got := mostIn(calls, time.Second); got > 110 {
		t.Errorf("%d calls in one second", got)
	}
}

// What counts is when calls arrive, and some are held up on their way.
func TestRateHoldsAsTheGatewaySeesIt(t *testing.T) {
	type flying struct {
		agent string
		sent  time.Time
		back  time.Time
	}
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		g := newGate(500, 50, 32)
		var arrived []time.Time
		var under []flying
		now, end := origin.Add(time.Minute), origin.Add(time.Minute+10*time.Second)
		var stuck time.Time // nothing arrives before then
		for n := 0; now.Before(end); {
			for len(under) > 0 && !under[0].back.After(now) {
				g.Report(Report{Agent: under[0].agent, Sent: under[0].sent, Kind: Answered, Took: under[0].back.Sub(under[0].sent)}, now)
				under = under[1:]
			}
			agent := strconv.Itoa(n)
			ok, again, _ := g.Ask("", agent, now)
			if ok {
				n++
				at := now.Add(time.Duration(random.Int64N(int64(ms))))
				if random.IntN(500) == 0 {
					stuck = now.Add(time.Duration(random.Int64N(int64(100 * ms))))
				}
				if at.Before(stuck) {
					at = stuck
				}
				arrived = append(arrived, at)
				under = append(under, flying{agent, now, at.Add(ms)})
				slices.SortFunc(under, func(a, b flying) int { return a.back.Compare(b.back) })
				continue
			}
			if len(under) > 0 && (again.IsZero() || under[0].back.Before(again)) {
				again = under[0].back
			}
			now = again
			if random.IntN(500) == 0 { // this process does not get its turn
				now = now.Add(time.Duration(random.Int64N(int64(50 * ms))))
			}
		}
		slices.SortFunc(arrived, time.Time.Compare)
		if n := mostIn(arrived, time.Second); n > 550 {
			t.Errorf("seed %d: %d calls arrived within one second", seed, n)
		}
		if n := mostIn(arrived, 100*ms); n > 100 {
			t.Errorf("seed %d: %d calls arrived within 100 ms", seed, n)
		}
		if n := len(arrived); n < 4850 {
			t.Errorf("seed %d: only %d calls in 10 s", seed, n)
		}
	}
}

func TestDepthIsLessByWhatIsInFlight(t *testing.T) {
	tests := []struct {
		burst, rate float64
		inFlight    int
		want        float64
	}{{50, 500, 0, 42.5}, {50, 500, 30, 12.5}, {50, 500, 50, 6}, {5, 50, 0, 4.25}, {5, 50, 32, 1.5}, {1, 50, 0, 1}, {1, 50, 9, 1}, {1, 0.5, 3, 1}}
	for _, test := range tests {
		if got := depth(test.rate, test.burst, test.inFlight); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("burst %v, rate %v, %d in flight: %v, want %v", test.burst, test.rate, test.inFlight, got, test.want)
		}
	}
}

func TestATinyRateDoesNotSpin(t *testing.T) {
	g := newGate(1e-12, 1, 1)
	if ok, again, _ := g.Ask("", "1999", origin.Add(time.Second)); ok || !again.After(origin.Add(time.Second)) {
		t.Errorf("asked: %v, again at %v", ok, again)
	}
}

func TestSpareCallsTakeATwentiethOfTheRate(t *testing.T) {
	g := newGate(100, 10, 32)
	n := 0
	for now := origin; now.Before(origin.Add(20 * time.Second)); {
		ok, again, _ := g.AskSpare("", "1001", now)
		if ok {
			n++
			answer(g, "1001", now, now)
			continue
		}
		now = again
	}
	if n < 99 || n > 101 {
		t.Errorf("%d spare calls in 20 s at a limit of 100/s", n)
	}
}

func TestInFlightAndPause(t *testing.T) {
	g := newGate(0, 1, 2)
	for i, want := range []Why{"", "", InFlight} {
		if ok, again, why := g.Ask("", strconv.Itoa(i), origin); ok != (want == "") || why != want || !again.IsZero() {
			t.Errorf("ask %d: %v, again %v, %q", i, ok, again, why)
		}
	}
	answer(g, "0", origin, origin)
	g.SetPaused(true, origin)
	if ok, again, why := g.Ask("", "7", origin); ok || !again.IsZero() || why != Paused || !why.Site() {
		t.Errorf("while paused: %v, again %v, %s", ok, again, why)
	}
	g.SetPaused(false, origin)
	if ok, _, _ := g.Ask("", "7", origin); !ok {
		t.Error("not resumed")
	}
}
