package gatewaytest

import (
	"maps"
	"time"
)

// Summary counts what happened, also where calls are forgotten.
type Summary struct {
	Calls        int // arrived
	Finished     int
	Applied      int
	MaxPerSecond int            // most calls that arrived in any one second
	Statuses     map[int]int    // of the finished; 0: no answer
	Retcodes     map[string]int // of the finished that were answered with one
	Faults       map[string]int // as in a Call
	First, Last  time.Time      // arrivals
	Connections  int            // taken, since the start
	Dropped      int            // of these: reset at once, or left in silence, in an outage
}

// Summary returns what happened so far, or since the last Reset.
func (g *Gateway) Summary() Summary {
	accepted, dropped := g.port.connections()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.record.summary
	s.Statuses, s.Retcodes, s.Faults = maps.Clone(s.Statuses), maps.Clone(s.Retcodes), maps.Clone(s.Faults)
	s.Connections, s.Dropped = accepted, dropped
	return s
}

func (r *record) count(now time.Time) {
	s := &r.summary
	if s.Calls == 0 {
		s.First = now
	}
	s.Calls++
	s.Last = now
	s.MaxPerSecond = max(s.MaxPerSecond, r.second.add(now))
}

// finish counts what came of a call.
func (r *record) finish(c *Call) {
	s := &r.summary
	s.Finished++
	s.Statuses[c.Status]++
	if c.Applied {
		s.Applied++
	}
	if c.Retcode != "" {
		s.Retcodes[c.Retcode]++
	}
	if c.Fault != "" {
		s.Faults[c.Fault]++
	}
}

// lastSecond are the arrivals of the last second: a ring that grows to the busiest second.
type lastSecond struct {
	ring  []time.Time
	first int
	n     int
}

// add returns how many arrivals there are in the second that ends with this one.
func (l *lastSecond) add(now time.Time) int {
	for l.n > 0 && now.Sub(l.ring[l.first]) >= time.Second {
		l.first = (l.first + 1) % len(l.ring)
		l.n--
	}
	if l.n == len(l.ring) {
		grown := make([]time.Time, max(64, 2*len(l.ring)))
		moved := copy(grown, l.ring[l.first:])
		copy(grown[moved:], l.ring[:l.first])
		l.ring, l.first = grown, 0
	}
	l.ring[(l.first+l.n)%len(l.ring)] = now
	l.n++
	return l.n
}
