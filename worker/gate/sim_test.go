package gate

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// origin is when each simulation begins.
var origin = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// sim plays the worker's dispatcher and a gateway against each other in virtual time.
type sim struct {
	config   Config
	plain    bool // without the gate: a limiter and a backoff alone, as a loop by hand has them
	changes  int  // one for each agent, all due at once
	seed     uint64
	address  func(agent int) string
	gateway  func(c *arrival) reply
	wakeUps  time.Duration // how late the process may wake up
	backoff  time.Duration // the first pause of a change; default 100 ms
	end      time.Duration // of the simulation at the latest; default 60 s
	gate     *Gate
	random   *rand.Rand
	now      time.Time
	events   events
	queues   map[string][]*simChange // ready, most urgent first
	inFlight int
	limiter  bucket
	calls    []*arrival
	left     int
	wake     time.Time
}

// simChange is one agent's change.
type simChange struct {
	agent, faults int
	address       string
	applied       time.Time
}

// arrival is a call as the gateway sees it.
type arrival struct {
	at     time.Time
	since  time.Duration // of the simulation
	agent  int
	n      int // place among all calls
	random *rand.Rand
	reply  reply
}

// reply is what the gateway answers, and when.
type reply struct {
	kind       Kind
	took       time.Duration
	retryAfter time.Duration
}

type event struct {
	at time.Time
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}

func (s *sim) pop() event { return heap.Pop(&s.events).(event) }

func (s *sim) after(d time.Duration, do func()) { heap.Push(&s.events, event{s.now.Add(d), do}) }

// run plays until every change is applied, or the end.
func (s *sim) run() *sim {
	s.random = rand.New(rand.NewPCG(s.seed, 7))
	s.now = origin
	s.backoff = cmp.Or(s.backoff, 100*time.Millisecond)
	end := origin.Add(cmp.Or(s.end, 60*time.Second))
	if s.config.MaxInFlight == 0 {
		s.config.MaxInFlight = 32
	}
	if s.gate == nil {
		s.gate = New(s.config, s.now)
	}
	s.limiter = bucket{tokens: s.config.Burst, last: s.now}
	s.queues = map[string][]*simChange{}
	for i := range s.changes {
		c := &simChange{agent: 1001 + i}
		if s.address != nil {
			c.address = s.address(c.agent)
		}
		s.queues[c.address] = append(s.queues[c.address], c)
	}
	s.left = s.changes
	s.dispatch()
	for len(s.events) > 0 && s.left > 0 {
		e := s.pop()
		if e.at.After(end) {
			break
		}
		s.now = e.at
		e.do()
		s.dispatch()
	}
	return s
}

func (s *sim) dispatch() {
	blocked := map[string]bool{}
	for {
		c, q := s.next(blocked)
		if c == nil {
			return
		}
		ok, again, why := s.ask(c)
		if ok {
			s.queues[c.address] = slices.Delete(s.queues[c.address], q, q+1)
			s.call(c)
			continue
		}
		if !again.IsZero() && !again.After(s.now) {
			panic("the gate names an instant that has passed: " + why)
		}
		if !again.IsZero() && (!s.wake.After(s.now) || again.Before(s.wake)) {
			s.wake = again
			s.after(again.Sub(s.now)+time.Duration(s.random.Int64N(int64(s.wakeUps)+1)), func() {})
		}
		if why.Site() {
			return
		}
		blocked[c.address] = true
	}
}

// next returns the most urgent change among the addresses that are not blocked: those with the fewest faults go first.
func (s *sim) next(blocked map[string]bool) (best *simChange, place int) {
	for _, address := range slices.Sorted(mapKeys(s.queues)) {
		queue := s.queues[address]
		if blocked[address] || len(queue) == 0 {
			continue
		}
		at := 0
		if !s.plain && s.gate.Doubts(address) {
			for range 4 {
				if i := s.random.IntN(len(queue)); queue[i].faults <= queue[0].faults {
					at = i // otherwise the first one, who has failed less often
					break
				}
			}
		}
		if c := queue[at]; best == nil || c.faults < best.faults || c.faults == best.faults && c.agent < best.agent {
			best, place = c, at
		}
	}
	return best, place
}

func mapKeys(m map[string][]*simChange) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func (s *sim) ask(c *simChange) (ok bool, again time.Time, why Why) {
	if !s.plain {
		return s.gate.Ask(c.address, strconv.Itoa(c.agent), s.now)
	}
	if s.inFlight >= s.config.MaxInFlight {
		return false, time.Time{}, InFlight
	}
	if s.config.Rate > 0 {
		s.limiter.fill(s.config.Rate, s.config.Burst, s.now)
		if again := s.limiter.next(s.config.Rate); !again.IsZero() {
			return false, again, Rate
		}
		s.limiter.tokens--
	}
	return true, time.Time{}, ""
}

func (s *sim) call(c *simChange) {
	s.inFlight++
	sent := s.now
	a := &arrival{at: sent, since: sent.Sub(origin), agent: c.agent, n: len(s.calls), random: s.random}
	a.reply = s.gateway(a)
	s.calls = append(s.calls, a)
	r := a.reply
	s.after(r.took, func() {
		s.inFlight--
		if !s.plain {
			s.gate.Report(Report{
				Address: c.address, Agent: strconv.Itoa(c.agent), Sent: sent, Kind: r.kind,
				RetryAfter: r.retryAfter, Took: r.took, Why: "a fault",
			}, s.now)
		}
		if r.kind == Answered {
			c.applied = s.now
			s.left--
			return
		}
		c.faults++
		if !s.plain && s.gate.Decides(c.address, s.now) {
			s.queue(c)
			return
		}
		pause := float64(s.backoff) * math.Pow(2, float64(c.faults-1)) * (0.5 + s.random.Float64())
		s.after(min(30*time.Second, time.Duration(pause)), func() { s.queue(c) })
	})
}

func (s *sim) queue(c *simChange) {
	q := s.queues[c.address]
	i, _ := slices.BinarySearchFunc(q, c, func(x, c *simChange) int {
		return cmp.Or(cmp.Compare(x.faults, c.faults), cmp.Compare(x.agent, c.agent))
	})
	s.queues[c.address] = slices.Insert(q, i, c)
}

// applied returns the seconds until that share of the changes that count was applied; +Inf: never.
func (s *sim) applied(share float64, counts func(agent int) bool) float64 {
	var at []float64
	n := 0
	for i := range s.changes {
		if counts == nil || counts(1001+i) {
			n++
		}
	}
	for _, a := range s.calls {
		if a.reply.kind == Answered && (counts == nil || counts(a.agent)) {
			if done := a.since + a.reply.took; done <= s.now.Sub(origin) {
				at = append(at, done.Seconds())
			}
		}
	}
	slices.Sort(at)
	if k := int(math.Ceil(share*float64(n))) - 1; k < len(at) {
		return at[k]
	}
	return math.Inf(1)
}

// count returns how many calls of a kind arrived between two instants.
func (s *sim) count(from, to time.Duration, kinds ...Kind) int {
	n := 0
	for _, a := range s.calls {
		if a.since >= from && a.since < to && (len(kinds) == 0 || slices.Contains(kinds, a.reply.kind)) {
			n++
		}
	}
	return n
}

// first returns the seconds from an instant to the arrival of the first call after it that was answered.
func (s *sim) first(from time.Duration) float64 {
	for _, a := range s.calls {
		if a.since >= from && a.reply.kind == Answered {
			return (a.since - from).Seconds()
		}
	}
	return math.Inf(1)
}

// full returns the seconds from an instant until a tenth of a second holds that many answered calls.
func (s *sim) full(from time.Duration, perSecond float64) float64 {
	for at := from; at < from+30*time.Second; at += 10 * time.Millisecond {
		if float64(s.count(at, at+100*time.Millisecond, Answered)) >= perSecond/10 {
			return (at - from).Seconds()
		}
	}
	return math.Inf(1)
}

// most returns how many calls the fullest second holds.
func (s *sim) most() int {
	n, first := 0, 0
	for i, a := range s.calls {
		for a.since-s.calls[first].since >= time.Second {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}
