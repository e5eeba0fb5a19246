package bench

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPlan shows what a day plan costs: a change for each agent and then 8, all of them for tomorrow. The difference of
// the two is what one more change of an agent takes. Then the owner is killed, and a standby takes over with all of it.
func TestPlan(t *testing.T) {
	if *full {
		built(t, "idleworker") // its time must not be that of a start
	}
	agents := sized(20000, 20)
	var rows strings.Builder
	var last planCost
	for _, each := range []int{1, 8} {
		t.Run(strconv.Itoa(each), func(t *testing.T) {
			cost := costOfPlan(t, agents, each)
			fmt.Fprintf(&rows, "| %d agents, %d changes each | %.1f | %.1f | %s | %.1f | %.1f |\n", agents, each, cost.read.Seconds(),
				float64(cost.rss)/(1<<20), cost.each(last.waitingCost), cost.ready.Seconds(), cost.held.Seconds())
			if most := takeoverAfter + 3*time.Second; *full && cost.ready > most {
				t.Errorf("the standby was ready after %v, want %v at most", cost.ready, most)
			}
			if *full && last.n > 0 && cost.bytes(last.waitingCost) > 400 {
				t.Errorf("a further change of an agent takes %d bytes, want 400 at most", cost.bytes(last.waitingCost))
			}
			last = cost
		})
	}
	if *full {
		fmt.Printf("\n| | all wait after, s | resident MiB | bytes per further change | standby ready after kill -9, s | "+
			"agents with something unfinished, s |\n|---|--:|--:|--:|--:|--:|\n%s\n", rows.String())
	}
}

const takeoverAfter = 3 * time.Second // the default

// planCost is what a day plan costs, and a takeover with it.
type planCost struct {
	waitingCost
	ready time.Duration // from the end of the owner until a change that is published then is applied
	held  time.Duration // the same of an agent with something unfinished: a call of the old owner may still land
}

const newcomers = 200 // agents without a plan

func costOfPlan(t *testing.T, agents, each int) planCost {
	t.Helper()
	a := newArena(t, agents+1+newcomers)
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
	c := planCost{waitingCost: waitingCost{n: agents * each, read: time.Since(began)}}
	time.Sleep(sized(15*time.Second, 0)) // the burst is over
	c.rss, _ = owner.memory()
	ended := time.Now()
	sized(owner.kill, owner.stop)() // only the clean way is quick
	a.store(names.Changes(), change(agents, 2, ""))
	a.stored()
	c.ready = a.nextApplied(agents + 1).Sub(ended)
	c.held = a.appliedTo(agents, 2).Sub(ended)
	return c
}

// nextApplied publishes changes for one newcomer after another, from that agent on, and returns when the first of them
// was applied. What was published before is read before, so by then the whole plan is loaded.
func (a *arena) nextApplied(from int) time.Time {
	a.tb.Helper()
	var first time.Time
	var published int
	began := time.Now()
	a.until("was a new change applied", func() bool {
		if time.Since(began) > time.Duration(published)*50*time.Millisecond {
			a.store(names.Changes(), change(from+published%newcomers, 1, ""))
			a.stored()
			published++
		}
		for _, c := range a.calls() {
			if c.Agent >= firstAgent+from && c.Done != 0 {
				first = time.Unix(0, c.Done)
				return true
			}
		}
		return false
	})
	return first
}

// appliedTo returns when the n-th call of an agent was answered.
func (a *arena) appliedTo(agent, n int) time.Time {
	a.tb.Helper()
	var at time.Time
	a.until("was the change applied", func() bool {
		seen := 0
		for _, c := range a.calls() {
			if c.Agent == firstAgent+agent && c.Done != 0 {
				seen++
				at = time.Unix(0, c.Done)
			}
		}
		return seen >= n
	})
	return at
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
