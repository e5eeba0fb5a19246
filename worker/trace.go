package worker

import (
	"time"

	"idlepolicy/messages"
)

// Trace describes how one change was handled. It is reported once, when its ending is stored.
type Trace struct {
	TraceParent string // W3C trace context of the change; empty: none
	TraceState  string
	Result      *messages.Result
	Attempts    []Attempt // in their order; only the first maxAttempts
	Stored      time.Time // when the result was stored
}

// Attempt is one call for a change, and its answer.
type Attempt struct {
	Sent time.Time
	Answer
}

// Tracer exports traces. It is called from the event loop and must return at once.
type Tracer interface {
	Trace(t *Trace)
}

// maxAttempts bounds how many attempts of a change are remembered: it may be retried for hours.
const maxAttempts = 32

// remember keeps a call for the trace of its change.
func (w *Worker) remember(c *change, a *answered) {
	if w.Trace == nil || c.isReapply() || a.Class == NotSent {
		return
	}
	if t := c.tries(); len(t.calls) < maxAttempts {
		t.calls = append(t.calls, Attempt{a.sent, a.Answer})
	}
}

// trace reports the trace of the change whose ending is stored.
func (w *Worker) trace(e *entry, stored time.Time) {
	if w.Trace == nil || !e.ends() {
		return
	}
	out := Trace{Result: &e.result, Stored: stored}
	if t := e.change.msg.trace; t != nil {
		out.TraceParent, out.TraceState = t.parent, t.state
	}
	if t := e.change.try; t != nil {
		out.Attempts = t.calls
	}
	w.Trace.Trace(&out)
}
