package worker

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gate"
	"idlepolicy/worker/view"
)

// forecast predicts when the changes that are due will have been called. Asking it costs a look at each of them: it is for
// people and scrapes, not for calls.
type forecast struct {
	*clock
	ready *ready
	gate  *gate.Gate
	speed speed
}

func (f *forecast) estimate() view.Estimate {
	e := view.Estimate{Due: f.ready.len() + f.gate.InFlight(), Rate: f.rate()}
	if e.Due == 0 || e.Rate == 0 || f.gate.Paused() {
		return e
	}
	e.End = f.after(e.Due, e.Rate)
	e.Missed = len(f.late(e)) // at least, if the gate is probing
	if f.gate.Probing(f.now) {
		e.End = time.Time{}
	}
	return e
}

// rate returns how many calls per second to expect: what the gate lets through, or less if the calls take too long for that.
// Without a limit it is the rate of the last second. 0 means that it is not known.
func (f *forecast) rate() float64 {
	rate := f.gate.CurrentRate(f.now)
	if rate == 0 {
		return f.speed.perSecond(f.now)
	}
	if reach := f.gate.Reach(); reach > 0 {
		rate = min(rate, reach)
	}
	return rate
}

// after returns when the n-th call from now will be made.
func (f *forecast) after(n int, rate float64) time.Time {
	from := f.now
	if at := f.gate.From(f.now); at.After(from) {
		from = at
	}
	return from.Add(time.Duration(min(float64(n)/rate, farAhead.Seconds()) * float64(time.Second)))
}

const farAhead = 100 * 365 * 24 * time.Hour // a rate can be tiny, and a duration ends after 292 years

// late returns the due changes that will be called too late. Calls are made in the order of [urgent], so only changes that
// expire before the estimated end can be among them, and the place of each of these in the order follows from them alone.
func (f *forecast) late(e view.Estimate) []*change {
	end := e.End.UnixNano()
	var short, late []*change
	first := 0
	for c := range f.ready.all() {
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
		if f.after(place, e.Rate).UnixNano() > c.until {
			late = append(late, c)
		}
	}
	return late
}

func byUrgency(a, b *change) int { return cmp.Compare(number(urgent(b, a)), number(urgent(a, b))) }

// prospect is the forecast for the due changes of one batch.
type prospect struct {
	last *change   // the one that is called last
	upTo int       // changes that are called before it, but after the last one of the batch that is finished before
	end  time.Time // when the last one will have been called
	late int       // changes that will be called too late
}

// prospects returns the prospect of each batch that has due changes.
func (f *forecast) prospects() map[*batch]*prospect {
	e := f.estimate()
	if e.End.IsZero() {
		return nil
	}
	of := map[*batch]*prospect{}
	for c := range f.ready.all() {
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
	for c := range f.ready.all() {
		if i, _ := slices.BinarySearchFunc(inTurn, c, func(p *prospect, c *change) int { return byUrgency(p.last, c) }); i < len(inTurn) {
			inTurn[i].upTo++
		}
	}
	n := f.gate.InFlight()
	for _, p := range inTurn {
		n += p.upTo
		p.end = f.after(n, e.Rate)
	}
	for _, c := range f.late(e) {
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

// speed counts the calls that were answered, in each second.
type speed struct {
	all    uint64 // in the whole term
	second int64  // the current one, in Unix seconds
	count  int    // in the current second
	last   int    // in the second before it
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
