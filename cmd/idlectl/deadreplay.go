package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
)

func (a *app) deadReplay() *cobra.Command {
	var f deadFlags
	var r replayFlags
	c := &cobra.Command{
		Use:   "replay [SEQ...]",
		Short: "Publish dead letters again",
		Long: `Publish the changes of dead letters again, each under an id that names the old one and as part of no batch. Without
--yes it only says what would be published. A replay takes effect now. It is refused if a newer change of the agent has
been applied since or is under way, and if the same letter has been replayed before. Of several letters of one agent only
the newest that can be replayed is; the others are refused and name it. --force publishes them all the same, the newest
change of an agent last. The letters stay until they are purged.`,
		Example: "  idlectl dead replay --retcode 000-002 --since 2h\n  idlectl dead replay 17 18 --yes",
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, args []string) error {
			seqs, err := f.chosen(ctx, d, args, r.all)
			if err != nil {
				return err
			}
			return a.replay(ctx, d, seqs, r)
		}),
	}
	f.add(c)
	c.Flags().BoolVar(&r.yes, "yes", false, "publish them; otherwise nothing is published")
	c.Flags().Bool("dry-run", true, "only say what would be published, which is what it does without --yes")
	c.MarkFlagsMutuallyExclusive("yes", "dry-run")
	c.Flags().BoolVar(&r.force, "force", false, "also those that were rejected, replayed before, or overtaken by a newer change")
	c.Flags().BoolVar(&r.all, "all", false, "all dead letters")
	return c
}

type replayFlags struct{ yes, force, all bool }

// replayed is the outcome of one letter.
type replayed struct {
	Letter  uint64 `json:"letter"`
	Agent   string `json:"agent_id"`
	ID      string `json:"id"`
	Seq     uint64 `json:"seq"`     // 0: not published
	Refused string `json:"refused"` // why; empty: it is not
	Message string `json:"message"` // what would be published, or was
}

func (a *app) replay(ctx context.Context, d *desk.Desk, seqs []uint64, f replayFlags) error {
	if f.force {
		var err error
		if seqs, err = d.InOrder(ctx, seqs); err != nil {
			return err
		}
	}
	done, refused, run := []replayed{}, 0, d.Replays(f.force)
	for _, seq := range seqs {
		one, err := replayOne(ctx, d, run, seq, f.yes)
		if err != nil {
			return errors.Join(a.showReplays(done, f.yes), err)
		}
		if one.Refused != "" {
			refused++
		}
		done = append(done, one)
	}
	if err := a.showReplays(done, f.yes); err != nil {
		return err
	}
	if refused > 0 {
		return fmt.Errorf("%d of %s cannot be replayed", refused, terminal.Plural(len(seqs), "dead letter"))
	}
	return nil
}

func replayOne(ctx context.Context, d *desk.Desk, run *desk.Replays, seq uint64, publish bool) (replayed, error) {
	plan, err := run.Plan(ctx, seq)
	if err == nil && publish {
		err = d.Replay(ctx, &plan)
	}
	one := replayed{seq, plan.Letter.Agent, plan.ID, plan.Seq, "", string(plan.Body)}
	var no *desk.Refused
	switch {
	case errors.As(err, &no):
		one.Seq, one.Refused = 0, no.Why
		if no.Forceable {
			one.Refused += " (--force overrides)"
		}
		return one, nil
	case errors.Is(err, desk.ErrNoLetter):
		one.Refused = "there is no such dead letter"
		return one, nil
	}
	return one, err
}

func (a *app) showReplays(done []replayed, published bool) error {
	if a.json {
		return a.printJSON(done)
	}
	if len(done) == 0 {
		fmt.Fprintln(a.stdout, "no dead letters")
		return nil
	}
	t := terminal.NewTable(a.stdout, "seq", "agent", "new id", "")
	ready := 0
	for _, r := range done {
		verdict := "would be published"
		switch {
		case r.Refused != "":
			verdict = "refused: " + r.Refused
		case r.Seq > 0:
			verdict = fmt.Sprintf("published, sequence %d", r.Seq)
		default:
			ready++
		}
		t.AppendRow([]any{r.Letter, terminal.Clean(r.Agent), terminal.Clean(r.ID), terminal.Clean(verdict)})
	}
	t.Render()
	if !published && ready > 0 {
		fmt.Fprintln(a.stdout, "nothing was published: --yes does it")
	}
	return nil
}
