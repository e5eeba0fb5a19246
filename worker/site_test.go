package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/ledger"
)

// site is a whole site in one bubble of virtual time: the worker under test, a journal and a gateway in memory. What
// survives a crash is in journal and waiting; everything else dies with the term.
type site struct {
	t        *testing.T
	worker   *Worker
	sessions *Sessions
	journal  *book
	gateway  *desk

	epoch   int64
	earlier []int64 // epochs from before the stream was restored
	seq     uint64

	mu      sync.Mutex           // guards waiting
	waiting map[uint64]*Delivery // what the stream of changes holds

	inbox   *Inbox // nil: no term was begun yet, or the last one is over
	stop    chan struct{}
	kill    context.CancelFunc
	over    chan struct{}
	hold    time.Duration // after a takeover
	holdAll bool          // the owner before was waiting for the end of its own hold
	reading time.Duration // from one message to the next as a term begins
	ahead   time.Duration // of our clock is the stream's
	tokens  uint64
}

func newSite(t *testing.T, policy Policy) *site {
	t.Helper()
	s := &site{
		t: t, sessions: NewSessions(), journal: newBook(), gateway: newDesk(), epoch: time.Now().UnixNano(),
		waiting: map[uint64]*Delivery{},
	}
	s.journal.acked = func(seq uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, seq)
	}
	s.journal.holds = func(seq uint64, stored time.Time) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		d := s.waiting[seq]
		return d != nil && d.Stored == stored.UnixNano()
	}
	s.worker = &Worker{
		Gateway: s.gateway, Sessions: s.sessions, Policy: policy, Log: slog.New(slog.DiscardHandler),
	}
	s.sessions.Synced(func(string) bool { return true })
	return s
}

// start begins a term: what is unfinished is delivered from the first message on, the ledgers are read back.
func (s *site) start() {
	for _, d := range s.startUnread() {
		if s.reading > 0 {
			s.pass(s.reading)
		}
		s.inbox.Deliver([]Delivery{d})
	}
	synctest.Wait()
}

// startUnread begins a term and returns what is to be delivered.
func (s *site) startUnread() []Delivery {
	ctx, cancel := context.WithCancel(context.Background())
	s.inbox, s.stop, s.kill, s.over = NewInbox(), make(chan struct{}), cancel, make(chan struct{})
	s.journal.revive()
	unfinished := s.held()
	term := &Term{
		Journal: s.journal, Inbox: s.inbox, Stream: ledger.Stream{Incarnation: s.epoch, Earlier: s.earlier}, LastSeq: s.seq, Unfinished: uint64(len(unfinished)),
		Ledgers: s.journal.ledgers(s.t), Stop: s.stop,
	}
	if s.hold > 0 {
		term.HoldUntil = time.Now().Add(s.hold)
	}
	term.HoldAll = s.holdAll
	over := s.over
	go func() {
		defer close(over)
		s.worker.Run(ctx, term)
	}()
	for i := range unfinished {
		s.tokens++
		unfinished[i].Token[1], unfinished[i].Pending = s.tokens, uint64(len(unfinished)-1-i)
	}
	return unfinished
}

// held returns what the stream of changes holds.
func (s *site) held() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []Delivery
	for _, seq := range slices.Sorted(maps.Keys(s.waiting)) {
		held = append(held, *s.waiting[seq])
	}
	return held
}

// restored has the stream of changes live on under another creation time, with what it holds.
func (s *site) restored() {
	s.pass(time.Nanosecond)
	s.earlier, s.epoch = append(slices.Clone(s.earlier), s.epoch), time.Now().UnixNano()
}

// crash ends the term at once: nothing that was under way is heard of again.
func (s *site) crash() {
	s.journal.die()
	s.kill()
	<-s.over
	s.inbox = nil
}

// finish ends the term cleanly.
func (s *site) finish() {
	close(s.stop)
	<-s.over
	s.kill()
	s.inbox = nil
}

// inside has f look at the event loop from within.
func (s *site) inside(f func(l *loop)) {
	s.t.Helper()
	if !s.worker.ask(context.Background(), f) {
		s.t.Error("no term is running")
	}
	synctest.Wait()
}

// publish stores a message in the stream of changes and delivers it; it returns its sequence.
func (s *site) publish(body string, id ...string) uint64 {
	seq := s.store(body, id...)
	if s.inbox != nil {
		held := s.held()
		s.inbox.Deliver(held[len(held)-1:])
	}
	synctest.Wait()
	return seq
}

func (s *site) store(body string, id ...string) uint64 {
	s.seq++
	s.tokens++
	name := strings.Join(id, "")
	d := &Delivery{Receipt: Receipt{Seq: s.seq, Stored: time.Now().Add(s.ahead).UnixNano(), Token: [2]uint64{1, s.tokens}}, MsgID: name}
	if name == "" {
		name = strconv.FormatUint(s.seq, 10)
	}
	d.Message = messages.Decode([]byte(body), name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[s.seq] = d
	return s.seq
}

func (s *site) signIn(agent, guid string, rev uint64) {
	s.sessions.Put(agent, messages.Session{GUID: guid, SignedInAt: time.Now()}, rev)
	synctest.Wait()
}

// rotate gives an agent a new GUID in the session it has.
func (s *site) rotate(agent, guid string, rev uint64) {
	old, _ := s.sessions.Of(agent)
	next := old.Session
	next.GUID = guid
	s.sessions.Put(agent, next, rev)
	synctest.Wait()
}

// pass lets virtual time pass.
func (s *site) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// told returns the results so far, each as "outcome agent change flag".
func (s *site) told() []string {
	var told []string
	for _, r := range s.journal.all() {
		told = append(told, fmt.Sprintf("%s %s %s", r.Outcome, r.AgentID, r.ChangeID))
	}
	return told
}

func (s *site) wantTold(want ...string) {
	s.t.Helper()
	if got := s.told(); !slices.Equal(got, want) {
		s.t.Errorf("results:\n got %q\nwant %q", got, want)
	}
}

func (s *site) wantCalls(want ...string) {
	s.t.Helper()
	if got := s.gateway.made(); !slices.Equal(got, want) {
		s.t.Errorf("calls:\n got %q\nwant %q", got, want)
	}
}

func (s *site) wantNothingWaiting() {
	s.t.Helper()
	for _, d := range s.held() {
		s.t.Errorf("the stream still holds message %d", d.Seq)
	}
}

// book is a journal in memory that keeps the promises of the real one: compare-and-set, and nothing heard of after a
// death but what was stored.
type book struct {
	mu        sync.Mutex
	records   []Record
	at        []time.Time  // when the records were stored
	late      map[int]bool // of the records those that came after their term had died
	last      map[string]uint64
	letters   []DeadLetter
	buried    map[ledger.Position]bool // those that have one
	stuck     bool                     // letters are under way for ever
	refuses   func(agent string) bool  // whose results are refused; nil: nobody's
	gives     func(agent string) Kept  // in what form letters are kept; nil: whole
	deaf      func(agent string) bool  // whose letters are under way for ever; nil: nobody's
	summaries []messages.BatchSummary
	summed    []BatchKey            // whose summaries these are
	opened    map[string]BatchQuery // the generations of batches over several messages that were begun last
	before    map[string]Cursor     // the last messages of those that were summed up last
	progress  []messages.BatchProgress
	acked     func(seq uint64)
	holds     func(seq uint64, stored time.Time) bool
	acks      []uint64
	dead      bool
	takes     time.Duration // to store a result
	answers   time.Duration // so long after a result was stored the worker learns of it
	tells     time.Duration // to store progress
	outOfTurn bool          // progress of a batch was stored after its summary
	countsFor time.Duration // after it was looked up a count is on its way that long
	lingers   time.Duration // so long after a death what was on its way arrives nevertheless; 0: it is lost
	failNext  int           // results whose acknowledgement is lost although they are stored
	age       int           // terms so far
}

func newBook() *book {
	return &book{last: map[string]uint64{}, opened: map[string]BatchQuery{}, before: map[string]Cursor{}, late: map[int]bool{}, buried: map[ledger.Position]bool{}}
}

// set changes how the journal goes on.
func (b *book) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *book) revive() { b.mu.Lock(); b.dead = false; b.age++; b.mu.Unlock() }
func (b *book) die()    { b.mu.Lock(); b.dead = true; b.mu.Unlock() }

// later does what a server does after a while, and tells the worker of it, unless the term has died.
func (b *book) later(do func() (tell func())) {
	b.mu.Lock()
	age, takes, lingers := b.age, b.takes, b.lingers
	b.mu.Unlock()
	gone := func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.dead || age != b.age
	}
	go func() {
		time.Sleep(takes)
		dead := gone()
		if dead && lingers == 0 {
			return
		}
		if dead {
			time.Sleep(lingers)
		}
		if tell := do(); !dead && !gone() {
			tell()
		}
	}()
}

func (b *book) Store(rec Record, done func(uint64, Kept, error)) {
	rec.Ledger = slices.Clone(rec.Ledger)
	b.mu.Lock()
	age, answers := b.age, b.answers
	b.mu.Unlock()
	b.later(func() func() {
		seq, err := b.store(rec, age)
		time.Sleep(answers)
		return func() { done(seq, KeptWhole, err) }
	})
}

func (b *book) store(rec Record, age int) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	agent := rec.Result.AgentID
	if b.refuses != nil && b.refuses(agent) {
		return 0, errors.New("maximum payload exceeded")
	}
	if b.last[agent] != rec.Expect {
		return 0, ErrConflict
	}
	b.late[len(b.records)] = b.dead || age != b.age
	b.records, b.at = append(b.records, rec), append(b.at, time.Now())
	b.last[agent] = uint64(len(b.records))
	if b.failNext > 0 {
		b.failNext--
		return 0, errors.New("no answer")
	}
	return b.last[agent], nil
}

func (b *book) Reload(agent string, done func(ledger.Ledger)) {
	b.later(func() func() {
		l := b.ledger(agent)
		return func() { done(l) }
	})
}

func (b *book) ledger(agent string) ledger.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	var l ledger.Ledger
	var force *ledger.InForce
	for i, rec := range b.records {
		if rec.Result.AgentID != agent {
			continue
		}
		if o := rec.Result.Outcome; o == messages.Applied || o == messages.Reapplied {
			force = &ledger.InForce{Pos: rec.Pos, Result: rec.Result}
		}
		if err := l.UnmarshalText(rec.Ledger); err != nil {
			panic(err) // this goroutine is not the test's
		}
		l.Seq, l.Last, l.InForce = uint64(i+1), ledger.Last{Pos: rec.Pos, Outcome: rec.Result.Outcome}, force
	}
	return l
}

func (b *book) ledgers(t *testing.T) map[string]ledger.Ledger {
	t.Helper()
	all := map[string]ledger.Ledger{}
	b.mu.Lock()
	agents := slices.Collect(maps.Keys(b.last))
	b.mu.Unlock()
	for _, agent := range agents {
		all[agent] = b.ledger(agent)
	}
	return all
}

func (b *book) Bury(letter DeadLetter, done func(Kept)) {
	b.mu.Lock()
	deaf, kept := b.stuck || b.deaf != nil && b.deaf(letter.Agent), KeptWhole
	if b.gives != nil {
		kept = b.gives(letter.Agent)
	}
	b.mu.Unlock()
	if deaf {
		return // until the term is over
	}
	told := func() { done(kept) }
	b.later(func() func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if letter.Unread && !b.holds(letter.Pos.Seq, b.records[letter.Seq-1].Result.ReceivedAt) {
			return told
		}
		if !b.buried[letter.Pos] && kept != KeptNot {
			b.letters = append(b.letters, letter)
		}
		b.buried[letter.Pos] = true
		return told
	})
}

func (b *book) Count(q BatchQuery, done func(BatchCount)) {
	b.mu.Lock()
	countsFor := b.countsFor
	b.mu.Unlock()
	b.later(func() func() {
		c := b.count(q)
		time.Sleep(countsFor)
		return func() { done(c) }
	})
}

// count counts as the real one does: a batch over several messages goes on until its summary, after which its ID serves
// for another generation.
func (b *book) count(q BatchQuery) BatchCount {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := BatchCount{UpTo: uint64(len(b.records)), Before: b.before[q.Key.ID]}
	if q.Key.Seq != 0 {
		c.Before, c.Closed = Cursor{}, slices.Contains(b.summed, q.Key)
	}
	for _, rec := range b.records {
		known := rec.Pos.Incarnation == c.Before.Pos.Incarnation && rec.Pos.Seq <= c.Before.Pos.Seq
		if rec.Batch == q.Key && rec.Result.Outcome.Ends() && !known {
			c.Endings = append(c.Endings, Ending{rec.Pos, rec.Result.ReceivedAt.UnixNano(), rec.Result.Outcome})
		}
	}
	if q.Key.Seq != 0 || c.Before.Covers(q.First()) {
		return c
	}
	sofar := c.Count()
	if opened, ok := b.opened[q.Key.ID]; ok && !c.Before.Covers(opened.First()) && sofar.Ended() > 0 {
		c.Started = opened.Since
	} else {
		b.opened[q.Key.ID] = q
	}
	return c
}

func (b *book) Summarise(q BatchQuery, sum messages.BatchSummary, done func()) {
	b.later(func() func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		known := q.Key.Seq != 0 && slices.Contains(b.summed, q.Key) || q.Key.Seq == 0 && b.before[q.Key.ID].Covers(q.Last)
		if !known {
			b.summaries, b.summed = append(b.summaries, sum), append(b.summed, q.Key)
		}
		if q.Key.Seq == 0 {
			b.before[q.Key.ID] = later(q.Last, b.before[q.Key.ID])
		}
		return done
	})
}

func (b *book) Progress(_ BatchQuery, p messages.BatchProgress, done func()) {
	b.mu.Lock()
	tells := b.tells
	b.mu.Unlock()
	b.later(func() func() {
		time.Sleep(tells)
		b.set(func() {
			b.progress = append(b.progress, p)
			for _, sum := range b.summaries {
				b.outOfTurn = b.outOfTurn || sum.BatchID == p.BatchID && sum.StartedAt.Equal(p.StartedAt)
			}
		})
		return done
	})
}

// progressTold is how often progress was told so far.
func (b *book) progressTold() (n int) {
	b.set(func() { n = len(b.progress) })
	return n
}

func (b *book) Ack(r Receipt) {
	b.acks = append(b.acks, r.Seq)
	b.acked(r.Seq)
}

func (b *book) all() []messages.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []messages.Result
	for _, rec := range b.records {
		all = append(all, rec.Result)
	}
	return all
}

// desk is a gateway in memory.
type desk struct {
	mu     sync.Mutex
	calls  []string
	at     []time.Time
	flags  map[string]string
	answer func(Call) Answer // nil: success
	takes  time.Duration
	busy   map[string]bool
	twice  bool // two calls were under way for one agent
}

func newDesk() *desk { return &desk{flags: map[string]string{}, busy: map[string]bool{}} }

func (d *desk) Set(ctx context.Context, c Call) Answer {
	if ctx.Err() != nil {
		return Answer{Class: NotSent, Fault: "the term is over"}
	}
	d.mu.Lock()
	d.calls = append(d.calls, c.AgentID+" "+c.Flag+" "+c.Session.GUID)
	d.at = append(d.at, time.Now())
	d.twice = d.twice || d.busy[c.AgentID]
	d.busy[c.AgentID] = true
	takes, answer := d.takes, d.answer
	d.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	a := Answer{Class: Success, Retcode: "0", Message: "success"}
	if answer != nil {
		a = answer(c)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy[c.AgentID] = false
	if a.Class == Success {
		d.flags[c.AgentID] = c.Flag
	}
	return a
}

func (d *desk) made() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

func (d *desk) reply(a Answer) {
	d.set(func() { d.answer = func(Call) Answer { return a } })
}

// set changes how the gateway goes on.
func (d *desk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// agents signs so many agents in and returns their numbers.
func (s *site) agents(n int) []string {
	var all []string
	for i := range n {
		all = append(all, strconv.Itoa(1001+i))
		s.signIn(all[i], "g", uint64(i+1))
	}
	return all
}

// mostIn returns how many of the instants the fullest window holds.
func mostIn(calls []time.Time, window time.Duration) int {
	n, first := 0, 0
	for i, at := range calls {
		for at.Sub(calls[first]) >= window {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// between returns how many of the instants are not before from and before to.
func between(calls []time.Time, from, to time.Time) int {
	n := 0
	for _, at := range calls {
		n += number(!at.Before(from) && at.Before(to))
	}
	return n
}

// dawn is an instant for tests outside a bubble.
var dawn = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
