package bench

import (
	"cmp"
	"slices"
	"testing"

	"idlepolicy/worker/gateway/gatewaytest"
)

// scene is one scenario: what it measures, and how it goes for one side.
type scene struct {
	name     string
	measures []string // in the order in which run returns them
	run      func(tb testing.TB, s side) []float64
}

var scenes = []scene{
	throughput("no latency", 0, 30000),
	throughput("5 ms", 5, 20000),
	throughput("50 ms", 50, 4000),
	{"latency", []string{"p50 at 200/s, ms", "p99 at 200/s, ms"}, latency},
	{"rate", []string{"achieved at 500/s", "most in 1 s at 500/s", "most in 100 ms at 500/s"}, precision},
	{"outage", []string{
		"outage of 2 s at 500/s: calls while down", "first success after it, ms", "80 % of the rate after it, ms", "failed",
	}, outage(order{Do: "outage", N: int(gatewaytest.Resetting)})},
	{"hang", []string{
		"a hang of 2 s at 500/s: calls meanwhile", "first success after the hang, ms", "80 % of the rate after the hang, ms", "failed after it",
	}, outage(order{Do: "hang"})},
	{"outage 503", []string{
		"2 s of 503 at 500/s: calls while down", "first success after the 503s, ms", "80 % of the rate after the 503s, ms", "failed after the 503s",
	}, outage(order{Do: "rule", Status: 503})},
	{"429", []string{"429 with `Retry-After: 2`: calls before it was over", "longest silence, s"}, tooMany},
	noise("503", order{Status: 503}, 0.02), noise("503", order{Status: 503}, 0.1), noise("503", order{Status: 503}, 0.3),
	noise("500", order{Status: 500}, 0.02), noise("500", order{Status: 500}, 0.1), noise("500", order{Status: 500}, 0.3),
	noise("cut", order{Fault: int(gatewaytest.Cut)}, 0.02), noise("cut", order{Fault: int(gatewaytest.Cut)}, 0.1), noise("cut", order{Fault: int(gatewaytest.Cut)}, 0.3),
	room("429", order{Status: 429}), room("503", order{Status: 503}), room("429 with `Retry-After: 1`", order{Status: 429, Text: "1s"}),
	oneOfTwo("answers 503", order{Do: "rule", Status: 503}), oneOfTwo("cuts", order{Do: "rule", Fault: int(gatewaytest.Cut)}),
	oneOfTwo("hangs", order{Do: "outage", N: int(gatewaytest.Hanging)}),
	deadNode("half of the calls answered 503", order{Status: 503, Share: 0.5}), deadNode("half of the calls cut", order{Fault: int(gatewaytest.Cut), Share: 0.5}),
	deadNode("half of the agents answered 503", order{Status: 503, Odd: true}), deadNode("half of the agents cut", order{Fault: int(gatewaytest.Cut), Odd: true}),
	{"kill", []string{"longest silence after kill -9 of one of two, s"}, takeover((*process).kill)},
	{"stop", []string{"longest silence after SIGTERM, s"}, takeover((*process).stop)},
	{"coalescing", []string{"200,000 changes for 2,000 agents: calls per agent", "seconds until all have ended"}, coalescing},
	{"waiting", []string{"20,000 changes wait, 20,000 sessions: resident MiB", "the same, at most"}, waiting},
	{"backlog", []string{"a million changes for 5,000 agents: peak MiB"}, backlog},
}

// percentile returns the value below which that share of the values is.
func percentile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func median(values []float64) float64 { return percentile(values, 0.5) }

// mostWithin returns how many of the instants, in Unix nanoseconds and in order, the fullest window holds.
func mostWithin(at []int64, window int64) int {
	most, first := 0, 0
	for i := range at {
		for at[i]-at[first] >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// arrivals returns when the calls arrived.
func arrivals(calls []seen) []int64 {
	at := make([]int64, 0, len(calls))
	for _, c := range calls {
		at = append(at, c.At)
	}
	slices.SortFunc(at, cmp.Compare)
	return at
}

// longest returns the longest pause between two instants that ends after from, in nanoseconds.
func longest(at []int64, from int64) int64 {
	var pause int64
	for i := 1; i < len(at); i++ {
		if at[i] > from {
			pause = max(pause, at[i]-at[i-1])
		}
	}
	return pause
}
