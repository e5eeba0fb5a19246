package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/sheet"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
)

type publishFlags struct {
	format, batch, idPrefix string
	bulk, wait, dryRun      bool
	force                   bool
	timeout                 time.Duration
}

func (a *app) publish() *cobra.Command {
	var f publishFlags
	c := &cobra.Command{
		Use:   "publish FILE|-",
		Short: "Publish a file of changes",
		Long: `Publish a file of changes: CSV with a header line of agent_id, flag, id, batch_id, effective_at, valid_until,
reason, source; JSONL with one change message per line; or JSON with one. The file is checked as a whole first; if
anything in it cannot be used, every fault is named and nothing is published.`,
		Example: "  idlectl publish late-shift.csv --batch late-shift-7 --wait\n  jq -c .changes[] plan.json | idlectl publish - --format jsonl",
		Args:    one("a file, or - for standard input"),
		RunE:    a.plain(func(ctx context.Context, args []string) error { return a.publishFile(ctx, args[0], f) }),
	}
	c.Flags().StringVar(&f.format, "format", "", "csv, jsonl or json; default: by the file's name, otherwise by its beginning")
	c.Flags().StringVar(&f.batch, "batch", "", "make it one batch: the worker sends one summary when all has ended")
	c.Flags().BoolVar(&f.bulk, "bulk", false, "put up to 1000 lines of a CSV file into one message")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait for the ending of every change; exit status 1 if one failed, expired or was rejected")
	c.Flags().DurationVar(&f.timeout, "timeout", 0, "with --wait: no longer than this; default: as long as it takes")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "check the file and publish nothing")
	c.Flags().StringVar(&f.idPrefix, "id-prefix", "", "begin message IDs with this, the line and a hash of its content, so that repeating\n"+
		"the command within 10 minutes publishes nothing twice; default: a new one for each run")
	c.Flags().BoolVar(&f.force, "force", false, "publish the file even if all its instants are in the past")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{sheet.CSV, sheet.JSONL, sheet.JSON}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) publishFile(ctx context.Context, name string, f publishFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	s, err := sheet.Load(name, f.format, a.stdin, sheet.Stamp{Batch: f.batch, Bulk: f.bulk})
	if err != nil {
		return unusable{err}
	}
	r := report{Messages: len(s.Messages), Changes: s.Changes(), Problems: s.Problems, DryRun: f.dryRun}
	if len(s.Problems) > 0 {
		return a.refuse(s, r)
	}
	r.Instants, r.Past = s.Instants(time.Now())
	if r.Past > 0 && r.Past == r.Instants && !f.force {
		return unusablef("%s: %s in the past, so its changes would take effect at once or never: is it an old file? "+
			"Nothing was published; --force publishes it all the same", s.Name, r.pastInstants())
	}
	if f.dryRun {
		return a.tryPublish(ctx, s, r)
	}
	d, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	return a.publishSheet(ctx, d, s, r, f)
}

// tryPublish reports what would be published. It asks the server only where a message may be too large for it.
func (a *app) tryPublish(ctx context.Context, s *sheet.Sheet, r report) error {
	if s.Fits(stream.LeastPayload) == nil {
		return a.print(r)
	}
	d, err := a.open(ctx)
	if err != nil {
		fmt.Fprintf(a.stderr, "note: whether the server takes messages as large as these could not be seen: %v\n", err)
		return a.print(r)
	}
	defer d.Close()
	if err := s.Fits(d.MaxPayload()); err != nil {
		return unusable{err}
	}
	return a.print(r)
}

// refuse names everything that is wrong with a file.
func (a *app) refuse(s *sheet.Sheet, r report) error {
	if a.json {
		if err := a.printJSON(r.whole()); err != nil {
			return err
		}
	} else {
		for _, p := range s.Problems {
			fmt.Fprintln(a.stderr, terminal.CleanLines(p.In(s.Name)))
		}
	}
	return unusablef("%s in %s: nothing was published", terminal.Plural(len(s.Problems), "fault"), s.Name)
}

func (f *publishFlags) check() error {
	if f.idPrefix == "" {
		random := make([]byte, 6)
		_, _ = rand.Read(random) // never fails
		f.idPrefix = "ctl-" + hex.EncodeToString(random)
	} else if !messages.ValidID(f.idPrefix) || len(f.idPrefix) > 100 {
		return unusablef("--id-prefix: want at most 100 printable characters")
	}
	if f.timeout < 0 || f.timeout > 0 && !f.wait {
		return unusablef("--timeout is how long --wait may take: want both, and a duration such as 10m")
	}
	return checkBatch(f.batch)
}

// checkBatch has the contract's own rule judge a batch's name.
func checkBatch(id string) error {
	if id == "" {
		return nil
	}
	m := messages.Decode(fmt.Appendf(nil, `{"agent_id":"1001","flag":"false","batch_id":%q}`, id), "x")
	if len(m.Rejected) > 0 {
		return unusablef("batch %q: want 1 to 64 letters, digits, - and _", id)
	}
	return nil
}

func (a *app) publishSheet(ctx context.Context, d *desk.Desk, s *sheet.Sheet, r report, f publishFlags) error {
	if err := s.Fits(d.MaxPayload()); err != nil {
		return unusable{err}
	}
	since := desk.Since{}
	if f.wait {
		var err error
		if since.After, err = d.LastSeq(ctx); err != nil {
			return err
		}
	}
	r.Run = f.idPrefix
	expected := desk.Expected{}
	bar := terminal.NewProgress(a.notes(), "published", len(s.Messages))
	err := d.Publish(ctx, s.Publications(f.idPrefix), func(st desk.Stored) {
		r.stored(st)
		if n := s.Messages[st.Index].Changes; n > 0 {
			expected[st.Seq] = n
		}
		bar.Add(1)
	})
	bar.Finish()
	since.Older = r.Duplicates > 0
	switch {
	case err != nil:
		return a.brokenOff(r, err)
	case !f.wait:
		return a.print(r)
	}
	return a.await(ctx, d, r, expected, since, f.timeout, a.print)
}

// brokenOff says how much was published, and how to continue without publishing anything twice.
func (a *app) brokenOff(r report, err error) error {
	if printErr := a.print(r); printErr != nil {
		return printErr
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	return fmt.Errorf("%w; %d of %d messages were published: repeat the command with --id-prefix %s within 10 minutes for the rest",
		err, r.Published+r.Duplicates, r.Messages, r.Run)
}
