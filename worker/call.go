package worker

import (
	"context"
	"time"

	"idlepolicy/messages"
)

// Gateway makes the one call that this product makes. It is called from many goroutines at once, never twice at
// once for the same agent.
type Gateway interface {
	// Set tells the gateway what the agent does after a call, once, without retrying. It never fails: what
	// happened, and be it nothing, is in the Answer. It returns when ctx ends or its own time-out has passed.
	Set(ctx context.Context, call Call) Answer
}

// Call is one request to the gateway.
type Call struct {
	AgentID     string
	Flag        string
	Session     messages.Session
	TraceParent string // W3C trace context of the change; empty: none
	TraceState  string
}

// Class says what an answer means for the change and for the gateway. The set is closed; the table that fills it
// stands beside the HTTP call.
type Class int

// The classes of answers.
const (
	NotSent  Class = iota // nothing left this process: the lease was gone or the worker is stopping
	Success               // retcode 0
	Refused               // refused for good
	NoAgent               // session trouble: the GUID is not, or no longer, the agent's
	Passing               // trouble of this agent that may pass: retry after a pause
	Busy                  // the gateway or a proxy asks for fewer calls: 429, 503, or an HTTP/2 stream refused
	Unsound               // not the gateway's own JSON with status 200: transport, time-out, other statuses, HTML
	numClass = iota
)

// String returns the class's name as it stands in metrics and logs.
func (c Class) String() string {
	return [numClass]string{"not_sent", "success", "refused", "session", "passing", "busy", "unsound"}[c]
}

// Answered reports whether the gateway itself answered about this very change.
func (c Class) Answered() bool {
	return c == Success || c == Refused || c == NoAgent || c == Passing
}

// Answer is what came of one call.
type Answer struct {
	Class      Class
	Retcode    string        // the gateway's own, verbatim; empty where it never answered
	Message    string        // the gateway's own, verbatim
	Status     int           // HTTP status; 0: none came
	RetryAfter time.Duration // how long to make no call at all; 0: not said
	Fault      string        // for Busy, Unsound and NotSent: what went wrong, in words, without credentials
	TimedOut   bool          // for Unsound: no answer came in time, and the call may have taken effect
	Connect    bool          // for Unsound: no connection came about, so that the gateway cannot have seen the call
	Took       time.Duration
}
