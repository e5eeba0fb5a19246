package worker

import "time"

// silence is what a gateway does that hangs: it takes calls and answers none. Their time-outs come too late to keep
// what is due from following them, so a few calls that nothing was heard after keep the others back at once; single
// ones still go out with pauses, because those that hang may never be answered. Any answer ends it, so that a gateway
// that only stopped for a moment loses nobody any time.
type silence struct {
	unheard int       // calls sent since the last answer
	since   time.Time // when the first of them was sent
	next    time.Time // the next single call; zero: nothing is kept back
	singles int
}

const (
	fewUnheard   = 4                      // so many may be the trouble of their own agents or of their nodes
	leastSilence = 10 * time.Millisecond  // what a process may miss without having hung
	longAsUsual  = 4                      // times the usual latency
	longAnyway   = 300 * time.Millisecond // where the usual latency is not known
)

// holds tells whether a call must wait, and until when. The usual latency is zero where it is not known.
func (s *silence) holds(latency time.Duration, now time.Time) (again time.Time, wait bool) {
	long := max(leastSilence, longAsUsual*latency)
	if latency == 0 {
		long = longAnyway
	}
	if s.unheard < fewUnheard || now.Sub(s.since) < long {
		return time.Time{}, false
	}
	if s.next.IsZero() {
		s.next = s.since.Add(firstProbe)
	}
	return s.next, now.Before(s.next)
}

func (s *silence) sent(now time.Time) {
	if s.unheard == 0 {
		s.since = now
	}
	s.unheard++
	if !s.next.IsZero() {
		s.singles++
		s.next = now.Add(nextProbes)
	}
}

// heard takes note of any answer and tells whether it ended a long silence.
func (s *silence) heard() bool {
	was := s.long()
	*s = silence{}
	return was
}

// long tells whether it is more than a moment, after which all may go on at once.
func (s *silence) long() bool { return s.singles > 1 }
