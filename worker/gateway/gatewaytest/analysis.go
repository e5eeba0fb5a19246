package gatewaytest

import (
	"cmp"
	"slices"
	"time"
)

// Record is calls in the order in which they arrived.
type Record []Call

// MaxInWindow returns the most calls that arrived within any window of this length. A call that arrives exactly one
// length after another one is in the next window.
func (r Record) MaxInWindow(d time.Duration) int {
	most, first := 0, 0
	for i := range r {
		for r[i].At.Sub(r[first].At) >= d && first < i {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// ByAgent returns each agent's calls.
func (r Record) ByAgent() map[string]Record {
	by := map[string]Record{}
	for _, c := range r {
		by[c.AgentID] = append(by[c.AgentID], c)
	}
	return by
}

// Applied returns the calls that set a flag, in the order in which they took effect.
func (r Record) Applied() Record {
	var applied Record
	for _, c := range r {
		if c.Applied {
			applied = append(applied, c)
		}
	}
	slices.SortStableFunc(applied, func(a, b Call) int { return a.AppliedAt.Compare(b.AppliedAt) })
	return applied
}

// LastApplied returns the flag that took effect last, by agent. Sign-ins are no calls: Gateway.Flag knows of them.
func (r Record) LastApplied() map[string]string {
	last := map[string]string{}
	for _, c := range r.Applied() {
		last[c.AgentID] = c.Flag
	}
	return last
}

// Stale is an older flag that took effect after a newer one of the same agent.
type Stale struct {
	Late  Call // the older one
	After Call // the newest that took effect before it
}

// OutOfOrder returns every stale effect, in the order in which they happened. Which of two calls of one agent has the
// newer flag is the caller's knowledge: compare is negative where a's is older than b's, as in package cmp.
func (r Record) OutOfOrder(compare func(a, b Call) int) []Stale {
	var stale []Stale
	newest := map[string]Call{}
	for _, c := range r.Applied() {
		before, known := newest[c.AgentID]
		if known && compare(c, before) < 0 {
			stale = append(stale, Stale{Late: c, After: before})
			continue
		}
		newest[c.AgentID] = c
	}
	return stale
}

// Overlapping returns the most calls that were under way at once. Calls that are not finished are left out.
func (r Record) Overlapping() int {
	type edge struct {
		at   time.Time
		step int
	}
	var edges []edge
	for _, c := range r {
		if !c.Done.IsZero() {
			edges = append(edges, edge{c.At, 1}, edge{c.Done, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.Compare(b.at), a.step-b.step) })
	most, now := 0, 0
	for _, e := range edges {
		now += e.step
		most = max(most, now)
	}
	return most
}
