package worker

import (
	"context"
	"time"

	"idlepolicy/messages"
)

// Gateway makes the one kind of call that this product needs. It is used by many goroutines at once, but never for two calls for the
// same agent.
type Gateway interface {
	// Set sets the agent's idle policy, once, without retrying. It returns no error: the Answer says what happened, even
	// if nothing was sent. It returns when ctx ends or its own time-out has passed.
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

// Class says what an answer means for the change and for the gateway. The set is closed. Package gateway decides on the class, in a
// table beside the HTTP call.
type Class int

// The classes of answers.
const (
	NotSent  Class = iota // nothing was sent: the lease was lost or the worker is stopping
	Success               // retcode 0
	Refused               // refused for good
	NoAgent               // the gateway refused the session: the GUID is not the agent's, or not any more
	Passing               // a temporary problem of this agent: retry after a pause
	Busy                  // the gateway or a proxy asks for fewer calls: 429, 503, or an HTTP/2 stream refused
	Unsound               // not the gateway's own JSON with status 200: transport, time-out, other statuses, HTML
	numClass = iota
)

// String returns the class's name in metrics and logs.
func (c Class) String() string {
	return [numClass]string{"not_sent", "success", "refused", "session", "passing", "busy", "unsound"}[c]
}

// Answered reports whether the gateway itself answered, about this change.
func (c Class) Answered() bool {
	return c == Success || c == Refused || c == NoAgent || c == Passing
}

// MayLand reports whether the gateway may still act on the call: it may have received it, and has not answered itself. A 503 may
// come from a proxy that lost the gateway's answer.
func (a *Answer) MayLand() bool {
	return a.Class == Unsound && !a.Connect || a.Class == Busy && a.Status == http503
}

const http503 = 503 // Service Unavailable

// Answer is the outcome of one call.
type Answer struct {
	Class      Class
	Retcode    string        // the gateway's own, verbatim; empty: it did not answer
	Message    string        // the gateway's own, verbatim
	Status     int           // HTTP status; 0: none came
	RetryAfter time.Duration // from the header of that name; 0: there is none
	Fault      string        // for Busy, Unsound and NotSent: what went wrong, in words, without credentials
	TimedOut   bool          // for Unsound: no answer came in time, and the call may have taken effect
	Connect    bool          // for Unsound: no connection was made, so the gateway cannot have seen the call
	Took       time.Duration
}
