package sheet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"idlepolicy/messages"
)

// named is the id of a change of one agent. A change that is published again under the same id replaces the one that
// still waits, so that of several in one file only the last would remain.
type named struct{ agent, id string }

// note remembers what can only be judged over the whole file: the instants and the ids of changes. A defaultID is one
// that the change did not name itself.
func (s *Sheet) note(c *messages.Change, line int, defaultID string) {
	for _, at := range []time.Time{c.EffectiveAt, c.ValidUntil} {
		if !at.IsZero() {
			s.instants = append(s.instants, at)
		}
	}
	if c.ID == "" || c.ID == defaultID || strings.HasPrefix(c.ID, defaultID+".") {
		return
	}
	if isNothing(c.ID) {
		s.fault(line, "id", fmt.Sprintf("%q stands for nothing in the program that wrote the file; leave it out", c.ID))
		return
	}
	key := named{c.AgentID, c.ID}
	s.named[key] = append(s.named[key], line)
}

// checkNames reports the changes of one agent that have the same id.
func (s *Sheet) checkNames() {
	var twice []Problem
	for key, lines := range s.named {
		for i, line := range lines[1:] {
			twice = append(twice, Problem{Line: line, Field: "id", Message: fmt.Sprintf(
				"%q is the id of agent %s on line %d too, so this change would replace that one; want another id for each, or none",
				key.id, key.agent, lines[i])})
		}
	}
	slices.SortFunc(twice, func(a, b Problem) int { return a.Line - b.Line })
	s.Problems = append(s.Problems, twice...)
}

// isNothing reports whether databases and programs write s where there is no value.
func isNothing(s string) bool {
	switch strings.ToLower(s) {
	case "null", "(null)", "<null>", `\n`, "none", "nil", "nan", "n/a", "#n/a", "undefined":
		return true
	}
	return false
}

// Instants returns how many instants the changes name, and how many of them are before now.
func (s *Sheet) Instants(now time.Time) (all, past int) {
	for _, i := range s.instants {
		if i.Before(now) {
			past++
		}
	}
	return len(s.instants), past
}
