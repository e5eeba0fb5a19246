package bench

import (
	"sort"
	"testing"
	"time"
)

// precision is how near the calls come to the rate, and whether any window holds too many, as the gateway saw them.
func precision(tb testing.TB, s side) []float64 {
	tb.Helper()
	rate := sized(500.0, 200)
	settle, span := sized(1500*time.Millisecond, 500*time.Millisecond), sized(10*time.Second, 500*time.Millisecond)
	n := int(rate * (settle + span + 500*time.Millisecond).Seconds())
	a := newArena(tb, n)
	a.publish(n, n)
	a.begin(s, rate)
	a.results(n)
	at := arrivals(a.calls())
	from := at[0] + int64(settle)
	achieved := float64(between(at, from, from+int64(span))) / span.Seconds()
	return []float64{achieved, float64(mostWithin(at, int64(time.Second))), float64(mostWithin(at, int64(100*time.Millisecond)))}
}

// between counts the instants of a sorted list from one on and before another.
func between(at []int64, from, to int64) int {
	place := func(t int64) int { return sort.Search(len(at), func(i int) bool { return at[i] >= t }) }
	return place(to) - place(from)
}

// outage has the gateway out of order for 2 s in the middle of a burst.
func outage(down order) func(tb testing.TB, s side) []float64 {
	return func(tb testing.TB, s side) []float64 { tb.Helper(); return outageOf(tb, s, down) }
}

func outageOf(tb testing.TB, s side, kind order) []float64 {
	tb.Helper()
	rate, down := 500.0, sized(2*time.Second, 500*time.Millisecond)
	before, after := sized(2*time.Second, 300*time.Millisecond), sized(4*time.Second, time.Second)
	n := int(rate * (before + after).Seconds())
	a := newArena(tb, n)
	a.publish(n, n)
	a.begin(s, rate)
	a.results(int(rate * before.Seconds()))
	a.gateway.ask(kind)
	began := a.countCalls()
	time.Sleep(down)
	whileDown := a.countCalls() - began
	a.gateway.ask(order{Do: "mend"})
	end := time.Now().UnixNano()
	a.results(n + a.straggle())
	var good []seen
	for _, c := range a.calls() {
		if c.Retcode == "0" && c.At > end {
			good = append(good, c)
		}
	}
	at := arrivals(good)
	full := at[len(at)-1]
	for _, from := range at {
		if window := 100 * time.Millisecond; between(at, from, from+int64(window)) >= int(0.8*rate*window.Seconds()) {
			full = from
			break
		}
	}
	failed := 0
	if a.stream(names.DeadStream()).State.Msgs > 0 {
		failed = int(a.stream(names.DeadStream()).State.Msgs)
	}
	return []float64{float64(whileDown), float64(at[0]-end) / 1e6, float64(full-end) / 1e6, float64(failed)}
}

// straggle publishes some more changes where the burst is so short that it may be over before what was to come in its middle, and
// returns how many.
func (a *arena) straggle() int {
	a.tb.Helper()
	more := sized(0, 20)
	for i := range more {
		a.store(names.Changes(), change(i, 1, ""))
	}
	a.stored()
	return more
}

// tooMany answers one call of a burst with 429.
func tooMany(tb testing.TB, s side) []float64 {
	tb.Helper()
	rate, silence := 500.0, sized(2*time.Second, time.Second)
	n := int(rate * sized(5, 1.0))
	a := newArena(tb, n)
	a.publish(n, n)
	a.begin(s, rate)
	a.results(n / 5)
	a.gateway.ask(order{Do: "rule", N: 1, Status: 429, Text: silence.String()})
	a.results(n + a.straggle())
	calls := a.calls()
	at := arrivals(calls)
	for _, c := range calls {
		if c.Status == 429 {
			margin := int64(10 * time.Millisecond) // what was on its way as the answer was
			return []float64{
				float64(between(at, c.Done+margin, c.Done+int64(silence))), float64(longest(at, c.Done)) / 1e9,
			}
		}
	}
	tb.Fatal("no call was answered with 429")
	return nil
}
