package gate

import (
	"strconv"
	"testing"
)

// BenchmarkCall is what the gate costs for each call, with 32 in flight and a state for operators each time.
func BenchmarkCall(b *testing.B) {
	g := newGate(0, 1, 33)
	agents := make([]string, 64)
	for i := range agents {
		agents[i] = strconv.Itoa(1001 + i)
	}
	now := origin
	for i := range 32 {
		g.Ask("", agents[i], now)
		g.Report(Report{Agent: agents[i], Sent: now, Kind: Answered, Took: ms}, now)
	}
	for i := range 32 {
		g.Ask("", agents[i], now)
	}
	b.ReportAllocs()
	for n := 32; b.Loop(); n++ {
		now = now.Add(ms / 10)
		g.Report(Report{Agent: agents[(n-32)%64], Sent: now.Add(-32 * ms / 10), Kind: Answered, Took: 3 * ms}, now)
		g.Ask("", agents[n%64], now)
		g.State(now)
		g.Fingerprint()
	}
}
