package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"time"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/plan/steps"
	"idlepolicy/cmd/internal/terminal"
)

// planView shows a plan.
type planView struct {
	app   *app
	plan  *plan.Plan
	diff  *plan.Diff
	state *plan.State
	zone  *time.Location
	flags planFlags
	file  string
}

// planDocument is what --json prints.
type planDocument struct {
	Plan     string         `json:"plan"`
	Counts   plan.Counts    `json:"counts"`
	Problems []plan.Problem `json:"problems,omitempty"`
	Notes    []plan.Problem `json:"notes,omitempty"`
	Stands   int            `json:"stands"`
	Keeps    int            `json:"keeps"`
	Add      int            `json:"add"`
	Change   int            `json:"change"`
	Again    int            `json:"again"`
	Withdraw int            `json:"withdraw"`
	Agents   int            `json:"agents"`
	Asks     string         `json:"asks,omitempty"` // what --apply would ask about; without a terminal it needs --force then
	Steps    []planStep     `json:"steps"`
	Applied  *report        `json:"applied,omitempty"`
}

// planStep is one difference.
type planStep struct {
	Action      plan.Action `json:"action"`
	AgentID     string      `json:"agent_id"`
	ID          string      `json:"id"`
	Flag        string      `json:"flag,omitempty"`
	EffectiveAt time.Time   `json:"effective_at"`
	ValidUntil  time.Time   `json:"valid_until,omitzero"`
	Reason      string      `json:"reason,omitempty"`
	Was         *planStep   `json:"was,omitempty"`
}

// problems shows what is wrong with the file.
func (v *planView) problems() error {
	p := v.plan
	if v.app.json {
		if err := v.app.printJSON(planDocument{Plan: p.Name, Counts: p.Counts, Problems: p.Problems, Notes: p.Notes, Steps: []planStep{}}); err != nil {
			return err
		}
	} else {
		for _, one := range p.Problems {
			fmt.Fprintln(v.app.stderr, terminal.Clean(one.In(v.file)))
		}
	}
	return unusablef("%s in %s, in %s: nothing was published", terminal.Plural(p.Faults(), "fault"), v.file, terminal.Plural(p.Counts.Rows, "row"))
}

func (v *planView) document(applied *report) planDocument {
	d := v.diff
	doc := planDocument{
		Plan: v.plan.Name, Counts: v.plan.Counts, Notes: v.plan.Notes, Stands: d.Stands, Keeps: d.Keeps, Add: d.Count(plan.Add),
		Change: d.Count(plan.Change), Again: d.Count(plan.Again), Withdraw: d.Count(plan.Withdraw), Agents: d.Agents(), Applied: applied,
		Asks:  v.asks(),
		Steps: make([]planStep, 0, len(d.All)),
	}
	for i := range d.All {
		one := &d.All[i]
		s := v.step(one, one.Step)
		if one.Action == plan.Change {
			was := v.step(one, *one.Was)
			was.Action = ""
			s.Was = &was
		}
		doc.Steps = append(doc.Steps, s)
	}
	return doc
}

func (v *planView) step(d *plan.Difference, s steps.Step) planStep {
	p := planStep{
		Action: d.Action, AgentID: d.Agent, ID: plan.ChangeID(v.plan.Name, d.Agent, s.Start), Flag: s.Flag,
		EffectiveAt: time.Unix(s.Start, 0).UTC(), Reason: s.Activity,
	}
	if s.End != steps.Open {
		p.ValidUntil = time.Unix(s.End, 0).UTC()
	}
	return p
}

// applied shows what became of the difference.
func (v *planView) applied(r report) error {
	if v.app.json {
		r = r.whole()
		return v.app.printJSON(v.document(&r))
	}
	switch {
	case r.Messages == 0:
		fmt.Fprintln(v.app.stdout, "recorded; a run that was interrupted had published everything")
	case r.Run == "":
		fmt.Fprintf(v.app.stdout, "applied: %s\n", terminal.Plural(v.diff.Count(plan.Withdraw), "withdrawal"))
	default:
		fmt.Fprintf(v.app.stdout, "applied as batch %s: %s in %s, %s\n", r.Run, terminal.Plural(r.Changes, "change"),
			terminal.Plural(r.Messages, "message"), terminal.Plural(v.diff.Count(plan.Withdraw), "withdrawal"))
	}
	return nil
}

// shownDifferences is how many differences are shown without --all.
const shownDifferences = 60

// show shows the difference: its counts first.
func (v *planView) show(r *report) error {
	if v.app.json {
		return v.app.printJSON(v.document(r))
	}
	out, c, d := v.app.stdout, v.plan.Counts, v.diff
	fmt.Fprintf(out, "plan %s: %s, %s, %s", v.plan.Name, terminal.Plural(c.Rows, "row"), terminal.Plural(c.Agents, "agent"), terminal.Plural(c.Steps, "step"))
	for _, left := range []struct {
		n    int
		what string
	}{
		{c.Passed, "steps in the past"},
		{c.Ignored, "rows ignored"},
		{c.Filtered, "rows left out"},
		{c.Empty, "rows of no length"},
		{c.UnknownAgents, "rows of unknown agents"},
		{c.UnknownActivities, "rows of other activities"},
		{c.Skipped, "times that clocks skip"},
		{c.Twice, "times that exist twice"},
	} {
		if left.n > 0 {
			fmt.Fprintf(out, ", %d %s", left.n, left.what)
		}
	}
	fmt.Fprintln(out)
	for _, note := range v.plan.Notes[:min(len(v.plan.Notes), 5)] {
		fmt.Fprintln(out, "note: "+terminal.Clean(note.In(v.file)))
	}
	if by, at := v.state.Last(); by != "" {
		fmt.Fprintf(out, "applied last by %s at %s\n", terminal.Clean(by), at.Local().Format(time.DateTime))
	}
	if len(d.All) == 0 {
		fmt.Fprintf(out, "nothing to do: %s as they are\n", stay(d.Keeps))
		return nil
	}
	fmt.Fprintf(out, "%d new, %d changed, %d withdrawn for %s; %s\n", d.Count(plan.Add), d.Count(plan.Change)+d.Count(plan.Again),
		d.Count(plan.Withdraw), terminal.Plural(d.Agents(), "agent"), stay(d.Keeps))
	v.differences()
	if asks := v.asks(); asks != "" && !v.flags.apply {
		fmt.Fprintf(out, "%s: --apply asks first, and without a terminal it needs --force\n", asks)
	}
	return nil
}

// asks returns what --apply asks about before it withdraws or flips much of what stands; empty: nothing.
func (v *planView) asks() string {
	touched, stands := v.diff.Touched(), v.diff.Stands
	if v.flags.force || float64(touched)*100 <= v.flags.most*float64(stands) {
		return ""
	}
	return fmt.Sprintf("%d of the %d steps that stand (%.0f %%) would be withdrawn or get another flag, more than %g %%",
		touched, stands, float64(touched)*100/float64(stands), v.flags.most)
}

func stay(n int) string {
	if n == 1 {
		return "1 step stays"
	}
	return fmt.Sprintf("%d steps stay", n)
}

// differences shows the differences, by agent or by step.
func (v *planView) differences() {
	all := v.diff.All
	if v.flags.by == "step" {
		all = slices.Clone(all)
		slices.SortStableFunc(all, func(a, b plan.Difference) int { return cmp.Compare(a.Step.Start, b.Step.Start) })
	}
	colours := terminal.IsTerminal(v.app.stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	for i := range all {
		if i == shownDifferences && !v.flags.all {
			fmt.Fprintf(v.app.stdout, "and %d more: see --all\n", len(all)-i)
			return
		}
		line := v.line(&all[i])
		if colours {
			line = colourOf[all[i].Action] + line + "\x1b[0m"
		}
		fmt.Fprintln(v.app.stdout, line)
	}
}

var (
	signOf   = map[plan.Action]string{plan.Add: "+", plan.Change: "~", plan.Again: "~", plan.Withdraw: "-"}
	colourOf = map[plan.Action]string{plan.Add: "\x1b[32m", plan.Change: "\x1b[33m", plan.Again: "\x1b[33m", plan.Withdraw: "\x1b[31m"}
)

func (v *planView) line(d *plan.Difference) string {
	line := fmt.Sprintf("%s %-6s  %s  %-5s  %s", signOf[d.Action], d.Agent, v.span(d.Step), terminal.Clean(d.Step.Flag), terminal.Clean(d.Step.Activity))
	if d.Action == plan.Change {
		line += fmt.Sprintf("  (was %s  %s  %s)", v.span(*d.Was), terminal.Clean(d.Was.Flag), terminal.Clean(d.Was.Activity))
	}
	return line
}

func (v *planView) span(s steps.Step) string {
	zone := v.zone
	if zone == nil {
		zone = time.UTC
	}
	start := time.Unix(s.Start, 0).In(zone)
	text := start.Format("Mon 2006-01-02 15:04 -0700")
	if s.End == steps.Open {
		return text + " on"
	}
	end := time.Unix(s.End, 0).In(zone)
	if end.Format(time.DateOnly) == start.Format(time.DateOnly) {
		return text + " to " + end.Format("15:04")
	}
	return text + " to " + end.Format("Mon 15:04")
}
