package view

// CoverState says how an agent stands with the policy that is desired for it now.
type CoverState uint8

// The states.
const (
	NotCounted       CoverState = iota // no policy is desired for the agent now
	CoverInForce                       // the newest change was applied for the agent's present sign-in
	CoverDue                           // it is due, being called, or its ending is being stored
	CoverRetrying                      // it pauses before another attempt
	CoverNotSignedIn                   // the agent is not signed in, or the gateway refused its session
	CoverFailed                        // the newest change ended as failed, or could not be reapplied
	CoverExpired                       // the newest change ended as expired
	numCoverStates
)

var coverWords = [numCoverStates]string{"", "in_force", "due", "retrying", "not_signed_in", "failed", "expired"}

// CoverStates returns the states that are counted, in the order in which they are shown.
func CoverStates() []CoverState {
	return []CoverState{CoverInForce, CoverDue, CoverRetrying, CoverNotSignedIn, CoverFailed, CoverExpired}
}

// ParseCoverState returns the state with that word; ok is false if there is none.
func ParseCoverState(word string) (s CoverState, ok bool) {
	for _, s := range CoverStates() {
		if s.String() == word {
			return s, true
		}
	}
	return NotCounted, false
}

// String returns the state's word in JSON and metrics.
func (s CoverState) String() string {
	if s >= numCoverStates {
		return ""
	}
	return coverWords[s]
}

// MarshalText returns the state's word. It never fails.
func (s CoverState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a word of [CoverState.String]; any other becomes [NotCounted]. It never fails.
func (s *CoverState) UnmarshalText(text []byte) error {
	*s, _ = ParseCoverState(string(text))
	return nil
}

// Coverage counts the agents that have a desired policy now by how they stand with it.
type Coverage struct {
	InForce     int `json:"in_force"`
	Due         int `json:"due"`
	Retrying    int `json:"retrying"`
	NotSignedIn int `json:"not_signed_in"`
	Failed      int `json:"failed"`
	Expired     int `json:"expired"`
}

// Of returns the number of agents in one state.
func (c *Coverage) Of(s CoverState) int {
	if n := c.field(s); n != nil {
		return *n
	}
	return 0
}

// Add counts n agents into a state, or out of it below 0.
func (c *Coverage) Add(s CoverState, n int) {
	if of := c.field(s); of != nil {
		*of += n
	}
}

func (c *Coverage) field(s CoverState) *int {
	switch s {
	case CoverInForce:
		return &c.InForce
	case CoverDue:
		return &c.Due
	case CoverRetrying:
		return &c.Retrying
	case CoverNotSignedIn:
		return &c.NotSignedIn
	case CoverFailed:
		return &c.Failed
	case CoverExpired:
		return &c.Expired
	case NotCounted, numCoverStates:
	}
	return nil
}

// Agents returns the number of agents with a desired policy.
func (c *Coverage) Agents() int {
	return c.InForce + c.Due + c.Retrying + c.NotSignedIn + c.Failed + c.Expired
}

// CoverageQuery asks for agents with a desired policy. Empty fields do not restrict the answer.
type CoverageQuery struct {
	State  CoverState `json:"state,omitempty"`
	Prefix string     `json:"prefix,omitempty"` // of the agent ID
	Batch  string     `json:"batch,omitempty"`  // of the newest change
	Reason Reason     `json:"reason,omitempty"` // why the newest change waits
	After  string     `json:"after,omitempty"`  // the last agent of the page before; agents come in the order of their numbers
	Limit  int        `json:"limit,omitempty"`  // default 100, at most MaxCovered
}

// MaxCovered is how many agents one page may have: it goes over NATS, where a message has 1 MiB at most.
const MaxCovered = 1000

// CoveragePage is a page of the answer.
type CoveragePage struct {
	Agents []Covered `json:"agents"`
	Total  int       `json:"total"` // agents that match, on all pages
	More   bool      `json:"more"`  // there are further ones after the last one here
}

// Covered is one agent with its newest change.
type Covered struct {
	AgentID  string     `json:"agent_id"`
	State    CoverState `json:"state"`
	ChangeID string     `json:"change_id"`
	BatchID  string     `json:"batch_id,omitempty"`
	Flag     string     `json:"flag,omitempty"`      // empty if the worker does not keep it: then the result has it
	WaitsFor Reason     `json:"waits_for,omitempty"` // empty: for nothing
	Retcode  string     `json:"retcode,omitempty"`   // of the gateway's last answer about it, while it waits
	Message  string     `json:"message,omitempty"`
}
