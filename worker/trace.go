package worker

import (
	"time"

	"idlepolicy/messages"
)

// Story is the way of one change, told once when its ending is stored.
type Story struct {
	TraceParent string // W3C trace context of the change; empty: none
	TraceState  string
	Result      *messages.Result
	Attempts    []Attempt // in their order; only the first maxTold
	Stored      time.Time // the result
}

// Attempt is one call of a story and what came of it.
type Attempt struct {
	Sent time.Time
	Answer
}

// Tracer hears the stories. It is called from the event loop and must return at once.
type Tracer interface {
	Tell(s *Story)
}

// maxTold bounds what a change remembers that is tried again for hours.
const maxTold = 32

// remember keeps a call for the story of its change, where somebody wants to hear it.
func (w *Worker) remember(c *change, a *answered) {
	if w.Trace == nil || c.again() || a.Class == NotSent {
		return
	}
	if t := c.tries(); len(t.calls) < maxTold {
		t.calls = append(t.calls, Attempt{a.sent, a.Answer})
	}
}

// tell tells the story of the change whose ending is stored.
func (w *Worker) tell(e *entry, stored time.Time) {
	if w.Trace == nil || !e.ends() {
		return
	}
	s := Story{Result: &e.result, Stored: stored}
	if t := e.change.msg.trace; t != nil {
		s.TraceParent, s.TraceState = t.parent, t.state
	}
	if t := e.change.try; t != nil {
		s.Attempts = t.calls
	}
	w.Trace.Tell(&s)
}
