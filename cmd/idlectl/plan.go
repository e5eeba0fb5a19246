package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/plan/mapping"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
)

type planFlags struct {
	mapFile, from, until, by          string
	apply, wait, force, detailed, all bool
	most                              float64
	timeout                           time.Duration
}

// statusDiffers is the exit status of plan --detailed-exitcode if there is something to do.
const statusDiffers = 4

// memoryLimit is soft. A week of 20,000 agents, a million rows, holds 250 MiB; without it the garbage comes to three times that.
const memoryLimit = 400 << 20

// errDiffers ends the program with statusDiffers and says nothing.
var errDiffers = errors.New("there is something to do")

func (a *app) plan() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan FILE|- --map MAP.yaml",
		Short: "Show what a schedule would change, and apply it",
		Long: `Show what a schedule would change compared with what was applied before under the same name, and with --apply
publish exactly that. FILE is what a workforce-management system exports: CSV, XLSX, JSON, NDJSON, XML or iCalendar.
The map says how to read it; ready maps are in deploy/samples/plans. A file with problems publishes nothing.

Local times follow one rule where clocks change: a time that exists twice is the first of the two, one that does not
exist is the instant at which the clocks are put forward. Both are reported.

Exit status: 0 fine or nothing to do, 2 problems, with --detailed-exitcode 4 if there is something to do.`,
		Example: "  idlectl plan roster.csv --map vienna-voice.yaml\n  idlectl plan roster.csv --map vienna-voice.yaml --apply --wait",
		Args:    one("a schedule, or - for standard input"),
		RunE:    a.plain(func(ctx context.Context, args []string) error { return a.planFile(ctx, args[0], f) }),
	}
	c.Flags().StringVar(&f.mapFile, "map", "", "the map: a YAML file that says how to read FILE")
	c.Flags().BoolVar(&f.apply, "apply", false, "publish the difference as one batch, and record it")
	c.Flags().BoolVar(&f.wait, "wait", false, "with --apply: wait for the ending of every change")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "with --wait: no longer than this; default: as long as it takes")
	c.Flags().BoolVar(&f.force, "force", false, "apply also what would change more than --max-change, and a schedule that is over")
	c.Flags().Float64Var(&f.most, "max-change", 30, "ask if more than this percentage of what stands would be withdrawn or get another flag")
	c.Flags().BoolVar(&f.detailed, "detailed-exitcode", false, "exit with status 4 if there is something to do")
	c.Flags().StringVar(&f.by, "by", "agent", "show the difference by agent or by step")
	c.Flags().BoolVar(&f.all, "all", false, "show all of the difference, not only its beginning")
	c.Flags().StringVar(&f.from, "from", "", "ignore steps that begin before this: an instant, a date, now or today, optionally followed by an offset such as +7d or -2h; default: as in the map")
	c.Flags().StringVar(&f.until, "until", "", "leave alone what begins then or later; default: as in the map")
	_ = c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{"agent", "step"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) planFile(ctx context.Context, name string, f planFlags) error {
	m, agents, err := a.readMap(f)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(memoryLimit)
	now := time.Now()
	p, err := plan.ReadFile(name, a.stdin, m, agents, now)
	if err != nil {
		return unusable{err}
	}
	shown := planView{app: a, plan: p, zone: m.Location, flags: f, file: name}
	if p.Faults() > 0 {
		return shown.problems()
	}
	if p.IsOver(now) && !f.force {
		return unusablef("%s: everything in it is in the past (%s): is it an old file? Nothing was published; --force goes on all the same",
			name, terminal.Plural(p.Counts.Steps, "step"))
	}
	d, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	store := &planStore{desk: d}
	state, err := plan.Load(ctx, store, p.Name)
	if err != nil {
		return fmt.Errorf("plan %s: %w", p.Name, err)
	}
	shown.state, shown.diff = state, plan.Compare(p, state.Records, now)
	if f.apply && !shown.diff.IsEmpty() {
		return a.applyPlan(ctx, store, &shown, now)
	}
	if err := shown.show(nil); err != nil {
		return err
	}
	if f.detailed && len(shown.diff.All) > 0 {
		return errDiffers
	}
	return nil
}

// readMap reads the map and what the flags say instead of it.
func (a *app) readMap(f planFlags) (*mapping.Map, map[string]string, error) {
	switch {
	case f.mapFile == "":
		return nil, nil, unusablef("--map: missing; want the YAML file that says how to read the schedule")
	case f.by != "agent" && f.by != "step":
		return nil, nil, unusablef("--by %q: want agent or step", f.by)
	case f.wait && !f.apply:
		return nil, nil, unusablef("--wait is for what --apply has published: want both")
	case f.timeout < 0 || f.timeout > 0 && !f.wait:
		return nil, nil, unusablef("--timeout is how long --wait may take: want both, and a duration such as 10m")
	case f.most < 0 || f.most > 100:
		return nil, nil, unusablef("--max-change %v: want a percentage from 0 to 100", f.most)
	}
	m, agents, problems, err := plan.LoadMap(f.mapFile)
	if err != nil {
		return nil, nil, unusable{err}
	}
	for _, p := range problems {
		fmt.Fprintln(a.stderr, terminal.Clean(p))
	}
	if len(problems) > 0 {
		return nil, nil, unusablef("%s in the map or its agents: nothing was published", terminal.Plural(len(problems), "fault"))
	}
	for _, b := range []struct {
		flag, text string
		bound      *mapping.Bound
	}{{"--from", f.from, &m.From}, {"--until", f.until, &m.Until}} {
		if b.text == "" {
			continue
		}
		bound, ok := mapping.ParseBound(b.text)
		if !ok {
			return nil, nil, unusablef("%s %q: want an instant with zone, a date, now or today, and for example +7d behind it", b.flag, b.text)
		}
		*b.bound = bound
	}
	return m, agents, nil
}

// applyPlan publishes the difference.
func (a *app) applyPlan(ctx context.Context, store *planStore, v *planView, now time.Time) error {
	if !a.json {
		if err := v.show(nil); err != nil {
			return err
		}
	}
	if err := a.confirm(v); err != nil {
		return err
	}
	since := desk.Since{}
	if v.flags.wait {
		var err error
		if since.After, err = store.desk.LastSeq(ctx); err != nil {
			return err
		}
	}
	store.bar = terminal.NewProgress(a.notes(), "published", len(v.diff.All))
	batch, err := plan.Apply(ctx, store, v.plan, v.state, v.diff, store.desk.By, now)
	store.bar.Finish()
	if err != nil {
		if ctx.Err() != nil {
			err = errInterrupted
		}
		return fmt.Errorf("plan %s: %w; nothing is lost: repeat the command to go on where it ended", v.plan.Name, err)
	}
	r := report{Messages: store.messages, Changes: v.diff.Changes(), Run: batch, Published: store.published, Duplicates: store.duplicates}
	if v.flags.wait && batch != "" {
		since.Older = store.duplicates > 0
		show := v.applied
		if !a.json { // people see at once what was published
			if err := v.applied(r); err != nil {
				return err
			}
			show = a.print
		}
		return a.await(ctx, store.desk, r, store.expected, since, v.flags.timeout, show)
	}
	return v.applied(r)
}

// confirm asks before much of what stands is withdrawn or flipped.
func (a *app) confirm(v *planView) error {
	much := v.asks()
	if much == "" {
		return nil
	}
	if !terminal.IsTerminal(os.Stdin) || !terminal.IsTerminal(a.stderr) || v.file == "-" {
		return unusablef("%s: is the export complete? Nothing was published; --force applies it all the same", much)
	}
	fmt.Fprintf(a.stderr, "%s. Apply it? Type yes: ", much)
	answer, _ := bufio.NewReader(a.stdin).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return unusablef("not applied: nothing was published")
	}
	return nil
}
