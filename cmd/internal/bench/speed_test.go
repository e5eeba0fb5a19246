package bench

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// throughput works off a backlog, one change for each agent, without a limit.
func throughput(name string, millis, changes int) scene {
	measures := []string{"changes/s, " + name, "CPU seconds per 1,000, " + name, "allocations per change, " + name}
	return scene{name, measures, func(tb testing.TB, s side) []float64 {
		tb.Helper()
		n := sized(changes, 300)
		a := newArena(tb, n, "IDLEBENCH_FORGET=1")
		a.gateway.ask(order{Do: "rule", Time: time.Duration(millis) * time.Millisecond})
		a.publish(n, n)
		p := a.begin(s, 0)
		first, last := a.results(n)
		u := p.usage()
		return []float64{float64(n-1) / last.Sub(first).Seconds(), u.CPU.Seconds() * 1000 / float64(n), float64(u.Mallocs) / float64(n)}
	}}
}

// latency is the time from a change being stored to its result being stored, both by the server's clock.
func latency(tb testing.TB, s side) []float64 {
	tb.Helper()
	n := sized(2000, 50)
	a := newArena(tb, n)
	a.begin(s, 0)
	warm := min(n, 50)
	a.publish(warm, n)
	a.results(warm)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		a.store(names.Changes(), change(i, 1, ""))
	}
	a.stored()
	a.results(warm + n)
	var took []float64
	a.each(func(m jetstream.Msg, stored time.Time) {
		var r messages.Result
		a.must(json.Unmarshal(m.Data(), &r))
		if r.Flag == "f1" {
			took = append(took, float64(stored.Sub(r.ReceivedAt).Microseconds())/1000)
		}
	})
	return []float64{median(took), percentile(took, 0.99)}
}

// BenchmarkPath and BenchmarkByHand work off b.N changes without a limit; allocations are those of the side alone.
func BenchmarkPath(b *testing.B)   { benchmark(b, ours) }
func BenchmarkByHand(b *testing.B) { benchmark(b, byhand) }

func benchmark(b *testing.B, s side) {
	b.Helper()
	a := newArena(b, b.N, "IDLEBENCH_FORGET=1")
	a.publish(b.N, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	p := a.begin(s, 0)
	first, last := a.results(b.N)
	b.StopTimer()
	u := p.usage()
	if b.N > 1 {
		b.ReportMetric(float64(b.N-1)/last.Sub(first).Seconds(), "changes/s")
	}
	b.ReportMetric(float64(u.Mallocs)/float64(b.N), "allocs/op")
	b.ReportMetric(float64(u.MallocBytes)/float64(b.N), "B/op")
	b.ReportMetric(u.CPU.Seconds()*1000/float64(b.N), "cpu-s/1000")
}
