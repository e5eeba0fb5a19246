package plan

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"idlepolicy/cmd/internal/plan/steps"
)

// Action is what is done about a step.
type Action string

// The actions.
const (
	Add      Action = "add"
	Change   Action = "change"   // published again under its id: another flag, end or activity
	Again    Action = "again"    // a run that was interrupted may have published or withdrawn it
	Withdraw Action = "withdraw" // gone from the schedule and still ahead
)

// Difference is one thing to publish.
type Difference struct {
	Agent  string
	Action Action
	Step   steps.Step
	Was    *steps.Step // for Change
}

// Diff is what a plan wants to be different from what was applied before.
type Diff struct {
	All     []Difference // by agent, then by time
	Stands  int          // steps that were applied before, are in the horizon and have not passed
	Keeps   int          // of these, those that stay as they are
	records map[string]Record
}

// Count returns how many differences have an action.
func (d *Diff) Count(a Action) int {
	n := 0
	for i := range d.All {
		if d.All[i].Action == a {
			n++
		}
	}
	return n
}

// IsEmpty reports whether there is nothing to publish and nothing to record.
func (d *Diff) IsEmpty() bool { return len(d.All) == 0 && len(d.records) == 0 }

// Changes returns how many changes are published, without withdrawals.
func (d *Diff) Changes() int { return len(d.All) - d.Count(Withdraw) }

// Touched returns how many steps that stand would be withdrawn or get another flag.
func (d *Diff) Touched() int {
	n := 0
	for i := range d.All {
		switch one := &d.All[i]; one.Action {
		case Withdraw:
			n++
		case Change:
			if one.Was.Flag != one.Step.Flag {
				n++
			}
		case Add, Again:
		}
	}
	return n
}

// Agents returns how many agents there is a difference for.
func (d *Diff) Agents() int {
	n := 0
	for i := range d.All {
		if i == 0 || d.All[i-1].Agent != d.All[i].Agent {
			n++
		}
	}
	return n
}

// Compare returns the difference between a plan and the records of what was applied under its name. Steps that have passed
// and steps that begin outside of the horizon are left alone.
func Compare(p *Plan, has map[string]Record, now time.Time) *Diff {
	d := &Diff{records: map[string]Record{}}
	agents := map[string]bool{}
	for agent := range p.Agents {
		agents[agent] = true
	}
	for agent := range has {
		agents[agent] = true
	}
	for _, agent := range slices.Sorted(maps.Keys(agents)) {
		d.agent(agent, p, has[agent], now.Unix())
	}
	return d
}

func (d *Diff) agent(agent string, p *Plan, has Record, now int64) {
	inside := func(s steps.Step) bool { return s.End > now && s.Start >= p.From && s.Start < p.Until }
	var kept []steps.Step // what the record will say, without what has passed
	outside := func(s steps.Step) bool { return s.End > now && !inside(s) }
	for _, s := range has.Steps {
		if outside(s) {
			kept = append(kept, s)
		}
	}
	before := len(d.All)
	maybe := map[int64]bool{}
	for _, start := range has.Maybe {
		maybe[start] = true
	}
	was, wanted := filter(has.Steps, inside), filter(p.Agents[agent], inside)
	d.Stands += len(was)
	if kept == nil {
		kept = wanted
	} else {
		kept = append(kept, wanted...)
		slices.SortFunc(kept, func(a, b steps.Step) int { return cmp.Compare(a.Start, b.Start) })
	}
	for len(was) > 0 || len(wanted) > 0 {
		switch {
		case len(wanted) == 0 || len(was) > 0 && was[0].Start < wanted[0].Start:
			d.gone(agent, was[0], now)
			delete(maybe, was[0].Start)
			was = was[1:]
		case len(was) == 0 || wanted[0].Start < was[0].Start:
			d.All = append(d.All, Difference{agent, Add, wanted[0], nil})
			delete(maybe, wanted[0].Start)
			wanted = wanted[1:]
		default:
			switch {
			case was[0] != wanted[0]:
				d.All = append(d.All, Difference{agent, Change, wanted[0], &was[0]})
			case maybe[was[0].Start]:
				d.All = append(d.All, Difference{agent, Again, wanted[0], nil})
			default:
				d.Keeps++
			}
			delete(maybe, was[0].Start)
			was, wanted = was[1:], wanted[1:]
		}
	}
	for _, start := range slices.Sorted(maps.Keys(maybe)) { // published, maybe, and wanted by nobody
		if start > now && start >= p.From && start < p.Until {
			d.gone(agent, steps.Step{Start: start, End: steps.Open}, now)
		}
	}
	sortByTime(d.All[before:])
	if len(d.All) > before || len(has.Maybe) > 0 {
		d.records[agent] = Record{Steps: kept}
	}
}

func sortByTime(all []Difference) {
	slices.SortStableFunc(all, func(a, b Difference) int { return cmp.Compare(a.Step.Start, b.Step.Start) })
}

// gone withdraws a step that is still ahead. One that has begun cannot be recalled, and its successor replaces it.
func (d *Diff) gone(agent string, s steps.Step, now int64) {
	if s.Start > now {
		d.All = append(d.All, Difference{agent, Withdraw, s, nil})
	}
}

func filter(all []steps.Step, keep func(steps.Step) bool) []steps.Step {
	for i, s := range all {
		if keep(s) {
			continue
		}
		kept := slices.Clone(all[:i])
		for _, s := range all[i+1:] {
			if keep(s) {
				kept = append(kept, s)
			}
		}
		return kept
	}
	return all
}
