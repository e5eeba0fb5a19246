package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestGrowth shows what the number of waiting changes, agents and messages costs: what is done once may grow with it, the
// cost of one change must not.
func TestGrowth(t *testing.T) {
	if *full {
		built(t, "idleworker") // its time must not be that of a start
	}
	var rows strings.Builder
	var last waitingCost
	for _, n := range sized([]int{1000, 20000, 200000}, []int{20}) {
		t.Run("waiting/"+strconv.Itoa(n), func(t *testing.T) {
			cost := costOfWaiting(t, n)
			fmt.Fprintf(&rows, "| %d agents wait | %.1f | %.1f | %s | %.2f | %.1f |\n", n, cost.read.Seconds(),
				float64(cost.rss)/(1<<20), cost.each(last), 100*cost.idle, cost.firstCall.Seconds())
			last = cost
		})
	}
	rows.WriteString("\n| | read and ended after, s | changes per second | CPU µs per change | at most MiB | first call after, s |\n|---|--:|--:|--:|--:|--:|\n")
	for _, n := range sized([]int{10000, 1000000}, []int{100}) {
		t.Run("backlog/"+strconv.Itoa(n), func(t *testing.T) { rows.WriteString(costOfBacklog(t, n)) })
	}
	if *full {
		fmt.Printf("\n| | read after, s | resident MiB | bytes per further change | idle CPU %% | first call after a restart, s |\n"+
			"|---|--:|--:|--:|--:|--:|\n%s\n", rows.String())
	}
}

// waitingCost is what a number of waiting changes costs a process.
type waitingCost struct {
	n         int
	read      time.Duration // until all were read, and told to wait
	rss       int64
	idle      float64       // share of one processor
	firstCall time.Duration // after a start with all of them waiting and one due
}

// each is what each change more than in another measurement takes.
func (c waitingCost) each(than waitingCost) string {
	if than.n == 0 {
		return "–"
	}
	return strconv.FormatInt(c.bytes(than), 10)
}

func (c waitingCost) bytes(than waitingCost) int64 { return (c.rss - than.rss) / int64(c.n-than.n) }

func costOfWaiting(t *testing.T, n int) waitingCost {
	t.Helper()
	a := newArena(t, n)
	a.publishWaiting(n)
	began := time.Now()
	p := a.beginProgram(ours, 50)
	a.results(n)
	c := waitingCost{n: n, read: time.Since(began)}
	time.Sleep(sized(15*time.Second, 0)) // the burst is over
	from, used := time.Now(), p.cpu()
	time.Sleep(sized(20*time.Second, 100*time.Millisecond)) // what is measured is that nothing happens
	c.idle = (p.cpu() - used).Seconds() / time.Since(from).Seconds()
	c.rss, _ = p.memory()
	p.end()
	a.store(names.Changes(), change(0, 1, ""))
	a.stored()
	c.firstCall = a.firstCallOf(func() { a.beginProgram(ours, 50) })
	return c
}

// firstCallOf returns how long it takes from a start to the first call.
func (a *arena) firstCallOf(begin func()) time.Duration {
	a.tb.Helper()
	before := a.countCalls()
	began := time.Now()
	begin()
	a.until("was a call made", func() bool { return a.countCalls() > before })
	calls := a.calls()
	return time.Duration(calls[before].At - began.UnixNano())
}

func costOfBacklog(t *testing.T, n int) string {
	t.Helper()
	agents := min(n, sized(5000, 20))
	a := newArena(t, agents)
	a.publish(n, agents)
	var p *process
	began := time.Now()
	first := a.firstCallOf(func() { p = a.beginProgram(ours, 50) })
	a.results(n - agents)
	took := time.Since(began)
	_, peak := p.memory()
	return fmt.Sprintf("| %d messages for %d agents | %.1f | %.0f | %.1f | %.1f | %.1f |\n", n, agents, took.Seconds(),
		float64(n)/took.Seconds(), float64(p.cpu().Microseconds())/float64(n), float64(peak)/(1<<20), first.Seconds())
}

// clockTick is the unit in which Linux tells what a process has used.
const clockTick = 10 * time.Millisecond

// cpu is what the process has used so far, where the system says.
func (p *process) cpu() time.Duration {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat") // elsewhere there is none
	_, rest, _ := strings.Cut(string(text), ") ")                                // the name before may have spaces in it
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}
