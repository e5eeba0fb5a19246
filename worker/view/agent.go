package view

import (
	"time"

	"idlepolicy/messages"
)

// AgentView is all that the worker knows about one agent. It has no GUID.
type AgentView struct {
	AgentID   string           `json:"agent_id"`
	SignedIn  bool             `json:"signed_in"`
	SignedAt  time.Time        `json:"signed_in_at,omitzero"`
	Revision  uint64           `json:"session_revision,omitempty"`    // of its record in the registry: which session calls are made with
	Trouble   string           `json:"session_trouble,omitempty"`     // why the record in the registry cannot be used
	Ignored   string           `json:"gateway_url_ignored,omitempty"` // why its calls go to the configured gateway instead
	Coverage  CoverState       `json:"coverage,omitempty"`            // empty: no policy is desired now
	InForce   *messages.Result `json:"in_force,omitempty"`
	Live      *ChangeView      `json:"live,omitempty"`
	Later     []ChangeView     `json:"later,omitempty"`
	CallSince time.Time        `json:"call_since,omitzero"` // a call is under way

	Storing      int       `json:"storing,omitempty"`         // results that are not stored yet
	StoringSince time.Time `json:"storing_since,omitzero"`    // when one of them last got further
	Unkept       string    `json:"storage_trouble,omitempty"` // what could not be stored as it was, in words; the newest only
}

// ChangeView is a change that has not ended.
type ChangeView struct {
	ID          string    `json:"change_id"`
	Flag        string    `json:"flag"`
	EffectiveAt time.Time `json:"effective_at"`
	ValidUntil  time.Time `json:"valid_until"`
	Attempts    int       `json:"attempts"`
	WaitsFor    Reason    `json:"waits_for"`
	Next        time.Time `json:"next_attempt_at,omitzero"` // when that wait is over, if it is known
	Retcode     string    `json:"retcode,omitempty"`
	Message     string    `json:"message,omitempty"`
	Fault       string    `json:"fault,omitempty"` // what kept the last call from a proper answer, in words; empty: nothing
}

// Wait is an agent with a change that waits.
type Wait struct {
	AgentID string     `json:"agent_id"`
	Change  ChangeView `json:"change"`
}
