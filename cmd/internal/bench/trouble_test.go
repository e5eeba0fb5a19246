package bench

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/stream/natstest"
)

// The scenes of a gateway in trouble: both sides have the same limit and the same backoff, and the figure is the ideal
// time over the time that it took. 1 is as good as it gets.

const (
	usualLatency = 10 * time.Millisecond
	quickRetry   = "IDLE_BACKOFF_INITIAL=100ms"
)

// noise has a share of the answers fail at random.
func noise(kind string, fault order, share float64) scene {
	name := fmt.Sprintf("%.0f %% %s", 100*share, kind)
	return scene{"noise " + name, []string{name + " at random, 300/s: ideal time over time for 90 %"}, func(tb testing.TB, s side) []float64 {
		tb.Helper()
		n := sized(800, 200)
		a := newArena(tb, n)
		fault.Do, fault.Share, fault.Time = "rule", share, usualLatency
		a.gateway.ask(fault)
		a.gateway.ask(order{Do: "rule", Time: usualLatency})
		a.publish(n, n)
		a.begin(s, 300, quickRetry)
		took := a.untilApplied(0.9, n, everybody)
		return []float64{0.9 * float64(n) / (1 - share) / 300 / took.Seconds()}
	}}
}

// room is a gateway that takes 150 calls in any second while 500 are allowed.
func room(kind string, refusal order) scene {
	return scene{"room " + kind, []string{
		"takes 150 of 500/s, " + kind + ": ideal time over time for 90 %", "the same: share refused",
	}, func(tb testing.TB, s side) []float64 {
		tb.Helper()
		n := sized(1000, 300)
		a := newArena(tb, n)
		refusal.Do, refusal.N = "capacity", 150
		a.gateway.ask(order{Do: "rule", Time: usualLatency})
		a.gateway.ask(refusal)
		a.publish(n, n)
		a.begin(s, 500, quickRetry)
		took := a.untilApplied(0.9, n, everybody)
		refused, calls := 0, a.calls()
		for _, c := range calls {
			if c.Status == refusal.Status {
				refused++
			}
		}
		return []float64{0.9 * float64(n) / 150 / took.Seconds(), float64(refused) / float64(len(calls))}
	}}
}

// oneOfTwo has every other agent behind a second gateway address that is down.
func oneOfTwo(kind string, down order) scene {
	return scene{
		"one of two " + kind,
		[]string{"one of two addresses " + kind + ", 200/s: ideal time over time for 95 % of the others"},
		func(tb testing.TB, s side) []float64 {
			tb.Helper()
			n := sized(600, 120)
			a := newArena(tb, n)
			second := start(tb, "gateway", "IDLEBENCH_STORE="+tb.TempDir())
			ca := a.bothAuthorities(second)
			guids := second.ask(order{Do: "sign in", N: n}).Texts
			for i := range n {
				if agent := firstAgent + i; agent%2 == 1 {
					a.store("$KV."+names.SessionsBucket()+"."+strconv.Itoa(agent),
						fmt.Sprintf(`{"guid":%q,"gateway_url":%q}`, guids[i], second.ready))
				} else {
					a.store("$KV."+names.SessionsBucket()+"."+strconv.Itoa(agent),
						fmt.Sprintf(`{"guid":%q,"gateway_url":%q}`, a.guids[i], a.gateway.ready))
				}
			}
			a.stored()
			a.gateway.ask(order{Do: "rule", Time: usualLatency})
			down.Time = usualLatency
			second.ask(down)
			a.publish(n, n)
			host := func(url string) string { return url[strings.LastIndex(url, "/")+1:] }
			a.begin(s, 200, quickRetry, "IDLE_GATEWAY_CA="+ca, "IDLE_GATEWAY_HOSTS="+host(a.gateway.ready)+","+host(second.ready))
			took := a.untilApplied(0.95, n/2, even)
			return []float64{0.95 * float64(n/2) / 200 / took.Seconds()}
		},
	}
}

// deadNode is one of two nodes behind the same address that fails: the other half of the calls, or of the agents, get at
// most what they get if the dead half costs calls but nothing else.
func deadNode(kind string, fault order) scene {
	return scene{"dead node " + kind, []string{kind + ", 200/s: ideal time over time for 90 % of the healthy half"}, func(tb testing.TB, s side) []float64 {
		tb.Helper()
		n := sized(600, 120)
		a := newArena(tb, n)
		fault.Do, fault.Time = "rule", usualLatency
		of, count := everybody, n
		if fault.Odd {
			fault.N, of, count = n, even, n/2
		}
		a.gateway.ask(fault)
		a.gateway.ask(order{Do: "rule", Time: usualLatency})
		a.publish(n, n)
		a.begin(s, 200, quickRetry)
		took := a.untilApplied(0.9, count, of)
		return []float64{0.9 * float64(count) * 2 / 200 / took.Seconds()}
	}}
}

func everybody(int) bool  { return true }
func even(agent int) bool { return agent%2 == 0 }

// untilApplied returns the time from the first call until that share of so many agents was applied; it gives up after [natstest.Patience].
func (a *arena) untilApplied(share float64, agents int, of func(agent int) bool) time.Duration {
	a.tb.Helper()
	need := int(math.Ceil(share * float64(agents)))
	for end := time.Now().Add(natstest.Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		calls := a.calls()
		if len(calls) == 0 {
			continue
		}
		var done []int64
		for _, c := range calls {
			if c.Retcode == "0" && of(c.Agent) {
				done = append(done, c.Done)
			}
		}
		if len(done) >= need {
			slices.Sort(done)
			first := slices.Min(arrivals(calls))
			return time.Duration(done[need-1] - first)
		}
	}
	return time.Hour
}

// bothAuthorities writes a file with the certificates of both gateways.
func (a *arena) bothAuthorities(second *process) string {
	a.tb.Helper()
	var all bytes.Buffer
	for _, file := range []string{a.ca, second.ask(order{Do: "ca"}).Text} {
		pem, err := os.ReadFile(file)
		a.must(err)
		all.Write(pem)
	}
	file := filepath.Join(a.tb.TempDir(), "both.pem")
	a.must(os.WriteFile(file, all.Bytes(), 0o600))
	return file
}
