package main

import (
	"fmt"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

// tally is what became of the changes so far.
type tally struct {
	open      map[place]awaited // have not ended
	all       map[place]int     // the endings of each
	notNow    int               // of the open ones, those that take effect much later
	withdrawn int               // of them
	outcomes  map[messages.Outcome]int
	waited    map[place]bool             // for their agent's sign-in, or for their instant
	flags     map[string]string          // of each agent, as applied last
	others    map[string]bool            // agents with results of changes that are not ours
	shown     map[string]messages.Result // single results to look at, by what they are examples of
}

func newTally() *tally {
	return &tally{
		open: map[place]awaited{}, all: map[place]int{}, outcomes: map[messages.Outcome]int{}, waited: map[place]bool{},
		flags: map[string]string{}, others: map[string]bool{}, shown: map[string]messages.Result{},
	}
}

func (t *tally) expect(at place, a awaited) {
	t.open[at], t.all[at] = a, 0
	if !a.at.IsZero() {
		t.notNow++
	}
}

// add takes a result and reports whether it is the ending of one of ours.
func (t *tally) add(e desk.Event) bool {
	at := place{e.ChangeSeq, e.ChangeIndex}
	if _, ours := t.all[at]; !ours {
		t.others[e.AgentID] = true
		return false
	}
	switch e.Outcome {
	case messages.Waiting:
		t.waited[at] = true
	case messages.Applied, messages.Reapplied:
		t.flags[e.AgentID] = e.Flag
	case messages.Superseded, messages.Expired, messages.Rejected, messages.Failed:
	}
	if !e.Outcome.Ends() {
		return false
	}
	t.outcomes[e.Outcome]++
	t.all[at]++
	if a, open := t.open[at]; open && !a.at.IsZero() {
		t.notNow--
	}
	delete(t.open, at)
	t.example(at, e.Result)
	return true
}

// The examples, in the order in which they are shown.
var exampleKinds = []string{"at once", "after retries", "after a sign-in", "a newer one came", "withdrawn", "too late", "unusable", "refused"}

func (t *tally) example(at place, r messages.Result) {
	kind := ""
	switch r.Outcome {
	case messages.Applied:
		switch {
		case t.waited[at]:
			kind = "after a sign-in"
		case r.Attempts > 1:
			kind = "after retries"
		default:
			kind = "at once"
		}
	case messages.Superseded:
		kind = "a newer one came"
		if r.SupersededBy == "" {
			kind = "withdrawn"
		}
	case messages.Expired:
		kind = "too late"
	case messages.Rejected:
		kind = "unusable"
	case messages.Failed:
		kind = "refused"
	case messages.Waiting, messages.Reapplied:
	}
	if _, known := t.shown[kind]; !known {
		t.shown[kind] = r
	}
}

// wrong says which changes have not exactly one ending.
func (t *tally) wrong() error {
	none, many := 0, 0
	for _, n := range t.all {
		switch {
		case n == 0:
			none++
		case n > 1:
			many++
		}
	}
	if none+many > 0 {
		return fmt.Errorf("%d of %d changes have no ending, and %d have more than one", none, len(t.all), many)
	}
	return nil
}

// otherFlag is returned if the gateway has another flag for an agent than the one that was applied last.
type otherFlag struct{ agent, has, applied string }

func (e *otherFlag) Error() string {
	return fmt.Sprintf("agent %s has flag %q at the gateway, and %q was applied last", e.agent, e.has, e.applied)
}

// compare returns an otherFlag for an agent whose flag at the gateway is not the one that was applied last. Agents that somebody else
// has published changes for are left out: their flag may have been set since.
func (t *tally) compare(at func(agent string) (flag string, known bool)) error {
	for agent, applied := range t.flags {
		if t.others[agent] {
			continue
		}
		if has, _ := at(agent); has != applied {
			return &otherFlag{agent, has, applied}
		}
	}
	return nil
}
