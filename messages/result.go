package messages

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Outcome is the outcome of a change. The set is closed.
type Outcome string

// The outcomes, as they are written in results and in the subjects of results.
const (
	Applied    Outcome = "applied"    // the gateway answered retcode 0
	Superseded Outcome = "superseded" // a newer change for this agent took its place, or it was cancelled
	Expired    Outcome = "expired"    // its valid_until passed first
	Rejected   Outcome = "rejected"   // the message was unusable
	Failed     Outcome = "failed"     // refused for good, or the attempts are used up
	Waiting    Outcome = "waiting"    // it waits for its instant or for a sign-in; not an ending
	Reapplied  Outcome = "reapplied"  // applied again after a sign-in; not an ending
)

var outcomes = [...]Outcome{Applied, Superseded, Expired, Rejected, Failed, Waiting, Reapplied}

// Outcomes returns all outcomes, those that end a change first.
func Outcomes() []Outcome { return slices.Clone(outcomes[:]) }

// Ends reports whether the outcome ends its change. Every change gets exactly one result with an outcome that does.
func (o Outcome) Ends() bool {
	switch o {
	case Applied, Superseded, Expired, Rejected, Failed:
		return true
	case Waiting, Reapplied:
	}
	return false
}

// Dead reports whether the change becomes a dead letter.
func (o Outcome) Dead() bool { return o == Failed || o == Rejected }

// Result is a result event. ChangeSeq and ChangeIndex together tell any two changes apart.
type Result struct {
	Outcome      Outcome   `json:"outcome"`
	AgentID      string    `json:"agent_id"`                // "unknown" where the message names no valid agent
	Retcode      string    `json:"retcode"`                 // the gateway's own, verbatim; empty: it never answered
	Message      string    `json:"message"`                 // the gateway's own, or one sentence of ours if it was not called
	Flag         string    `json:"flag,omitempty"`          // as in the change
	ChangeID     string    `json:"change_id"`               // the change's own name
	ChangeSeq    uint64    `json:"change_seq"`              // stream sequence of its message, from 1
	ChangeIndex  int       `json:"change_index"`            // its place in the message, from 0
	BatchID      string    `json:"batch_id,omitempty"`      // empty: in no batch
	Attempts     int       `json:"attempts"`                // answers of the gateway about this very change
	SupersededBy string    `json:"superseded_by,omitempty"` // change_id of the newer change
	ReceivedAt   time.Time `json:"received_at"`             // when the stream stored the message
	EffectiveAt  time.Time `json:"effective_at,omitzero"`   // when it takes effect; zero: it never became a change
	ValidUntil   time.Time `json:"valid_until,omitzero"`    // when it becomes pointless; zero: it never became a change
	FinishedAt   time.Time `json:"finished_at"`             // when the outcome was decided
	Reason       string    `json:"reason,omitempty"`        // as in the change, at most 1,024 bytes
	Source       string    `json:"source,omitempty"`        // as in the change, at most 1,024 bytes
}

// encoded is a Result without its MarshalJSON.
type encoded Result

// AppendJSON appends the result to dst as JSON, with times in UTC and invalid UTF-8 replaced by U+FFFD.
func (r Result) AppendJSON(dst []byte) []byte {
	for _, at := range []*time.Time{&r.ReceivedAt, &r.EffectiveAt, &r.ValidUntil, &r.FinishedAt} {
		*at = writable(*at)
	}
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)   // people read results too
	_ = e.Encode(encoded(r)) // fails only for times that are not writable
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// MarshalJSON writes what [Result.AppendJSON] writes.
func (r Result) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// Instants that can be written in RFC 3339, which has four digits for the year.
var (
	firstInstant = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
)

// writable returns t in UTC, or the nearest instant that JSON can hold: a result that cannot be stored would hold up its
// agent for ever.
func writable(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Before(firstInstant):
		return firstInstant
	case t.After(lastInstant):
		return lastInstant
	}
	return t
}
