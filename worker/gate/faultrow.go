package gate

import (
	"slices"
	"time"
)

// row is what came of the calls to an address that were sent after the last one that was answered properly, in the
// order of sending: some have failed, the others are in flight. The breaker trips after
// enoughFaults neighbours in that order that all failed, of at least two agents. The order of sending counts and not that
// of the answers, because a fault often comes back much sooner than a proper answer.
//
// With a share p of calls failing at random a row of k begins at a given call with probability (1-p)·p^k. For k = 10
// that is 0.7·0.3^10 = 4e-6 at p = 0.3, once in 240,000 calls, and 0.5·0.5^10 = 5e-4 at p = 0.5, once in 2,000. The goals
// are once in 10,000 and once in 1,000, and k = 9 would meet the second by a hair only.
//
// From the third fault in a row on, no more calls go out than could complete the row, so that an outage costs ten
// calls, however many are in flight otherwise. At p = 0.3 that happens to 0.7·0.3^3 = 2 % of the calls, and ends with the
// next proper answer.
type row struct {
	calls []call
	busy  bool // all the calls of the row that tripped were refused for lack of room
}

type call struct {
	agent   string
	sent    time.Time
	failed  bool
	connect bool
	busy    bool
}

const (
	enoughFaults = 10
	doubt        = 3
	mostCalls    = 1024 // kept at most: one that hangs among many that fail keeps all the others
)

func (w *row) send(agent string, now time.Time) {
	if len(w.calls) == mostCalls {
		w.calls = slices.Delete(w.calls, 0, mostCalls/2)
	}
	w.calls = append(w.calls, call{agent: agent, sent: now})
}

// find returns the place of the agent's call in flight, or -1 if a later one was answered meanwhile.
func (w *row) find(agent string) int {
	return slices.IndexFunc(w.calls, func(c call) bool { return c.agent == agent && !c.failed })
}

func (w *row) answered(agent string) {
	w.calls = slices.Delete(w.calls, 0, w.find(agent)+1)
}

func (w *row) remove(agent string) {
	if i := w.find(agent); i >= 0 {
		w.calls = slices.Delete(w.calls, i, i+1)
	}
}

// fault notes that the agent's call failed, and reports whether that completes a row, with when its first call was sent.
func (w *row) fault(agent string, connect, busy bool) (first time.Time, tripped bool) {
	i := w.find(agent)
	if i < 0 {
		return time.Time{}, false
	}
	w.calls[i].failed, w.calls[i].connect, w.calls[i].busy = true, connect, busy
	from, to := i, i+1
	for from > 0 && w.calls[from-1].failed {
		from--
	}
	for to < len(w.calls) && w.calls[to].failed {
		to++
	}
	neighbours := w.calls[from:to]
	if len(neighbours) < enoughFaults || !several(neighbours) {
		return time.Time{}, false
	}
	w.busy = !slices.ContainsFunc(neighbours, func(c call) bool { return !c.busy })
	return neighbours[0].sent, true
}

// several reports whether the calls were for several agents, or failed where no agent can be the cause.
func several(calls []call) bool {
	return slices.ContainsFunc(calls, func(c call) bool { return c.connect || c.agent != calls[0].agent })
}

// last returns the faults at the end of the row, and the calls in flight after them.
func (w *row) last() (faults, inFlight []call) {
	from := len(w.calls)
	for from > 0 && !w.calls[from-1].failed {
		from--
	}
	inFlight = w.calls[from:]
	to := from
	for from > 0 && w.calls[from-1].failed {
		from--
	}
	return w.calls[from:to], inFlight
}

// doubted reports whether the last few calls that came back failed.
func (w *row) doubted() bool {
	faults, _ := w.last()
	return len(faults) >= doubt && several(faults)
}

// crowded returns when the last call was sent if those in flight can complete the row, so that no other should follow
// them; zero: one may.
func (w *row) crowded() time.Time {
	faults, inFlight := w.last()
	if len(inFlight) > 0 && len(faults) >= doubt && len(faults)+len(inFlight) >= enoughFaults && several(faults) {
		return inFlight[len(inFlight)-1].sent
	}
	return time.Time{}
}

// quiet detects an address that accepts calls and answers none. Their time-outs come too late to keep what is due from
// following them. Any answer ends it, so a gateway that only stopped for a moment delays nobody.
type quiet struct {
	unheard int       // calls sent since the last answer
	since   time.Time // when the first of them was sent
}

// stalled returns since when nothing was answered if that is so long that no further call should follow; zero: it is
// not. usual is the latency that calls have; 0: not known.
func (q *quiet) stalled(usual time.Duration, now time.Time) time.Time {
	long := now.Sub(q.since) >= max(leastQuiet, usual+usual/8)
	if usual == 0 {
		long = q.unheard >= enoughFaults // nothing is known: as many as an outage costs
	}
	if q.unheard < fewUnheard || !long {
		return time.Time{}
	}
	return q.since
}

func (q *quiet) sent(now time.Time) {
	if q.unheard == 0 {
		q.since = now
	}
	q.unheard++
}

const (
	fewUnheard = 4                      // so many may be the trouble of their own agents
	leastQuiet = 10 * time.Millisecond  // what a process may miss without having hung
	tooLong    = 300 * time.Millisecond // without an answer before single probes begin
)
