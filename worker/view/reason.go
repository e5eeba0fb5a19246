package view

// Reason says why a change that the worker has read is not finished yet. The set is closed; the scheduler decides on the
// reason where it decides what an agent waits for, and everybody else only reads it.
type Reason uint8

// The reasons.
const (
	None        Reason = iota // nothing is waited for
	Instant                   // its effective_at is still ahead
	Reading                   // its effective_at has passed, but older changes are still being read from the stream
	SignIn                    // its agent is not signed in
	Session                   // the gateway refused its agent's session, and there is no other one yet
	Retry                     // it pauses before another attempt
	Hold                      // an earlier call for its agent, of the previous owner or without an answer, may still take effect
	Debounce                  // newer changes of its agent keep replacing each other
	OlderCall                 // a call for an older change of its agent is under way
	OlderEnding               // the ending of an older change of its agent is not stored yet
	Gate                      // it is due: the rate, the calls under way, a pause or an outage hold it
	Answer                    // its call is under way
	Storing                   // it has ended, and its ending is not stored yet
	Unknown                   // a newer version of the worker said something that this version does not know
	numReasons
)

var words = [numReasons]string{
	"", "instant", "reading", "sign-in", "session", "retry", "hold", "debounce", "older-call", "older-ending", "gate", "answer", "storing", "unknown",
}

// Reasons returns all reasons that a worker of this version gives.
func Reasons() []Reason {
	all := make([]Reason, 0, numReasons)
	for r := Instant; r < Unknown; r++ {
		all = append(all, r)
	}
	return all
}

// String returns the reason's word in JSON, metrics and traces.
func (r Reason) String() string {
	if r >= numReasons {
		return ""
	}
	return words[r]
}

// MarshalText returns the reason's word. It never fails.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a word of [Reason.String]. A word that it does not know becomes [Unknown]; it never fails.
func (r *Reason) UnmarshalText(text []byte) error {
	*r = Unknown
	for i, word := range words {
		if word == string(text) {
			*r = Reason(i)
		}
	}
	return nil
}

// Sentence returns the reason in words for people, without a subject: "waits for …". It is empty for [None].
func (r Reason) Sentence() string {
	switch r {
	case None, numReasons:
		return ""
	case Instant:
		return "waits for its effective_at"
	case Reading:
		return "waits until older changes have been read"
	case SignIn:
		return "waits for the agent to sign in"
	case Session:
		return "waits for a new session of the agent: the gateway refused the one it has"
	case Retry:
		return "pauses before another attempt"
	case Hold:
		return "waits until no earlier call for the agent can still take effect"
	case Debounce:
		return "waits for a pause in the agent's newer changes, which keep replacing each other"
	case OlderCall:
		return "waits for the answer to a call for an older change"
	case OlderEnding:
		return "waits until the ending of an older change is stored"
	case Gate:
		return "is due, and waits for the gate: the rate, a pause or an outage of the gateway holds it"
	case Answer:
		return "is at the gateway right now"
	case Storing:
		return "has ended, and its ending is being stored"
	case Unknown:
		return "waits for something that only a newer version knows"
	}
	return ""
}

// Counts says how many changes wait for each reason. Reasons that nothing waits for may be missing.
type Counts map[Reason]int

// All returns the sum over all reasons: every change that is not finished has exactly one.
func (c Counts) All() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// Of returns the sum over the given reasons.
func (c Counts) Of(reasons ...Reason) (n int) {
	for _, r := range reasons {
		n += c[r]
	}
	return n
}
