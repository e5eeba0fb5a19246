package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

func (a *app) batch() *cobra.Command {
	return &cobra.Command{
		Use:   "batch ID",
		Short: "Follow a batch to its summary",
		Long: `Follow a batch to its summary. If the latest stored message of the batch is its summary, it is printed at once.
Exit status 1 if any of its changes failed, expired or was rejected, or if it is interrupted before.`,
		Args: one("the ID of a batch"),
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, args []string) error { return a.followBatch(ctx, d, args[0]) }),
	}
}

func (a *app) followBatch(ctx context.Context, d *desk.Desk, id string) error {
	if err := checkBatch(id); err != nil {
		return err
	}
	notes := a.notes()
	nothing := func() {
		if !a.quiet && !a.json {
			fmt.Fprintf(a.stderr, "nothing is stored of batch %s yet: waiting for it, until Ctrl-C\n", id)
		}
	}
	sum, err := d.Batch(ctx, id, nothing, func(p messages.BatchProgress) {
		fmt.Fprintf(notes, "%s  %d of %s ended", terminal.Clock(p.At), p.Ended(), totalOf(p.BatchSummary))
		if !p.ExpectedEnd.IsZero() {
			fmt.Fprintf(notes, ", what is due will be applied %s", terminal.Age(p.ExpectedEnd, p.At))
		}
		if p.Missed > 0 {
			fmt.Fprintf(notes, ", %d too late", p.Missed)
		}
		fmt.Fprintln(notes)
	})
	if interrupted(ctx, err) {
		return fmt.Errorf("interrupted: there is no summary of batch %s yet", id)
	}
	if err != nil {
		return err
	}
	if err := a.showSummary(sum); err != nil {
		return err
	}
	if bad := sum.Failed + sum.Expired + sum.Rejected; bad > 0 {
		return fmt.Errorf("%d of %d changes of batch %s failed, expired or were rejected", bad, sum.Total, id)
	}
	return nil
}

func totalOf(s messages.BatchSummary) string {
	if s.Total == 0 {
		return "an unknown number"
	}
	return strconv.Itoa(s.Total)
}

func (a *app) showSummary(s messages.BatchSummary) error {
	if a.json {
		return a.printJSON(s)
	}
	fmt.Fprintf(a.stdout, "batch %s: %s, from %s to %s\n", s.BatchID, terminal.Plural(s.Total, "change"), terminal.Clock(s.StartedAt), terminal.Clock(s.FinishedAt))
	terminal.WriteOutcomes(a.stdout, map[messages.Outcome]int{
		messages.Applied: s.Applied, messages.Superseded: s.Superseded, messages.Expired: s.Expired,
		messages.Rejected: s.Rejected, messages.Failed: s.Failed,
	})
	return nil
}
