package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

// deadFlags choose dead letters.
type deadFlags struct {
	agent, retcode, outcome, batch, since, until string
}

func (a *app) dead() *cobra.Command {
	c := &cobra.Command{
		Use: "dead", Short: "Look at changes that failed or were rejected, and publish them again",
		Args: none,
		RunE: func(*cobra.Command, []string) error { return errors.New("dead: want list, show, replay or purge") },
	}
	c.AddCommand(a.deadList(), a.deadShow(), a.deadReplay(), a.deadPurge())
	return c
}

func (f *deadFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.agent, "agent", "", "of this agent only; \"unknown\" where the message named none")
	c.Flags().StringVar(&f.retcode, "retcode", "", "with this retcode only")
	c.Flags().StringVar(&f.outcome, "outcome", "", "failed or rejected only")
	c.Flags().StringVar(&f.batch, "batch", "", "of this batch only")
	c.Flags().StringVar(&f.since, "since", "", "not older than this, such as 24h, or from an instant on")
	c.Flags().StringVar(&f.until, "until", "", "at least this old, such as 1h, or no later than an instant")
	_ = c.RegisterFlagCompletionFunc("outcome",
		cobra.FixedCompletions([]string{"failed", "rejected"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *deadFlags) query(now time.Time) (q desk.DeadQuery, err error) {
	q = desk.DeadQuery{Agent: f.agent, Retcode: f.retcode, Outcome: messages.Outcome(f.outcome), Batch: f.batch}
	if f.agent != "" {
		if err := checkAgent(f.agent); err != nil {
			return q, err
		}
	}
	if q.Outcome != "" && q.Outcome != messages.Failed && q.Outcome != messages.Rejected {
		return q, unusablef("--outcome %q: want failed or rejected", f.outcome)
	}
	if q.Since, err = instantOf("since", f.since, now); err != nil {
		return q, err
	}
	if q.Until, err = instantOf("until", f.until, now); err != nil {
		return q, err
	}
	if f.until != "" && q.Until.Before(q.Since) {
		return q, unusablef("--since %s --until %s: no letter can match both; --until must not be earlier than --since", f.since, f.until)
	}
	return q, checkBatch(f.batch)
}

func (a *app) deadList() *cobra.Command {
	var f deadFlags
	limit := 1000
	c := &cobra.Command{
		Use: "list", Short: "List dead letters", Args: none,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.listDead(ctx, d, f, limit) }),
	}
	f.add(c)
	c.Flags().IntVar(&limit, "limit", limit, "show the newest N; 0 is all")
	return c
}

// deadRow is a dead letter in a list.
type deadRow struct {
	Seq    uint64          `json:"seq"`
	Agent  string          `json:"agent_id"` // as in its subject
	At     time.Time       `json:"at"`
	Result messages.Result `json:"result"`
}

func (a *app) listDead(ctx context.Context, d *desk.Desk, f deadFlags, limit int) error {
	q, err := f.query(time.Now())
	if err != nil {
		return err
	}
	if limit < 0 {
		return unusablef("--limit %d: want 0 or more", limit)
	}
	rows, all := []deadRow{}, 0
	err = d.Dead(ctx, q, func(l desk.Letter) error {
		if all++; limit > 0 && len(rows) == limit {
			rows = rows[1:]
		}
		rows = append(rows, deadRow{l.Seq, l.Agent, l.At, l.Result})
		return nil
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(rows)
	case all == 0:
		fmt.Fprintln(a.stdout, "no dead letters")
		return nil
	}
	t := terminal.NewTable(a.stdout, "seq", "agent", "outcome", "retcode", "message", "change", "time")
	for _, r := range rows {
		t.AppendRow([]any{
			r.Seq, terminal.Clean(r.Agent), r.Result.Outcome, terminal.Clean(r.Result.Retcode),
			terminal.Clean(r.Result.Message), terminal.Clean(r.Result.ChangeID), terminal.Clock(r.At),
		})
	}
	t.Render()
	if all > len(rows) {
		fmt.Fprintf(a.stdout, "and %d older: --limit 0 shows all\n", all-len(rows))
	}
	return nil
}

// chosen returns the sequences in the arguments or, without arguments, those that the filters select.
func (f *deadFlags) chosen(ctx context.Context, d *desk.Desk, args []string, all bool) ([]uint64, error) {
	var seqs []uint64
	for _, arg := range args {
		seq, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || seq == 0 {
			return nil, unusablef("%q is not a sequence: see the first column of idlectl dead list", arg)
		}
		if !slices.Contains(seqs, seq) {
			seqs = append(seqs, seq)
		}
	}
	filtered := *f != deadFlags{}
	switch {
	case len(seqs) > 0 && (filtered || all):
		return nil, unusablef("want sequences or filters, not both")
	case len(seqs) > 0:
		return seqs, nil
	case !filtered && !all:
		return nil, unusablef("which dead letters? Want sequences, a filter such as --agent, or --all")
	}
	q, err := f.query(time.Now())
	if err != nil {
		return nil, err
	}
	err = d.Dead(ctx, q, func(l desk.Letter) error {
		seqs = append(seqs, l.Seq)
		return nil
	})
	return seqs, err
}
