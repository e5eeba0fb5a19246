package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
)

func (a *app) deadPurge() *cobra.Command {
	var f deadFlags
	var yes, all, dry bool
	c := &cobra.Command{
		Use: "purge [SEQ...]", Short: "Delete dead letters",
		Long: "Delete dead letters. Their results stay. Asks first, unless --yes is given; --dry-run only says which they are.",
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, args []string) error {
			seqs, err := f.chosen(ctx, d, args, all)
			if err != nil {
				return err
			}
			var deleted int
			if dry {
				deleted, err = a.wouldPurge(ctx, d, seqs)
			} else {
				deleted, err = a.purge(ctx, d, seqs, yes)
			}
			if err == nil && deleted == 0 && len(args) > 0 {
				return noneOf(seqs)
			}
			return err
		}),
	}
	f.add(c)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say which would be deleted")
	c.MarkFlagsMutuallyExclusive("yes", "dry-run")
	c.Flags().BoolVar(&all, "all", false, "all dead letters")
	return c
}

// purged is the outcome of purge as JSON.
type purged struct {
	Deleted     int      `json:"deleted"`
	WouldDelete []uint64 `json:"would_delete"` // of a dry run
}

// shownLetters is how many a dry run names to people.
const shownLetters = 20

// wouldPurge prints which letters would be deleted, and how many.
func (a *app) wouldPurge(ctx context.Context, d *desk.Desk, seqs []uint64) (int, error) {
	there := []uint64{}
	for _, seq := range seqs { // those that were named need not be there
		switch _, err := d.Letter(ctx, seq); {
		case errors.Is(err, desk.ErrNoLetter):
		case err != nil:
			return 0, err
		default:
			there = append(there, seq)
		}
	}
	if a.json {
		return len(there), a.printJSON(purged{WouldDelete: there})
	}
	if len(there) == 0 {
		fmt.Fprintln(a.stdout, "no dead letters")
		return 0, nil
	}
	shown, more := there, ""
	if len(there) > shownLetters {
		shown, more = there[:shownLetters], " and so on"
	}
	fmt.Fprintf(a.stdout, "would delete %s: %s%s\n", terminal.Plural(len(there), "dead letter"), strings.Trim(fmt.Sprint(shown), "[]"), more)
	return len(there), nil
}

// noneOf returns the error if none of the named dead letters exists, the same as that of show and replay.
func noneOf(seqs []uint64) error {
	if len(seqs) == 1 {
		return fmt.Errorf("%w %d", desk.ErrNoLetter, seqs[0])
	}
	return fmt.Errorf("%w %d, and none of the others", desk.ErrNoLetter, seqs[0])
}

func (a *app) purge(ctx context.Context, d *desk.Desk, seqs []uint64, yes bool) (int, error) {
	switch {
	case len(seqs) == 0 && a.json:
		return 0, a.printJSON(purged{WouldDelete: []uint64{}})
	case len(seqs) == 0:
		fmt.Fprintln(a.stdout, "no dead letters")
		return 0, nil
	}
	if !yes {
		fmt.Fprintf(a.stderr, "delete %s for good? [y/N] ", terminal.Plural(len(seqs), "dead letter"))
		answer, err := bufio.NewReader(a.stdin).ReadString('\n') // no answer is a no
		if interrupted(ctx, err) {
			return 0, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
		default:
			return 0, fmt.Errorf("nothing was deleted: say yes, or give --yes")
		}
	}
	n, err := d.Purge(ctx, seqs)
	if a.json {
		if err := a.printJSON(purged{n, []uint64{}}); err != nil {
			return n, err
		}
	} else {
		fmt.Fprintf(a.stdout, "deleted %s\n", terminal.Plural(n, "dead letter"))
	}
	return n, err
}
