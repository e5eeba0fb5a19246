package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/view"
)

func (a *app) status() *cobra.Command {
	watch := false
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how the worker is, on one screen",
		Long: `Show how the worker is, on one screen. If no owner answers, it shows what the streams tell, and the exit status is 1.
With --watch it is shown again each second until Ctrl-C, which is exit status 0; --json prints a line each time.`,
		Args: none,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error {
			if watch {
				return a.watchStatus(ctx, d)
			}
			return a.showStatus(ctx, d)
		}),
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show it again each second")
	return c
}

func (a *app) showStatus(ctx context.Context, d *desk.Desk) error {
	s, err := d.Status(ctx)
	switch {
	case s.View == nil && s.Streams == nil:
		return err
	case a.json:
		return errors.Join(a.printJSON(s), err)
	}
	if len(s.Replicas) > 0 {
		a.replicas(s.Replicas)
	}
	if s.View == nil {
		return errors.Join(a.overview(s), err)
	}
	a.view(*s.View)
	return nil
}

func (a *app) replicas(all []view.Replica) {
	now := time.Now()
	t := terminal.NewTable(a.stdout, "replica", "role", "since", "trouble")
	for _, r := range all {
		t.AppendRow([]any{terminal.Clean(r.Name), terminal.Clean(r.Role), terminal.Age(r.Since, now), terminal.Clean(r.Trouble)})
	}
	t.Render()
	fmt.Fprintln(a.stdout)
}

func (a *app) view(v view.View) {
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	fact("coverage", "%s", terminal.Coverage(v.Coverage))
	fact("gate", "%s", gateText(v.Gate, v.At))
	fact("unfinished", "%s, of %s known", terminal.Plural(v.Unfinished, "message"), terminal.Plural(v.Agents, "agent"))
	fact("ready", "%d, %d called right now, %d pause before another attempt", v.Due, v.InFlight, v.Retrying)
	fact("waiting", "%d for their sign-in, %d for their instant, %d for something else of their agent", v.NotSignedIn, v.Later, v.Held)
	fact("storing", "%s", terminal.Plural(v.Storing, "result"))
	fact("estimate", "%s", estimateText(v.Estimate, v.Gate, v.At))
	if len(v.Batches) == 0 {
		return
	}
	fmt.Fprintln(a.stdout)
	t := terminal.NewTable(a.stdout, "batch", "ended", "total", "failed", "rejected", "expired", "since")
	for _, b := range v.Batches {
		p := b.Progress
		t.AppendRow([]any{terminal.Clean(b.ID), p.Ended(), p.Total, p.Failed, p.Rejected, p.Expired, terminal.Age(p.StartedAt, v.At)})
	}
	t.Render()
}

func gateText(g view.GateState, now time.Time) string {
	text := g.State
	if g.Why != "" {
		text += ": " + terminal.Clean(g.Why)
	}
	if !g.Until.IsZero() {
		text += ", next look " + terminal.Age(g.Until, now)
	}
	text += "; "
	if g.State != "open" && g.State != "slowed" {
		text += "then "
	}
	text += perSecond(g.Rate)
	if g.Rate != g.Limit {
		text += " of " + perSecond(g.Limit)
	}
	if g.ByOperator {
		text += ", set by an operator"
	}
	return text
}

func estimateText(e view.Estimate, g view.GateState, now time.Time) string {
	if e.Due == 0 {
		return "nothing is due"
	}
	text := terminal.Plural(e.Due, "change") + " due"
	switch {
	case !e.End.IsZero():
		text += fmt.Sprintf(", done %s (%s) at %s", terminal.Age(e.End, now), terminal.Clock(e.End), perSecond(e.Rate))
	case g.State == "probing" || g.State == "paused":
		text += "; nobody knows when they are done: the gate is " + g.State
	default:
		text += ", the rate is not known yet"
	}
	if e.Missed > 0 {
		text += fmt.Sprintf("; %d of them later than their valid_until", e.Missed)
	}
	return text
}

// overview prints what the streams show.
func (a *app) overview(s desk.Status) error {
	o := s.Streams
	now := time.Now()
	fact := func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-13s %s\n", name, fmt.Sprintf(format, args...))
	}
	fact("owner", "%s", ownerText(s, now))
	fact("unfinished", "%s", terminal.Plural(int(o.Unfinished), "message"))
	if !o.Oldest.IsZero() {
		fact("", "the oldest from %s, %s", terminal.Clock(o.Oldest), terminal.Age(o.Oldest, now))
	}
	fact("sessions", "%d", o.Sessions)
	fact("dead letters", "%d", o.Dead)
	fact("results", "%d", o.Results)
	if len(o.Last) > 0 {
		fmt.Fprintln(a.stdout, "\nthe last results:")
		terminal.WriteResultHead(a.stdout)
	}
	for _, e := range o.Last {
		if err := terminal.WriteResult(a.stdout, e.At, e.Result); err != nil {
			return err
		}
	}
	return nil
}

func ownerText(s desk.Status, now time.Time) string {
	last, text := s.Streams.Owner, "none answers"
	switch {
	case len(s.Replicas) > 0 && s.Owner == "":
		text = "none"
	case s.Owner != "":
		text = terminal.Clean(s.Owner) + ", which does not answer"
	}
	switch {
	case last.Name == "":
		return text + "; there has been none yet"
	case last.Name == s.Owner:
		return text
	case last.Released:
		return text + "; the last one was " + terminal.Clean(last.Name) + ", which stopped cleanly"
	}
	return fmt.Sprintf("%s; the last one was %s, which took over %s (%s)", text, terminal.Clean(last.Name), terminal.Clock(last.Since), terminal.Age(last.Since, now))
}
