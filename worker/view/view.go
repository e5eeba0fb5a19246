// Package view has what operators see of a running worker, as plain types. The page, the metrics and idlectl read them; the
// core fills them in.
//
// view.go has the whole site, agent.go one agent, reason.go why a change waits.
package view

import (
	"time"

	"idlepolicy/messages"
)

// View is what the worker can say about itself at one moment.
type View struct {
	At          time.Time   `json:"at"`
	Gate        GateState   `json:"gate"`
	Agents      int         `json:"agents"`        // agents with a result or a change
	Unfinished  int         `json:"unfinished"`    // messages that were read and are not acknowledged
	Changes     int         `json:"changes"`       // changes that were read and are not finished, and policies to be reapplied: the sum of Waiting
	Waiting     Counts      `json:"waiting"`       // the same by what they wait for
	Due         int         `json:"due"`           // of them, ready for a call: Gate
	Later       int         `json:"later"`         // of them, for their effective_at: Instant and Reading
	NotSignedIn int         `json:"not_signed_in"` // of them, for their agent's session: SignIn and Session
	Retrying    int         `json:"retrying"`      // of them, for another attempt: Retry
	Held        int         `json:"held"`          // of them, for something else of their agent: Hold, Debounce, OlderCall and OlderEnding
	InFlight    int         `json:"in_flight"`     // calls under way
	Storing     int         `json:"storing"`       // results that are not stored yet, those that end nothing included
	Batches     []BatchView `json:"batches"`       // the first MaxBatches, the longest under way first
	MoreBatches int         `json:"more_batches"`  // batches under way that Batches leaves out
	Estimate    Estimate    `json:"estimate"`
	Coverage    Coverage    `json:"coverage"` // agents with a desired policy, by how they stand with it

	Since     time.Time `json:"since"`               // this worker has been the owner
	Called    uint64    `json:"called"`              // calls since then that were answered or ended in a fault
	Ended     uint64    `json:"ended"`               // changes that ended since then
	Oldest    time.Time `json:"oldest,omitzero"`     // when the stream stored the oldest message that is not acknowledged
	OldestDue time.Time `json:"oldest_due,omitzero"` // when the oldest change that is ready for a call took effect

	Waits   []Wait            `json:"waits"`   // the first MaxWaits, those that the gateway's answers caused first
	Last    []messages.Result `json:"last"`    // the newest first
	Trouble []messages.Result `json:"trouble"` // of the last failed, expired and rejected ones, the newest first
}

// A view goes over NATS, where a message has 1 MiB at most.
const (
	MaxBatches = 100 // in a view
	MaxWaits   = 200 // in a view
)

// BatchView is a batch that is under way.
type BatchView struct {
	ID       string                `json:"batch_id"`
	Progress messages.BatchSummary `json:"progress"`
}

// Estimate says when what is due now will have been applied, at the rate that the gate lets through.
type Estimate struct {
	Due    int       `json:"due"`          // changes that can be called now, or are being called
	Rate   float64   `json:"rate"`         // expected calls per second; 0: unknown
	End    time.Time `json:"end,omitzero"` // if nothing holds calls back; zero: nothing is due, the rate is unknown, an operator paused the calls, or the gate is probing
	Missed int       `json:"missed"`       // of them, whose valid_until will have passed by then
}

// GateState says what holds calls back, for people.
type GateState struct {
	State    string    `json:"state"` // open, paused, shut, probing, slowed
	Why      string    `json:"why"`   // one sentence: what is held back, since when, until when, because of which answers; empty while open
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Rate     float64   `json:"rate"`  // calls per second that the gate lets through now; 0: no limit
	Limit    float64   `json:"limit"` // calls per second that operators allow; 0: no limit
	InFlight int       `json:"in_flight"`

	ByOperator bool `json:"limit_by_operator"` // an operator set the limit, so the configured one does not apply

	Holding string  `json:"holding"` // what holds back what is due: rate, in_flight, paused, lease, retry_after, breaker, slowed, ramp; empty: nothing
	Latency float64 `json:"latency"` // seconds that proper answers took lately; 0: unknown
	Reach   float64 `json:"reach"`   // calls per second that are possible with that latency and so many in flight; 0: unknown
}
