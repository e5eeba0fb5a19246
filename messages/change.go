package messages

import "time"

// MaxItems is how many items one change message may have.
const MaxItems = 100_000

// UnknownAgent stands for the agent in a result whose message names no valid one.
const UnknownAgent = "unknown"

// Change is one usable change of a change message, with the defaults of its message filled in.
//
// Times are as the publisher wrote them, in UTC. The worker compares them with the time at which the stream stored the message.
type Change struct {
	AgentID     string    // 101 to 999999, digits only
	Flag        string    // "true": idle after a call; anything else: wrap-up; empty only in a cancel
	ID          string    // the change's own name; for a cancel, the name of the change it withdraws
	BatchID     string    // empty: no summary asked for
	BatchTotal  int       // 0: the message is a batch of its own
	EffectiveAt time.Time // zero: now
	ValidUntil  time.Time // zero: the default validity
	Reason      string
	Source      string
	Index       int  // its place in the message, from 0
	Cancel      bool // withdraws the change named ID instead of being one
}

// Rejection is a message, or one item of it, that cannot be used.
type Rejection struct {
	AgentID    string // "unknown" if no valid agent is named
	ID         string
	BatchID    string // empty if it is missing or unusable
	BatchTotal int
	Flag       string // empty if it is missing or unusable
	Reason     string
	Source     string
	Message    string // one sentence that names the field and what would be right
	Index      int
}

// Message is what Decode found in the bytes of one change message: each item is in exactly one of the two lists,
// in the order of the message.
type Message struct {
	Changes  []Change
	Rejected []Rejection
	Items    int // how many items the message has, cancels included; 1 if it could not be read
}
