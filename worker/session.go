package worker

import (
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// Sessions has the sessions of the agents that are signed in, as the registry has them now. One goroutine at a time may write them;
// any goroutine may read.
type Sessions struct {
	mu      sync.RWMutex // guards what follows
	signed  map[string]*record
	gone    map[string]uint64 // last revision of keys that were seen deleted: one that comes back is a new sign-in
	remade  bool              // the registry was deleted and made again, so earlier revisions mean nothing
	bad     map[string]string // why records cannot be used
	synced  bool
	ready   chan struct{} // closed once synced
	changed func(agent string)
}

// Session is an agent's session, with what distinguishes one sign-in from the next.
type Session struct {
	messages.Session
	Rev      uint64 // revision of the record in the registry
	CameBack uint64 // revision at which the key came back after it was seen deleted; 0: it was not
	Remade   int64  // when it came back, in Unix nanoseconds, if the registry was made again before that; 0: it was not
}

// record stores a Session in little memory: there are tens of thousands, and few have more than a GUID.
type record struct {
	guid       string
	signedInAt time.Time
	rev        uint64
	cameBack   uint64
	more       *Session // nil: the session has nothing else
}

func newRecord(s Session) *record {
	r := &record{guid: s.GUID, signedInAt: s.SignedInAt, rev: s.Rev, cameBack: s.CameBack}
	if len(s.Cookies) > 0 || len(s.LeftOut) > 0 || s.GatewayURL != "" || s.Remade != 0 {
		r.more = &s
	}
	return r
}

func (r *record) session() Session {
	if r.more != nil {
		return *r.more
	}
	s := Session{Rev: r.rev, CameBack: r.cameBack}
	s.GUID, s.SignedInAt = r.guid, r.signedInAt
	return s
}

// NewSessions returns empty Sessions.
func NewSessions() *Sessions {
	return &Sessions{signed: map[string]*record{}, gone: map[string]uint64{}, bad: map[string]string{}, ready: make(chan struct{})}
}

// Put records that the registry has this session for the agent at this revision.
func (s *Sessions) Put(agent string, session messages.Session, rev uint64) {
	s.mu.Lock()
	delete(s.bad, agent)
	now := Session{Session: session, Rev: rev}
	if old := s.signed[agent]; old != nil {
		was := old.session()
		if was.Rev == rev && was.SameAs(session) { // an equal revision alone proves nothing: revisions start again when the registry is made again
			s.mu.Unlock()
			return
		}
		now.CameBack, now.Remade = was.CameBack, was.Remade
	}
	if before, was := s.gone[agent]; was {
		now.CameBack = rev
		if s.remade = s.remade || rev <= before; s.remade {
			now.Remade = time.Now().UnixNano()
		}
		delete(s.gone, agent)
	}
	s.signed[agent] = newRecord(now)
	changed := s.changed
	s.mu.Unlock()
	if changed != nil {
		changed(agent)
	}
}

// Delete records that the registry has no session for the agent.
func (s *Sessions) Delete(agent string) { s.drop(agent, "") }

// Reject records that the registry has a record for the agent that cannot be used. The agent counts as not signed in. Reject reports
// whether this was not known. The reason must not quote what is in the record.
func (s *Sessions) Reject(agent, why string) (news bool) { return s.drop(agent, why) }

// maxBad bounds how many unusable records are remembered: a writer may write any number of them.
const maxBad = 1000

func (s *Sessions) drop(agent, why string) (news bool) {
	s.mu.Lock()
	if why == "" {
		delete(s.bad, agent)
	} else if was, known := s.bad[agent]; was != why && (known || len(s.bad) < maxBad) {
		s.bad[agent], news = why, true
	}
	if messages.ValidAgentID(agent) { // invalid IDs never sign in, and there may be any number of them
		before := s.gone[agent]
		if r := s.signed[agent]; r != nil {
			before = r.rev
		}
		s.gone[agent] = before
	}
	delete(s.signed, agent)
	changed := s.changed
	s.mu.Unlock()
	if changed != nil {
		changed(agent)
	}
	return news
}

// Trouble returns why the agent's record in the registry cannot be used; empty: it can, or there is none.
func (s *Sessions) Trouble(agent string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bad[agent]
}

// Synced records that everything in the registry has been put: until then it is unknown who is not signed in. Agents for which held
// returns false are not in the registry any more.
func (s *Sessions) Synced(held func(agent string) bool) {
	s.mu.RLock()
	var lost []string
	for agent := range s.signed {
		if !held(agent) {
			lost = append(lost, agent)
		}
	}
	for agent := range s.bad {
		if !held(agent) {
			lost = append(lost, agent)
		}
	}
	s.mu.RUnlock()
	for _, agent := range lost {
		s.Delete(agent)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.synced {
		s.synced = true
		close(s.ready)
	}
}

// Ready returns a channel that is closed at the first call of Synced.
func (s *Sessions) Ready() <-chan struct{} { return s.ready }

// Of returns the agent's current session; ok is false if it has none.
func (s *Sessions) Of(agent string) (session Session, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.signed[agent]
	if !ok {
		return Session{}, false
	}
	return r.session(), true
}

// Len returns how many agents are signed in.
func (s *Sessions) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.signed)
}

// follow sets the function that is called with each agent whose session has changed; nil: none. It must return at once.
func (s *Sessions) follow(f func(agent string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = f
}

// newSince reports whether the session belongs to a later sign-in than the one for which a policy was last set. A sign-in without a
// time is a new one if its key came back after it was seen deleted. Revisions are more reliable for that than the clocks of two
// workers, but only within one registry.
func (s Session) newSince(last ledger.SignIn) bool {
	switch {
	case s.SignedInAt.IsZero():
		return s.CameBack > last.Rev || s.Remade > last.Call
	case last.At == 0:
		return nanos(s.SignedInAt) > last.Call
	default:
		// If the earlier time was in the future at its call, it was wrong, and a later sign-in may have an earlier time.
		at := nanos(s.SignedInAt)
		return at != last.At && at > min(last.At, last.Call)
	}
}

// signIn returns what the ledger records of a call with this session at that time.
func (s Session) signIn(now int64) ledger.SignIn {
	in := ledger.SignIn{Rev: s.Rev, Call: now}
	if !s.SignedInAt.IsZero() {
		in.At = nanos(s.SignedInAt)
	}
	return in
}
