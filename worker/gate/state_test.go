package gate

import (
	"strconv"
	"testing"
	"time"
)

func TestHoldingNamesWhatKeepsACallBack(t *testing.T) {
	now := origin.Add(time.Minute)
	for want, test := range map[Why]struct {
		config Config
		do     func(g *Gate)
	}{
		"":         {Config{MaxInFlight: 2}, func(*Gate) {}},
		Rate:       {Config{Rate: 10, Burst: 1, MaxInFlight: 2}, func(g *Gate) { must(t, g, "", "1", now) }},
		InFlight:   {Config{MaxInFlight: 1}, func(g *Gate) { must(t, g, "", "1", now) }},
		Paused:     {Config{MaxInFlight: 2}, func(g *Gate) { g.SetPaused(true, now) }},
		RetryAfter: {Config{MaxInFlight: 2}, func(g *Gate) { g.wait(time.Second, "429", now) }},
		Lease: {Config{MaxInFlight: 2}, func(g *Gate) {
			must(t, g, "", "1", now)
			g.Report(Report{Agent: "1", Sent: now, Kind: NotSent}, now)
		}},
		Breaker: {Config{MaxInFlight: 2}, func(g *Gate) { fail(t, g, "", now, strconv.Itoa, false) }},
		Slowed: {Config{Rate: 10, Burst: 1, MaxInFlight: 2}, func(g *Gate) {
			g.route("", now).limit.set(2, reachFound, now)
			must(t, g, "", "1", now.Add(time.Second))
		}},
		Ramp: {Config{Rate: 10, Burst: 1, MaxInFlight: 2}, func(g *Gate) { g.route("", now).ramp = ramp{now.Add(900 * ms), longestRamp} }},
	} {
		g := New(test.config, origin)
		test.do(g)
		at := now
		if want == Slowed || want == Ramp {
			at = now.Add(time.Second)
			g.route("", now).bucket = bucket{last: at}
		}
		if ok, _, why := g.Ask("", "1999", at); ok != (want == "") || why != want || g.State(at).Holding != want {
			t.Errorf("want %q: let through %v, %q, state %+v", want, ok, why, g.State(at))
		}
	}
}

func TestOutOfReachIsReportedOnce(t *testing.T) {
	g := newGate(100, 10, 10)
	n := 0
	after := func(took time.Duration, answers int) int {
		for range answers {
			g.Report(Report{Agent: "1001", Kind: Answered, Took: took}, origin)
			if g.OutOfReach() {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		took    time.Duration
		answers int
		want    int
	}{{time.Second, enough - 1, 0}, {time.Second, 200, 1}, {10 * ms, 500, 1}, {time.Second, 500, 2}} {
		if got := after(step.took, step.answers); got != step.want {
			t.Errorf("reported %d times after %d answers of %v, want %d", got, step.answers, step.took, step.want)
		}
	}
}
