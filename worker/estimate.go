package worker

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// estimate costs a look at each change that is due, and is made for people and scrapes, not for calls.
func (l *loop) estimate() view.Estimate {
	e := view.Estimate{Due: l.ready.len() + l.gate.InFlight(), Rate: l.pace()}
	if e.Due == 0 || e.Rate == 0 || l.gate.Paused() {
		return e
	}
	e.End = l.after(e.Due, e.Rate)
	e.Missed = len(l.late(e))
	return e
}

// pace is how many calls per second can be reckoned with: what the gate lets through, or less where calls take too long
// for that, or, without a limit, what went through lately; 0: not known.
func (l *loop) pace() float64 {
	rate := l.gate.Pace(l.now)
	if rate == 0 {
		return l.speed.perSecond(l.now)
	}
	if reach := l.gate.Reach(); reach > 0 {
		rate = min(rate, reach)
	}
	return rate
}

// after returns when the n-th call from now will be made.
func (l *loop) after(n int, rate float64) time.Time {
	from := l.now
	if at := l.gate.From(l.now); at.After(from) {
		from = at
	}
	return from.Add(time.Duration(min(float64(n)/rate, farAhead.Seconds()) * float64(time.Second)))
}

const farAhead = 100 * 365 * 24 * time.Hour // a rate can be tiny, and a duration ends after 292 years

// late returns the changes that will be too late. Only what ends before everything is applied can be, and calls are made in
// the order of their ends, first attempts first: so the place of each in line is known from the few alone.
func (l *loop) late(e view.Estimate) []*change {
	end := e.End.UnixNano()
	var short, late []*change
	first := 0
	for c := range l.ready.all() {
		retried := c.attempts() > 0 || c.faults() > 0
		first += 1 - number(retried)
		if c.until < end {
			short = append(short, c)
		}
	}
	slices.SortFunc(short, byUrgency)
	place, jumped := 0, false
	for _, c := range short {
		if !jumped && (c.attempts() > 0 || c.faults() > 0) {
			place, jumped = first, true
		}
		place++
		if l.after(place, e.Rate).UnixNano() > c.until {
			late = append(late, c)
		}
	}
	return late
}

func byUrgency(a, b *change) int { return cmp.Compare(number(urgent(b, a)), number(urgent(a, b))) }

// prospect is what can be expected of the changes of a batch that are due.
type prospect struct {
	last *change // the one whose turn comes last
	upTo int     // changes whose turn comes before it, and after the last one of the batch that is through before
	end  time.Time
	late int
}

// prospects looks at everything that is due, as an estimate does. A batch of which nothing is due has none.
func (l *loop) prospects() map[*batch]*prospect {
	e := l.estimate()
	if e.End.IsZero() {
		return nil
	}
	of := map[*batch]*prospect{}
	for c := range l.ready.all() {
		if c.member == nil {
			continue
		}
		if p := of[c.member.batch]; p == nil {
			of[c.member.batch] = &prospect{last: c}
		} else if urgent(p.last, c) {
			p.last = c
		}
	}
	inTurn := slices.SortedFunc(maps.Values(of), func(p, q *prospect) int { return byUrgency(p.last, q.last) })
	for c := range l.ready.all() {
		if i, _ := slices.BinarySearchFunc(inTurn, c, func(p *prospect, c *change) int { return byUrgency(p.last, c) }); i < len(inTurn) {
			inTurn[i].upTo++
		}
	}
	n := l.gate.InFlight()
	for _, p := range inTurn {
		n += p.upTo
		p.end = l.after(n, e.Rate)
	}
	for _, c := range l.late(e) {
		if c.member != nil {
			of[c.member.batch].late++
		}
	}
	return of
}

// progress returns a progress report of a batch: its counts so far, and what can be expected of the rest; nil: unknown.
func (p *prospect) progress(sum messages.BatchSummary, now time.Time) messages.BatchProgress {
	report := messages.BatchProgress{BatchSummary: sum, At: now.UTC()}
	if p != nil {
		report.ExpectedEnd, report.Missed = p.end.UTC(), p.late
	}
	return report
}

// burst is the time in which much more is due than can be called at once.
type burst struct {
	since time.Time // zero: there is none
	told  bool
}

// A burst is what takes longer than burstSeconds, and is at least burstLeast changes. It is told once what it begins
// with has been read.
const (
	burstLeast   = 100
	burstSeconds = 2
	burstSettles = time.Second
)

// noteBurst says once, as a burst begins, when it will be over and who will miss it.
func (l *loop) noteBurst() {
	b, due := &l.burst, l.ready.len()
	switch {
	case due == 0:
		*b = burst{}
	case b.told:
	case l.gate.Paused() || due < burstLeast || float64(due) < burstSeconds*l.gate.Limit():
		b.since = time.Time{}
	case b.since.IsZero():
		b.since = l.now
	case l.now.Sub(b.since) >= burstSettles:
		b.told = true
		e := l.estimate()
		l.log().Info("a burst of changes is due", "due", e.Due, "per_second", e.Rate, "applied_by", e.End, "too_late", e.Missed)
	}
}

// next is when noteBurst is to be asked again; zero: whenever something happens.
func (b *burst) next() time.Time {
	if b.since.IsZero() || b.told {
		return time.Time{}
	}
	return b.since.Add(burstSettles)
}

// speed is how many calls per second were answered lately.
type speed struct {
	all    uint64 // of the whole term
	second int64
	count  int
	last   int
}

func (s *speed) add(now time.Time) {
	s.roll(now)
	s.count++
	s.all++
}

func (s *speed) roll(now time.Time) {
	if sec := now.Unix(); sec != s.second {
		s.last = 0
		if sec == s.second+1 {
			s.last = s.count
		}
		s.second, s.count = sec, 0
	}
}

func (s *speed) perSecond(now time.Time) float64 {
	s.roll(now)
	return float64(max(s.last, s.count))
}
