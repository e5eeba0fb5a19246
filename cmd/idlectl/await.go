package main

import (
	"context"
	"fmt"
	"time"

	"idlepolicy/cmd/internal/sheet"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

// report is the outcome of a file, for people and, with --json, for programs. Its JSON always has all fields.
type report struct {
	Messages   int                      `json:"messages"`
	Changes    int                      `json:"changes"`
	Problems   []sheet.Problem          `json:"problems"` // with the file: then nothing was published
	DryRun     bool                     `json:"dry_run"`
	Instants   int                      `json:"instants"`  // that the changes name
	Past       int                      `json:"past"`      // how many of them have passed
	Run        string                   `json:"id_prefix"` // empty: nothing was to be published
	Published  int                      `json:"published"`
	Duplicates int                      `json:"duplicates"` // the stream had them before
	FirstSeq   uint64                   `json:"first_seq"`  // 0: none was published
	LastSeq    uint64                   `json:"last_seq"`
	Waited     bool                     `json:"waited"`
	Outcomes   map[messages.Outcome]int `json:"outcomes"`
	Failures   []messages.Result        `json:"failures"` // the first few
	Unfinished int                      `json:"unfinished"`
}

// whole returns the report with empty lists instead of nil.
func (r report) whole() report {
	if r.Problems == nil {
		r.Problems = []sheet.Problem{}
	}
	if r.Outcomes == nil {
		r.Outcomes = map[messages.Outcome]int{}
	}
	if r.Failures == nil {
		r.Failures = []messages.Result{}
	}
	return r
}

// shownFailures is how many failures are shown one by one: the others are in the results.
const shownFailures = 10

func (r *report) stored(s desk.Stored) {
	if s.Duplicate {
		r.Duplicates++
		return
	}
	r.Published++
	if r.FirstSeq == 0 {
		r.FirstSeq = s.Seq
	}
	r.LastSeq = max(r.LastSeq, s.Seq)
}

func (r *report) ended(e desk.Event) {
	if r.Outcomes == nil {
		r.Outcomes = map[messages.Outcome]int{}
	}
	r.Outcomes[e.Outcome]++
	if isBad(e.Outcome) && len(r.Failures) < shownFailures {
		r.Failures = append(r.Failures, e.Result)
	}
}

func isBad(o messages.Outcome) bool {
	return o == messages.Failed || o == messages.Rejected || o == messages.Expired
}

// bad returns how many changes ended in a way that needs attention.
func (r *report) bad() int {
	n := 0
	for o, count := range r.Outcomes {
		if isBad(o) {
			n += count
		}
	}
	return n
}

// await follows the published changes to their endings and shows the report, whatever ended the wait.
func (a *app) await(ctx context.Context, d *desk.Desk, r report, expected desk.Expected, since desk.Since, timeout time.Duration, show func(report) error) error {
	waiting := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	r.Waited = true
	bar := terminal.NewProgress(a.notes(), "ended", r.Changes)
	broken := d.Endings(waiting, expected, since, func(e desk.Event) error {
		r.ended(e)
		bar.Add(1)
		return nil
	})
	bar.Finish()
	for _, left := range expected {
		r.Unfinished += left
	}
	if err := show(r); err != nil {
		return err
	}
	switch bad := r.bad(); {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: %s not ended yet; the worker goes on with them", terminal.Plural(r.Unfinished, "change"))
	case waiting.Err() != nil && r.Unfinished > 0: // what the library then says of it may be anything
		return fmt.Errorf("%s not ended within %v; the worker goes on with them", terminal.Plural(r.Unfinished, "change"), timeout)
	case broken != nil && r.Unfinished > 0:
		return broken
	case bad > 0:
		return fmt.Errorf("%d of %s failed, expired or were rejected: see idlectl results and idlectl dead list", bad, terminal.Plural(r.Changes, "change"))
	}
	return nil
}

// print prints the report.
func (a *app) print(r report) error {
	if a.json {
		return a.printJSON(r.whole())
	}
	if r.DryRun {
		fmt.Fprintf(a.stdout, "%s in %s: all can be published%s\n", terminal.Plural(r.Changes, "change"), terminal.Plural(r.Messages, "message"), r.andPast())
		return nil
	}
	fmt.Fprintf(a.stdout, "published %s", terminal.Plural(r.Published, "message"))
	switch {
	case r.FirstSeq == 0: // not known
	case r.Published == 1:
		fmt.Fprintf(a.stdout, ", sequence %d", r.FirstSeq)
	case r.Published > 1:
		fmt.Fprintf(a.stdout, ", sequences %d to %d", r.FirstSeq, r.LastSeq)
	}
	if r.Duplicates > 0 {
		fmt.Fprintf(a.stdout, "; %s had been published before with the same ID", terminal.Plural(r.Duplicates, "message"))
	}
	fmt.Fprintln(a.stdout, r.andPast())
	if r.Waited {
		terminal.WriteOutcomes(a.stdout, r.Outcomes)
		a.failures(r)
	}
	return nil
}

// andPast returns the end of a line about changes that name instants: how many of these are in the past.
func (r *report) andPast() string {
	if r.Instants == 0 {
		return ""
	}
	return "; " + r.pastInstants() + " in the past"
}

func (r *report) pastInstants() string {
	verb := "are"
	if r.Past == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%d of %s %s", r.Past, terminal.Plural(r.Instants, "instant"), verb)
}

func (a *app) failures(r report) {
	if len(r.Failures) == 0 {
		return
	}
	fmt.Fprintln(a.stdout)
	t := terminal.NewTable(a.stdout, "agent", "outcome", "retcode", "message", "change")
	for _, f := range r.Failures {
		t.AppendRow([]any{terminal.Clean(f.AgentID), f.Outcome, terminal.Clean(f.Retcode), terminal.Clean(f.Message), terminal.Clean(f.ChangeID)})
	}
	t.Render()
	if more := r.bad() - len(r.Failures); more > 0 {
		fmt.Fprintf(a.stdout, "and %d more\n", more)
	}
}
