package bench

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPlan shows what a day plan costs: a change for each agent and then 8, all of them for tomorrow. The difference of
// the two is what one more change of an agent takes.
func TestPlan(t *testing.T) {
	if *full {
		built(t, "idleworker") // its time must not be that of a start
	}
	agents := sized(20000, 20)
	var rows strings.Builder
	var last waitingCost
	for _, each := range []int{1, 8} {
		t.Run(strconv.Itoa(each), func(t *testing.T) {
			cost := costOfPlan(t, agents, each)
			fmt.Fprintf(&rows, "| %d agents, %d changes each | %.1f | %.1f | %s | %.1f |\n", agents, each, cost.read.Seconds(),
				float64(cost.rss)/(1<<20), cost.each(last), cost.firstCall.Seconds())
			last = cost
		})
	}
	if *full {
		fmt.Printf("\n| | all wait after, s | resident MiB | bytes per further change | first call of a standby after kill -9, s |\n"+
			"|---|--:|--:|--:|--:|\n%s\n", rows.String())
	}
}

func costOfPlan(t *testing.T, agents, each int) waitingCost {
	t.Helper()
	a := newArena(t, agents+1)
	owner := a.beginProgram(ours, 50)
	a.owned(agents, 1)
	a.beginProgram(ours, 50) // the standby
	tomorrow := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	began := time.Now()
	for i := range agents {
		a.store(names.Changes(), planOf(i, each, tomorrow))
	}
	a.stored()
	a.results(1 + agents*each)
	c := waitingCost{n: agents * each, read: time.Since(began)}
	time.Sleep(sized(15*time.Second, 0)) // the burst is over
	c.rss, _ = owner.memory()
	c.firstCall = a.firstCallOf(func() {
		sized(owner.kill, owner.stop)()                 // only the clean way is quick
		a.store(names.Changes(), change(agents, 2, "")) // of an agent without a plan: nothing of it may still land
		a.stored()
	})
	return c
}

// owned returns once there is an owner, which has applied a change of an agent.
func (a *arena) owned(agent, n int) {
	a.tb.Helper()
	a.store(names.Changes(), change(agent, n, ""))
	a.stored()
	a.results(1)
}

// planOf is a message with so many changes of one agent, an hour apart.
func planOf(agent, changes int, from time.Time) string {
	items := make([]string, changes)
	for n := range items {
		items[n] = change(agent, n, fmt.Sprintf(`,"id":"slot-%d","effective_at":%q`, n, from.Add(time.Duration(n)*time.Hour).Format(time.RFC3339)))
	}
	return `{"changes":[` + strings.Join(items, ",") + `]}`
}
