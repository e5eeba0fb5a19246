package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
)

type resultsFlags struct {
	since, agent, batch string
	outcomes            []string
	last                int
	noFollow            bool
}

func (a *app) results() *cobra.Command {
	var f resultsFlags
	c := &cobra.Command{
		Use:   "results",
		Short: "Follow the results of changes",
		Long: `Follow the results of changes, as they are stored. --json prints each as it stands in the stream, one per line.
With --no-follow alone, all that are stored.`,
		Example: "  idlectl results --agent 1001 --since 24h\n  idlectl results --outcome failed,rejected --last 20 --no-follow",
		Args:    none,
		RunE:    a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.showResults(ctx, d, f) }),
	}
	c.Flags().StringVar(&f.since, "since", "", "begin so long ago, such as 90m, at an instant, or with \"all\"")
	c.Flags().IntVar(&f.last, "last", 0, "begin with the last N that match")
	c.Flags().StringVar(&f.agent, "agent", "", "of this agent only; \"unknown\" where the message named none")
	c.Flags().StringSliceVar(&f.outcomes, "outcome", nil, "with these outcomes only")
	c.Flags().StringVar(&f.batch, "batch", "", "of this batch only")
	c.Flags().BoolVar(&f.noFollow, "no-follow", false, "end where the stored ones end")
	c.MarkFlagsMutuallyExclusive("since", "last")
	completeOutcomes(c)
	return c
}

func completeOutcomes(c *cobra.Command) {
	var words []string
	for _, o := range terminal.Outcomes {
		words = append(words, string(o))
	}
	// Fails only for a flag that the command does not have.
	_ = c.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func (f resultsFlags) query(now time.Time) (desk.Query, error) {
	q := desk.Query{Agent: f.agent, Batch: f.batch, Last: f.last, Live: !f.noFollow}
	if err := checkAgent(f.agent); f.agent != "" && err != nil {
		return q, err
	}
	if f.last < 0 {
		return q, unusablef("--last %d: want 1 or more", f.last)
	}
	if err := checkBatch(f.batch); err != nil {
		return q, err
	}
	for _, word := range f.outcomes {
		o := messages.Outcome(strings.ToLower(strings.TrimSpace(word)))
		if !slices.Contains(terminal.Outcomes, o) {
			return q, unusablef("--outcome %q: want one of %s", word, listed(terminal.Outcomes))
		}
		q.Outcomes = append(q.Outcomes, o)
	}
	q.All = f.since == "all" || f.noFollow && f.since == "" && f.last == 0
	if !q.All {
		var err error
		q.Since, err = instantOf("since", f.since, now)
		return q, err
	}
	return q, nil
}

func (a *app) showResults(ctx context.Context, d *desk.Desk, f resultsFlags) error {
	q, err := f.query(time.Now())
	if err != nil {
		return err
	}
	if !a.json && terminal.IsTerminal(a.stdout) {
		terminal.WriteResultHead(a.stdout)
	}
	err = d.Results(ctx, q, func(e desk.Event) error {
		if a.json {
			_, err := fmt.Fprintf(a.stdout, "%s\n", terminal.CleanJSON(e.Raw))
			return err
		}
		return terminal.WriteResult(a.stdout, e.At, e.Result)
	})
	if interrupted(ctx, err) {
		return nil
	}
	return err
}

func listed(outcomes []messages.Outcome) string {
	var words []string
	for _, o := range outcomes {
		words = append(words, string(o))
	}
	return strings.Join(words, ", ")
}

// checkAgent also takes the name that stands for no agent.
func checkAgent(agent string) error {
	if agent == messages.UnknownAgent || messages.ValidAgentID(agent) {
		return nil
	}
	return noAgent(agent)
}

// noAgent does not repeat what may be a GUID in the wrong place.
func noAgent(arg string) error {
	return unusablef("%q is not an agent: want 101 to 999999, digits only", stream.ShownKey(arg))
}
