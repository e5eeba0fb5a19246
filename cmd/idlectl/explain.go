package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/view"
)

// explanation is the answer of explain.
type explanation struct{ desk.Explanation }

func (a *app) explain() *cobra.Command {
	last := 10
	c := &cobra.Command{
		Use:   "explain AGENT",
		Short: "Say why an agent has its policy, or has it not",
		Args:  one("an agent"),
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, args []string) error {
			return a.explainAgent(ctx, d, args[0], last)
		}),
	}
	c.Flags().IntVar(&last, "last", last, "how many of its last results to show")
	return c
}

func (a *app) explainAgent(ctx context.Context, d *desk.Desk, agent string, last int) error {
	if !messages.ValidAgentID(agent) {
		return noAgent(agent)
	}
	if last < 1 {
		return unusablef("--last %d: want 1 or more", last)
	}
	all, err := d.Gather(ctx, agent, last)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(all)
	}
	x := explanation{all}
	fmt.Fprintf(a.stdout, "agent %s: %s\n\n", agent, x.verdict(time.Now()))
	x.facts(func(name, format string, args ...any) {
		fmt.Fprintf(a.stdout, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	})
	if r := x.unmended(); r != nil {
		if next := nextStep(ctx, d, *r); next != "" {
			fmt.Fprintf(a.stdout, "%-12s %s\n", "dead letter", next)
		}
	}
	if len(x.Events) == 0 {
		fmt.Fprintln(a.stdout, "\nno results are stored of this agent")
		return nil
	}
	fmt.Fprintln(a.stdout, "\nits last results:")
	terminal.WriteResultHead(a.stdout)
	for _, e := range x.Events {
		if err := terminal.WriteResult(a.stdout, e.At, e.Result); err != nil {
			return err
		}
	}
	return nil
}

// verdict returns the answer in one sentence.
func (x *explanation) verdict(now time.Time) string {
	if x.Worker != nil && x.Worker.Live != nil {
		return fmt.Sprintf("%s is not in force yet: %s", policy(x.Worker.Live.Flag), waitsText(*x.Worker.Live, now))
	}
	if x.Worker != nil && x.Worker.Storing > 0 {
		return "NATS has not stored yet what became of its changes (" + storingText(*x.Worker, now) + "): what follows is older; idlectl status says whether something is wrong"
	}
	if n := len(x.Results); n > 0 {
		if r := x.Results[n-1]; x.Worker == nil && r.Outcome == messages.Waiting {
			return fmt.Sprintf("%s of change %s had not reached the gateway %s: %s; no worker is answering, so nothing more is known",
				policy(r.Flag), terminal.Clean(r.ChangeID), terminal.Age(r.FinishedAt, now), terminal.Clean(r.Message))
		}
		if r := x.unmended(); r != nil {
			return fmt.Sprintf("change %s %s", terminal.Clean(r.ChangeID), badText(*r))
		}
	}
	switch f := x.inForce(now); {
	case f != nil:
		return fmt.Sprintf("has %s, applied %s", policy(f.Flag), terminal.Age(f.FinishedAt, now))
	case x.InForce != nil:
		return fmt.Sprintf("%s was applied, but its valid_until passed %s", policy(x.InForce.Flag), terminal.Age(x.InForce.ValidUntil, now))
	case x.Worker == nil:
		return "nothing was applied, and no worker is answering, so it is not known what is under way"
	}
	return "no policy was ever requested, or its results are past their retention"
}

// storingText says how many results of an agent are on their way to NATS.
func storingText(v view.AgentView, now time.Time) string {
	text := terminal.Plural(v.Storing, "result")
	if !v.StoringSince.IsZero() {
		text += ", the last progress " + terminal.Age(v.StoringSince, now)
	}
	return text
}

// policy is a flag in words, as a terminal may show it.
func policy(flag string) string { return terminal.Clean(messages.PolicyText(flag)) }

func lastEnding(results []messages.Result) *messages.Result {
	for i := len(results) - 1; i >= 0; i-- {
		if o := results[i].Outcome; o != messages.Waiting && o != messages.Superseded {
			return &results[i]
		}
	}
	return nil
}

// unmended returns how the agent's last change ended if that was bad and nothing newer is under way; otherwise nil.
func (x *explanation) unmended() *messages.Result {
	if w := x.Worker; w != nil && (w.Live != nil || w.Storing > 0) {
		return nil
	}
	if r := lastEnding(x.Results); r != nil && isBad(r.Outcome) {
		return r
	}
	return nil
}

// nextStep returns what can be done with the dead letter of a change, as a command; empty: it has none, or this user may not
// read it, which takes nothing from the explanation.
func nextStep(ctx context.Context, d *desk.Desk, r messages.Result) string {
	l, err := d.LastLetter(ctx, r.AgentID)
	if err != nil || l.Result.ChangeSeq != r.ChangeSeq || l.Result.ChangeIndex != r.ChangeIndex || l.Result.ChangeID != r.ChangeID { // it was purged, or is not stored yet
		return ""
	}
	_, err = d.PlanReplay(ctx, l.Seq, false)
	var no *desk.Refused
	switch {
	case errors.As(err, &no):
		return fmt.Sprintf("%d cannot be replayed as it is: %s; to look at it: idlectl dead show %d", l.Seq, terminal.Clean(no.Why), l.Seq)
	case err != nil:
		return ""
	}
	return fmt.Sprintf("%d; to publish the change again: idlectl dead replay %d --yes", l.Seq, l.Seq)
}

func badText(r messages.Result) string {
	text := string(r.Outcome)
	if r.Outcome == messages.Rejected {
		text = "was rejected"
	}
	if r.Retcode != "" {
		text += " with retcode " + terminal.Clean(r.Retcode)
	}
	return text + ": " + terminal.Clean(r.Message)
}

// inForce is what holds now.
func (x *explanation) inForce(now time.Time) *messages.Result {
	if x.InForce == nil || !x.InForce.ValidUntil.IsZero() && !x.InForce.ValidUntil.After(now) {
		return nil
	}
	return x.InForce
}

// waitsText says what a change waits for, and until when.
func waitsText(c view.ChangeView, now time.Time) string {
	text := "it " + c.WaitsFor.Sentence()
	switch {
	case c.Next.IsZero():
	case c.WaitsFor == view.Session:
		text += "; that one is tried again " + terminal.Age(c.Next, now)
	default:
		text += ", next " + terminal.Age(c.Next, now)
	}
	if c.Attempts > 0 {
		text += ", after " + terminal.Plural(c.Attempts, "attempt")
	}
	if c.Fault != "" {
		text += "; the last call came to nothing: " + terminal.Clean(c.Fault)
	}
	if c.Message != "" || c.Retcode != "" {
		text += fmt.Sprintf("; the gateway last said %s %q", terminal.Clean(c.Retcode), terminal.Clean(c.Message))
	}
	return text
}

func (x *explanation) facts(fact func(name, format string, args ...any)) {
	now := time.Now()
	switch w := x.Worker; {
	case w == nil:
		fact("worker", "none answers: what is under way is not known")
	case w.Trouble != "":
		fact("session", "counts as not signed in, because the record in the registry cannot be used: %s", terminal.Clean(w.Trouble))
	case !w.SignedIn:
		fact("session", "not signed in")
	case w.SignedAt.IsZero():
		fact("session", "signed in, with revision %d of its record", w.Revision)
	default:
		fact("session", "signed in since %s (%s), with revision %d of its record", terminal.Clock(w.SignedAt), terminal.Age(w.SignedAt, now), w.Revision)
	}
	if x.Worker != nil && x.Worker.Ignored != "" {
		fact("gateway", "its session's gateway_url is ignored, the configured gateway is called: %s", terminal.Clean(x.Worker.Ignored))
	}
	if f := x.inForce(now); f != nil {
		fact("in force", "%s of change %s, until %s", policy(f.Flag), terminal.Clean(f.ChangeID), terminal.Clock(f.ValidUntil))
	} else {
		fact("in force", "nothing")
	}
	if x.Worker == nil {
		return
	}
	if c := x.Worker.Live; c != nil {
		fact("under way", "%s of change %s, valid until %s: %s", policy(c.Flag), terminal.Clean(c.ID), terminal.Clock(c.ValidUntil), waitsText(*c, now))
	}
	for _, c := range x.Worker.Later {
		fact("later", "%s of change %s, %s (%s)", policy(c.Flag), terminal.Clean(c.ID), terminal.Age(c.EffectiveAt, now), terminal.Clock(c.EffectiveAt))
	}
}
