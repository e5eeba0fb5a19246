package worker

import "time"

// pipeline counts the results that are not stored yet, and takes up room in the inbox for them, so that the worker reads only as
// fast as endings can be stored. It bounds how much one agent can hold up. While an agent is stuck, which means that none of its
// results makes progress, only laneRoom of them take up room. If they still become too many, the agent's further changes are left
// in the stream, and a new term reads them once the results are stored.
type pipeline struct {
	inbox   *Inbox
	results int                // that are not stored
	crowded map[*lane]struct{} // agents with more results than laneRoom
	moved   time.Time          // when a result of any agent last came in or made progress
	warned  time.Time          // when a stuck agent was last logged
	reread  bool               // an agent whose changes were left in the stream has room for them
}

const (
	laneRoom   = 256      // results of a stuck agent that take up room in the inbox
	laneMost   = 16 << 10 // results of a stuck agent, above which its changes are left in the stream
	stuckAfter = 500 * time.Millisecond
	stopWaits  = 3 * time.Second // how long a stop waits while no result makes progress
)

// held counts the results of one agent, in its outbox.
type held struct {
	load, dead           int       // results that are not stored: those without and those with a dead letter
	counted, countedDead int       // of them, those that take up room in the inbox
	since                time.Time // when one of them last made progress
	stuck                bool
}

// add adds n to the count of results, 1 or -1 for the entry. Those that become dead letters have room of their own.
func (p *pipeline) add(e *entry, n int, now time.Time) {
	ln := e.change.lane
	h := &ln.outbox().held
	if n < 0 || h.load+h.dead == 0 {
		h.since = now
	}
	p.moved = now
	p.results += n
	if e.letter {
		h.dead += n
	} else {
		h.load += n
	}
	p.count(ln)
}

// count updates the room that the agent's results take up.
func (p *pipeline) count(ln *lane) {
	h := &ln.out.held
	if h.load+h.dead > laneRoom {
		p.crowded[ln] = struct{}{}
	} else if len(p.crowded) > 0 {
		delete(p.crowded, ln)
		h.stuck = false
	}
	load, dead := h.load, h.dead
	if h.stuck {
		load, dead = min(load, laneRoom), min(dead, laneRoom)
	}
	if n := load - h.counted; n != 0 {
		p.inbox.add(n)
	}
	if n := dead - h.countedDead; n != 0 {
		p.inbox.addDead(n)
	}
	h.counted, h.countedDead = load, dead
}

// further records progress with one of the agent's results: it was stored, but is not finished.
func (p *pipeline) further(ln *lane, now time.Time) {
	p.moved = now
	if ln.out != nil {
		ln.out.held.since = now
	}
}

// look returns the agents that have just been found to be stuck.
func (p *pipeline) look(now time.Time) (found []*lane) {
	for ln := range p.crowded {
		if h := &ln.out.held; !h.stuck && now.Sub(h.since) >= stuckAfter {
			h.stuck = true
			p.count(ln)
			found = append(found, ln)
		}
	}
	return found
}

// next returns when look may find something; zero: never.
func (p *pipeline) next() (at time.Time) {
	for ln := range p.crowded {
		if h := &ln.out.held; !h.stuck && (at.IsZero() || h.since.Add(stuckAfter).Before(at)) {
			at = h.since.Add(stuckAfter)
		}
	}
	return at
}

// still reports whether a stop has waited long enough: no result has made progress for stopWaits.
func (p *pipeline) still(now time.Time) bool { return now.Sub(p.moved) >= stopWaits }
