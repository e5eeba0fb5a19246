package worker

import (
	"sync"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// Sessions are the agents that are signed in, followed live. One goroutine at a time writes them; any may read.
type Sessions struct {
	mu      sync.RWMutex // guards what follows
	signed  map[string]*record
	gone    map[string]uint64 // revision before it was seen deleted: a key that comes back is a new sign-in
	anew    bool              // the registry was made again: revisions of before say nothing any more
	bad     map[string]string // records that cannot be used, with the reason
	synced  bool
	ready   chan struct{} // closed once synced
	changed func(agent string)
}

// Session is an agent's session with what tells one sign-in from the next.
type Session struct {
	messages.Session
	Rev      uint64 // revision of the record in the registry
	CameBack uint64 // revision at which the key came back after it was seen deleted; 0: it was not
	Anew     int64  // when that was, in Unix nanoseconds, if the registry was made again meanwhile; 0: it was not
}

// record is a Session as it is kept: tens of thousands are, and few have more than a GUID.
type record struct {
	guid       string
	signedInAt time.Time
	rev        uint64
	cameBack   uint64
	more       *Session // nil: nothing but what stands above
}

func newRecord(s Session) *record {
	r := &record{guid: s.GUID, signedInAt: s.SignedInAt, rev: s.Rev, cameBack: s.CameBack}
	if len(s.Cookies) > 0 || len(s.LeftOut) > 0 || s.GatewayURL != "" || s.Anew != 0 {
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

// NewSessions returns Sessions that nobody has filled yet.
func NewSessions() *Sessions {
	return &Sessions{signed: map[string]*record{}, gone: map[string]uint64{}, bad: map[string]string{}, ready: make(chan struct{})}
}

// Put says that the registry holds this session for the agent at this revision.
func (s *Sessions) Put(agent string, session messages.Session, rev uint64) {
	s.mu.Lock()
	delete(s.bad, agent)
	now := Session{Session: session, Rev: rev}
	if old := s.signed[agent]; old != nil {
		was := old.session()
		if was.Rev == rev && was.SameAs(session) { // revisions begin again with a registry made again
			s.mu.Unlock()
			return
		}
		now.CameBack, now.Anew = was.CameBack, was.Anew
	}
	if before, was := s.gone[agent]; was {
		now.CameBack = rev
		if s.anew = s.anew || rev <= before; s.anew {
			now.Anew = time.Now().UnixNano()
		}
		delete(s.gone, agent)
	}
	s.signed[agent] = newRecord(now)
	tell := s.changed
	s.mu.Unlock()
	if tell != nil {
		tell(agent)
	}
}

// Delete says that the registry holds no session for the agent.
func (s *Sessions) Delete(agent string) { s.drop(agent, "") }

// Reject says that the registry holds a record for the agent that cannot be used: it counts as not signed in. It tells
// whether that is news. The reason must not quote what is in the record.
func (s *Sessions) Reject(agent, why string) (news bool) { return s.drop(agent, why) }

// maxBad is how many records are remembered that cannot be used. Whoever writes sessions may write any number of them.
const maxBad = 1000

func (s *Sessions) drop(agent, why string) (news bool) {
	s.mu.Lock()
	if why == "" {
		delete(s.bad, agent)
	} else if was, known := s.bad[agent]; was != why && (known || len(s.bad) < maxBad) {
		s.bad[agent], news = why, true
	}
	if messages.ValidAgentID(agent) { // others never sign in, and there is no end of them
		before := s.gone[agent]
		if r := s.signed[agent]; r != nil {
			before = r.rev
		}
		s.gone[agent] = before
	}
	delete(s.signed, agent)
	tell := s.changed
	s.mu.Unlock()
	if tell != nil {
		tell(agent)
	}
	return news
}

// Trouble returns why the agent's record in the registry cannot be used; empty: it can, or there is none.
func (s *Sessions) Trouble(agent string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bad[agent]
}

// Synced says that everything the registry held was told: until then nobody knows who is not signed in. Agents for
// which held returns false are no longer in the registry.
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

// Ready is closed as soon as it is known who is signed in.
func (s *Sessions) Ready() <-chan struct{} { return s.ready }

// Of returns the agent's session as of now.
func (s *Sessions) Of(agent string) (Session, bool) {
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

// follow has changes told to f, which must return at once; nil ends it.
func (s *Sessions) follow(f func(agent string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = f
}

// newSince reports whether the session belongs to a later sign-in than the one for which the gateway was last told a
// policy. A sign-in without a time is a new one where its key came back after it was seen deleted. Revisions tell that
// more surely than the clocks of two workers, but only within one registry.
func (s Session) newSince(last ledger.SignIn) bool {
	switch {
	case s.SignedInAt.IsZero():
		return s.CameBack > last.Rev || s.Anew > last.Call
	case last.At == 0:
		return nanos(s.SignedInAt) > last.Call
	default:
		// A time that was in the future at the call was wrong, and later sign-ins need not be later than it.
		at := nanos(s.SignedInAt)
		return at != last.At && at > min(last.At, last.Call)
	}
}

// signIn returns what the ledger keeps of a call made now with this session.
func (s Session) signIn(now int64) ledger.SignIn {
	in := ledger.SignIn{Rev: s.Rev, Call: now}
	if !s.SignedInAt.IsZero() {
		in.At = nanos(s.SignedInAt)
	}
	return in
}
