package plan_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"idlepolicy/messages"
)

// inForce returns the flag that is in force for an agent at an instant, by the contract: the last change that took effect,
// unless its valid_until has passed.
func (s *store) inForce(agent string, at time.Time) string {
	var last messages.Change
	for _, c := range s.waiting {
		if c.AgentID == agent && !c.EffectiveAt.After(at) && c.EffectiveAt.After(last.EffectiveAt) {
			last = c
		}
	}
	if !last.ValidUntil.IsZero() && !at.Before(last.ValidUntil) {
		return ""
	}
	return last.Flag
}

// The changes of each sample mean the schedule: each agent's flag at random instants is that of the step there.
func TestSamplesAreInForce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range sampleNames(t) {
		p := sample(t, name)
		s := newStore(t)
		if err := s.apply(p, sampleTime); err != nil {
			t.Fatal(err)
		}
		s.wants(p, sampleTime)
		for _, agent := range slices.Sorted(maps.Keys(p.Agents)) {
			all := p.Agents[agent]
			first, last := all[0].Start, all[len(all)-1].Start
			for range 200 {
				at := first - 3600 + r.Int64N(last-first+50_000)
				want := ""
				for _, step := range all {
					if step.Start <= at && at < step.End {
						want = step.Flag
					}
				}
				if got := s.inForce(agent, time.Unix(at, 0)); got != want {
					t.Errorf("%s: agent %s has flag %q at %v, want %q", name, agent, got, time.Unix(at, 0).UTC(), want)
				}
			}
		}
	}
}
