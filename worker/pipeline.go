package worker

import "time"

// pipeline counts the results that are on their way to the ledger, and how many of them count against reading: the worker
// reads far ahead of the gateway, but only as fast as endings can be stored. What one agent may hold up is bounded. If none
// of an agent's results gets any further for a moment, only a few of them count, so that everybody else's changes are read
// as before. If it then goes on growing, the agent's further changes are left in the stream, and a new term reads them once
// the agent's results are stored.
type pipeline struct {
	inbox   *Inbox
	results int                // that are not stored
	crowded map[*lane]struct{} // agents with more results than laneRoom
	moved   time.Time          // when anybody's result last came in or got further
	warned  time.Time          // when it was last logged that somebody is stuck
	reread  bool               // an agent whose changes were left in the stream has room for them
}

const (
	laneRoom   = 256      // results of a stuck agent that count against reading
	laneMost   = 16 << 10 // results of a stuck agent, above which its changes are left in the stream
	stuckAfter = 500 * time.Millisecond
	stopWaits  = 3 * time.Second // a stop waits no longer than that for results none of which gets any further
)

// held is what one agent's results hold, in its outbox.
type held struct {
	load, dead           int       // results that are not stored; of changes that become dead letters
	counted, countedDead int       // of them, those that count against reading
	since                time.Time // when one of them last got further
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

// count brings what counts against reading in line with what the agent holds.
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

// further records that one of the agent's results was stored, although something about it is left to do.
func (p *pipeline) further(ln *lane, now time.Time) {
	p.moved = now
	if ln.out != nil {
		ln.out.held.since = now
	}
}

// look finds the agents whose results have stopped getting anywhere.
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

// next is when look may find something; zero: never.
func (p *pipeline) next() (at time.Time) {
	for ln := range p.crowded {
		if h := &ln.out.held; !h.stuck && (at.IsZero() || h.since.Add(stuckAfter).Before(at)) {
			at = h.since.Add(stuckAfter)
		}
	}
	return at
}

// still reports whether nobody's results have got any further for so long that a stop does not wait for them.
func (p *pipeline) still(now time.Time) bool { return now.Sub(p.moved) >= stopWaits }
