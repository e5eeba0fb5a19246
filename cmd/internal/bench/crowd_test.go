package bench

import (
	"testing"
	"time"
)

// takeover ends one of two processes in the middle of a burst, the one that makes the calls where only one does.
func takeover(end func(*process)) func(tb testing.TB, s side) []float64 {
	return func(tb testing.TB, s side) []float64 {
		tb.Helper()
		rate := 200.0
		n := int(rate * sized(10, 2.5))
		a := newArena(tb, n)
		a.gateway.ask(order{Do: "rule", Time: 20 * time.Millisecond})
		a.publish(n, n)
		quick := sized([]string(nil), []string{"IDLE_TAKEOVER=2.5s", "IDLE_GATEWAY_TIMEOUT=500ms", "IDLEBENCH_ACKWAIT=2s"})
		first := a.begin(s, rate, quick...)
		a.results(n / 10)
		a.begin(s, rate, quick...)
		time.Sleep(sized(time.Second, 200*time.Millisecond)) // it stands by, or takes its share
		at := time.Now().UnixNano()
		end(first)
		a.results(n)
		return []float64{float64(longest(arrivals(a.calls()), at)) / 1e9}
	}
}

// coalescing works off changes of which only the last one of each agent still matters.
func coalescing(tb testing.TB, s side) []float64 {
	tb.Helper()
	agents, n := sized(2000, 20), sized(200000, 500)
	a := newArena(tb, agents, "IDLEBENCH_FORGET=1")
	a.publish(n, agents)
	rate := sized(500.0, 0)
	if s == byhand {
		rate = 0 // it takes every call there is, and has to be through some day
	}
	began := time.Now()
	a.begin(s, rate)
	a.results(n)
	return []float64{float64(a.countCalls()) / float64(agents), time.Since(began).Seconds()}
}

// waiting is the memory of a process whose changes all wait for tomorrow; the loop by hand can only look at them again
// and again, so it has none of them in memory.
func waiting(tb testing.TB, s side) []float64 {
	tb.Helper()
	n := sized(20000, 50)
	a := newArena(tb, n)
	a.publishWaiting(n)
	p := a.beginProgram(s, 50)
	if s == ours {
		a.results(n)
	} else {
		a.until("was anything delivered", func() bool { return a.delivered("by-hand") > 0 })
	}
	time.Sleep(sized(15*time.Second, 0)) // the burst is over
	rss, peak := p.memory()
	return []float64{float64(rss) / (1 << 20), float64(peak) / (1 << 20)}
}

// publishWaiting stores a change of tomorrow for each agent.
func (a *arena) publishWaiting(agents int) {
	a.tb.Helper()
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	for i := range agents {
		a.store(names.Changes(), change(i, 0, `,"effective_at":"`+tomorrow+`"`))
	}
	a.stored()
}

func (a *arena) delivered(consumer string) uint64 {
	a.tb.Helper()
	c, err := a.js.Consumer(a.tb.Context(), names.ChangesStream(), consumer)
	if err != nil {
		return 0 // it is not there yet
	}
	return c.CachedInfo().Delivered.Consumer
}

// backlog is the memory at its highest while a million changes are read.
func backlog(tb testing.TB, s side) []float64 {
	tb.Helper()
	agents, n := sized(5000, 20), sized(1000000, 500)
	a := newArena(tb, agents, "IDLEBENCH_FORGET=1")
	a.publish(n, agents)
	p := a.beginProgram(s, 50)
	switch s {
	case ours:
		a.results(n - agents)
	case byhand: // it would take hours: memory is at its highest from the start
		a.results(sized(200, 20))
	}
	_, peak := p.memory()
	return []float64{float64(peak) / (1 << 20)}
}
