package tap

import (
	"container/list"
	"log/slog"
	"slices"
	"sync"
	"time"

	"idlepolicy/messages"
)

// Kind is what an answer means for an agent's session.
type Kind int

// The kinds.
const (
	Passed    Kind = iota // nothing is known from its retcode
	SignedIn              // retcode 0 to a sign-in
	Answered              // retcode 0 to a poll, a heartbeat or updateGuid: the GUID that was shown is good, and the agent's
	Accepted              // retcode 0 to any other request: the GUID that was shown is good, whoever is in the path
	Refused               // 100-006 or 100-008: the agent is not signed in, or the GUID is too old
	SignedOut             // retcode 0 to a sign-out
)

// Event is one answer of the gateway.
type Event struct {
	Kind    Kind
	Agent   string    // in the path of the request; empty: none
	Shown   string    // the GUID in the request; empty: none
	GUID    string    // the new GUID that the answer gives; empty: none
	Cookies []string  // that come with the new GUID
	Sent    []string  // the cookies in the request
	Asked   time.Time // when the request came
}

// Happening is what the registry counts.
type Happening int

// The happenings.
const (
	SignIns Happening = iota
	Rotations
	Adoptions
	SignOuts   // by the desktop
	Silences   // no request and no answer for Silence
	Overs      // session trouble that lasted
	Writes     // records stored or deleted
	Conflicts  // records that another tap had written meanwhile
	Failures   // writes and reads that failed, each tried again
	happenings // how many there are
)

// overAfter is how long the gateway has to refuse the current GUID until the session is over. A balancer or a failover does
// so for a moment while the session is good.
const overAfter = 10 * time.Second

// Registry is what the tap knows of the agents' sessions. Make one with [NewRegistry] and have [Registry.Run] store it; its
// other methods may be called from any goroutine and never wait for the Store.
type Registry struct {
	Silence time.Duration // after which a session without any traffic is over
	Store   Store
	Count   func(Happening)
	Log     *slog.Logger

	mu      sync.Mutex // guards what follows, and every agent
	agents  map[string]*agent
	owners  map[mark]*agent // by the current GUID, the ones before it and its rival
	seen    list.List       // of *agent: the one that was silent longest first
	queue   []*agent        // to be stored, the one that waits longest first
	waiting int             // agents that are in the queue, being stored, or to be tried again
	room    *sync.Cond      // the queue is not empty, nothing waits any more, or Run ends
	ended   bool            // Run ends
	trouble string          // the last failure that was logged; empty: all is well again
}

// keptOld is how many GUIDs before the current one are remembered: answers to requests that show them are still under way.
const keptOld = 4

// NewRegistry returns a Registry that knows nobody. Its exported fields may be changed until it is used.
func NewRegistry(store Store, silence time.Duration) *Registry {
	r := &Registry{
		Silence: silence, Store: store, Count: func(Happening) {}, Log: slog.New(slog.DiscardHandler),
		agents: map[string]*agent{}, owners: map[mark]*agent{},
	}
	r.room = sync.NewCond(&r.mu)
	return r
}

// Asked takes note of a request that shows this GUID: its agent's desktop is alive. It reports whether this is the current
// GUID of an agent who is signed in.
func (r *Registry) Asked(guid string) (current bool) {
	if guid == "" {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.owners[markOf(guid)]
	if a == nil {
		return false
	}
	r.touch(a)
	return a.state == present && a.current(guid)
}

// Tunnel takes note of a connection that shows this GUID and was upgraded: what passes on it is not looked at, and until
// closed is called its agent is not silent.
func (r *Registry) Tunnel(guid string) (closed func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.owners[markOf(guid)]
	if a == nil {
		return func() {}
	}
	a.tunnels++
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		a.tunnels--
		a.heard = time.Now()
	})
}

// Learn takes an answer in.
func (r *Registry) Learn(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if e.Kind == SignedIn {
		r.signIn(&e, now)
		return
	}
	a := r.owners[markOf(e.Shown)]
	if a == nil || e.Shown == "" {
		r.stranger(&e, now)
		return
	}
	r.touch(a)
	if e.Agent != "" && e.Agent != a.id { // a supervisor's request: a refusal may be about the agent in the path
		if e.Kind == Answered || e.Kind == Accepted || e.Kind == SignedOut {
			a.prove(&e)
		}
		return
	}
	switch e.Kind {
	case Answered:
		r.accepted(a, &e, now)
	case Accepted:
		a.prove(&e)
	case Refused:
		r.refuse(a, &e, now)
	case SignedOut:
		if !a.session.SignedInAt.After(e.Asked) { // else a sign-in has overtaken it
			r.end(a, SignOuts, now)
		}
		return
	case Passed, SignedIn:
	}
	if e.GUID != "" && a.state == present {
		r.rotate(a, &e, now)
	}
}

func (a *agent) current(guid string) bool { return a.session.GUID == guid }

func (r *Registry) signIn(e *Event, now time.Time) {
	a := r.agent(e.Agent)
	r.touch(a)
	r.replace(a, e.GUID, now)
	a.session = messages.Session{GUID: e.GUID, Cookies: e.Cookies, SignedInAt: now.UTC().Round(0)}
	a.assumed, a.state, a.claim, a.proven = false, present, nil, now
	r.Count(SignIns)
	r.changed(a)
}

// replace makes the GUID the agent's current one; the one that it had becomes an old one.
func (r *Registry) replace(a *agent, guid string, now time.Time) {
	was := a.session.GUID
	if was != "" && was != guid {
		a.old = append(a.old, markOf(was))
		if len(a.old) > keptOld {
			r.disown(a, a.old[0])
			a.old = slices.Delete(a.old, 0, 1)
		}
	}
	if a.rival != "" && a.rival != guid {
		r.disown(a, markOf(a.rival))
	}
	m := markOf(guid)
	a.old = slices.DeleteFunc(a.old, func(o mark) bool { return o == m })
	a.session.GUID, a.rival, a.since, a.refused = guid, "", now, time.Time{}
	r.owners[m] = a
}

func (r *Registry) disown(a *agent, m mark) {
	if r.owners[m] == a {
		delete(r.owners, m)
	}
}

// accepted takes in that the gateway accepts a GUID of the agent's.
func (r *Registry) accepted(a *agent, e *Event, now time.Time) {
	switch {
	case a.state == gone && a.current(e.Shown) && e.Asked.After(a.since):
		// The sign-out was answered but not carried out, as while the agent is talking. It is the same session as before.
		a.state, a.since = present, now
		r.changed(a)
	case a.state != present:
		return
	case e.Shown == a.rival && e.Asked.After(a.since):
		r.rotated(a, a.rival, a.session.GUID, now)
	}
	a.refused = time.Time{}
	a.prove(e)
}

// prove takes in that the gateway accepted a request that shows the current GUID, whatever it was about: the session is good.
func (a *agent) prove(e *Event) {
	if a.state != present || !a.current(e.Shown) {
		return
	}
	a.refused = time.Time{}
	if e.Asked.After(a.proven) {
		a.proven = e.Asked
	}
}

// rotated makes a GUID the current one beside a rival.
func (r *Registry) rotated(a *agent, guid, rival string, now time.Time) {
	a.rival = ""
	a.session.GUID, a.since, a.refused = guid, now, time.Time{}
	r.owners[markOf(guid)] = a
	if rival != "" {
		a.rival = rival
		r.owners[markOf(rival)] = a
	}
	r.changed(a)
}

// rotate takes a new GUID in. One that came in answer to the current one replaces it. One that came in answer to an older one
// is the current one itself, or one before it that comes late, or nobody can tell; then the desktop decides, by the GUID
// that it shows next.
func (r *Registry) rotate(a *agent, e *Event, now time.Time) {
	switch m := markOf(e.GUID); {
	case a.current(e.GUID), slices.Contains(a.old, m), e.GUID == a.rival && !a.current(e.Shown):
		return
	case a.current(e.Shown):
		r.replace(a, e.GUID, now)
		r.changed(a)
	default:
		if a.rival != "" {
			r.disown(a, markOf(a.rival))
		}
		r.rotated(a, e.GUID, a.session.GUID, now)
	}
	a.proven = now
	a.session.Cookies = merged(a.session.Cookies, e.Cookies)
	r.Count(Rotations)
}

// merged returns cookies with those that replace some of them.
func merged(cookies, newer []string) []string {
	if len(newer) == 0 {
		return cookies
	}
	return setCookies(slices.Clone(cookies), newer)
}

// refuse takes in that the gateway refused a request of the agent's own. Only one that names the agent counts.
func (r *Registry) refuse(a *agent, e *Event, now time.Time) {
	if a.state != present || !a.current(e.Shown) || e.Agent == "" {
		return
	}
	if a.refused.IsZero() {
		a.refused = now
		return
	}
	if now.Sub(a.refused) >= overAfter {
		r.end(a, Overs, now)
	}
}

// stranger takes in an answer to a request whose GUID is nobody's here.
func (r *Registry) stranger(e *Event, now time.Time) {
	a := r.agents[e.Agent]
	switch {
	case e.Agent == "":
	case e.Kind == SignedOut:
		a = r.agent(e.Agent)
		r.touch(a)
		a.state, a.known = unknown, false // another tap knows more of it
		r.end(a, SignOuts, now)
	case e.Kind == Answered && e.Shown != "" && (a == nil || a.state != gone || e.Asked.After(a.since)):
		a = r.agent(e.Agent)
		r.touch(a)
		c := &claim{guid: e.Shown, cookies: e.Sent, proven: e.Asked, at: now}
		if e.GUID != "" {
			c.guid, c.link, c.cookies = e.GUID, e.Shown, merged(e.Sent, e.Cookies)
		}
		a.claim = c
		r.changed(a)
	}
}

// end ends the agent's session. What is known of it stays for a while, so that answers that come late change nothing.
func (r *Registry) end(a *agent, why Happening, now time.Time) {
	a.claim = nil
	if a.state == gone {
		return
	}
	a.state, a.why, a.since, a.refused = gone, why, now, time.Time{}
	r.Count(why)
	r.changed(a)
}

// agent returns what is known of an agent, which may be nothing yet.
func (r *Registry) agent(id string) *agent {
	a := r.agents[id]
	if a == nil {
		a = &agent{id: id}
		a.seen = r.seen.PushBack(a)
		r.agents[id] = a
	}
	return a
}

func (r *Registry) touch(a *agent) {
	a.heard, a.asked = time.Now(), time.Time{}
	r.seen.MoveToBack(a.seen)
}

// forget drops an agent.
func (r *Registry) forget(a *agent) {
	if r.agents[a.id] != a {
		return
	}
	delete(r.agents, a.id)
	r.seen.Remove(a.seen)
	r.disown(a, markOf(a.session.GUID))
	r.disown(a, markOf(a.rival))
	for _, m := range a.old {
		r.disown(a, m)
	}
}

// changed has the agent's record written.
func (r *Registry) changed(a *agent) {
	a.dirty = true
	a.version++
	r.enqueue(a)
}

// Signed returns how many agents are signed in, as far as this tap knows, and how many records wait to be written.
func (r *Registry) Signed() (agents, waiting int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.agents {
		if a.state == present {
			agents++
		}
	}
	return agents, r.waiting
}
