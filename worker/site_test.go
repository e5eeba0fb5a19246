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
	seq     uint64
	waiting map[uint64]*Delivery // what the stream of changes holds

	inbox  *Inbox
	stop   chan struct{}
	kill   context.CancelFunc
	over   chan struct{}
	hold   time.Duration
	tokens uint64
}

func newSite(t *testing.T, policy Policy) *site {
	t.Helper()
	s := &site{
		t: t, sessions: NewSessions(), journal: newBook(), gateway: newDesk(), epoch: time.Now().UnixNano(),
		waiting: map[uint64]*Delivery{},
	}
	s.journal.acked = func(seq uint64) { delete(s.waiting, seq) }
	s.worker = &Worker{
		Gateway: s.gateway, Sessions: s.sessions, Policy: policy, Log: slog.New(slog.DiscardHandler),
	}
	s.sessions.Synced(func(string) bool { return true })
	return s
}

// start begins a term: what is unfinished is delivered from the first message on, the ledgers are read back.
func (s *site) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.inbox, s.stop, s.kill, s.over = NewInbox(), make(chan struct{}), cancel, make(chan struct{})
	s.journal.revive()
	term := &Term{
		Journal: s.journal, Inbox: s.inbox, Epoch: s.epoch, LastSeq: s.seq, Unfinished: uint64(len(s.waiting)),
		Ledgers: s.journal.ledgers(s.t), Stop: s.stop,
	}
	if s.hold > 0 {
		term.HoldUntil = time.Now().Add(s.hold)
	}
	over := s.over
	go func() {
		defer close(over)
		s.worker.Run(ctx, term)
	}()
	for i, seq := range slices.Sorted(maps.Keys(s.waiting)) {
		d := *s.waiting[seq]
		s.tokens++
		d.Token[1], d.Pending = s.tokens, uint64(len(s.waiting)-1-i)
		s.inbox.Deliver([]Delivery{d})
	}
	synctest.Wait()
}

// crash ends the term at once: nothing that was under way is heard of again.
func (s *site) crash() {
	s.journal.die()
	s.kill()
	<-s.over
}

// finish ends the term cleanly.
func (s *site) finish() {
	close(s.stop)
	<-s.over
	s.kill()
}

// publish stores a message in the stream of changes and delivers it; it returns its sequence.
func (s *site) publish(body string, id ...string) uint64 {
	seq := s.store(body, id...)
	if s.inbox != nil {
		s.inbox.Deliver([]Delivery{*s.waiting[seq]})
	}
	synctest.Wait()
	return seq
}

func (s *site) store(body string, id ...string) uint64 {
	s.seq++
	s.tokens++
	name := strings.Join(id, "")
	d := &Delivery{Receipt: Receipt{Seq: s.seq, Stored: time.Now().UnixNano(), Token: [2]uint64{1, s.tokens}}, MsgID: name}
	if name == "" {
		name = strconv.FormatUint(s.seq, 10)
	}
	d.Message = messages.Decode([]byte(body), name)
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
	if len(s.waiting) > 0 {
		s.t.Errorf("the stream still holds the messages %v", slices.Sorted(maps.Keys(s.waiting)))
	}
}

// book is a journal in memory that keeps the promises of the real one: compare-and-set, and nothing heard of after a
// death but what was stored.
type book struct {
	mu        sync.Mutex
	records   []Record
	last      map[string]uint64
	letters   []DeadLetter
	summaries []messages.BatchSummary
	closed    map[BatchKey]bool
	acked     func(seq uint64)
	acks      []uint64
	dead      bool
	takes     time.Duration // to store a result
	failNext  int           // results whose acknowledgement is lost although they are stored
	age       int           // terms so far
}

func newBook() *book { return &book{last: map[string]uint64{}, closed: map[BatchKey]bool{}} }

func (b *book) revive() { b.mu.Lock(); b.dead = false; b.age++; b.mu.Unlock() }
func (b *book) die()    { b.mu.Lock(); b.dead = true; b.mu.Unlock() }

// later does what a server does after a while, unless the term has died.
func (b *book) later(f func()) {
	b.mu.Lock()
	age, takes := b.age, b.takes
	b.mu.Unlock()
	go func() {
		time.Sleep(takes)
		b.mu.Lock()
		gone := b.dead || age != b.age
		b.mu.Unlock()
		if !gone {
			f()
		}
	}()
}

var errStale = errors.New("wrong last sequence")

func (b *book) Store(rec Record, done func(uint64, error)) {
	rec.Ledger = slices.Clone(rec.Ledger)
	b.later(func() { done(b.store(rec)) })
}

func (b *book) store(rec Record) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	agent := rec.Result.AgentID
	if b.last[agent] != rec.Expect {
		return 0, errStale
	}
	b.records = append(b.records, rec)
	b.last[agent] = uint64(len(b.records))
	if b.failNext > 0 {
		b.failNext--
		return 0, errors.New("no answer")
	}
	return b.last[agent], nil
}

func (b *book) Reload(agent string, done func(Ledger)) {
	b.later(func() { done(b.ledger(agent)) })
}

func (b *book) ledger(agent string) Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	var l Ledger
	var force *InForce
	for i, rec := range b.records {
		if rec.Result.AgentID != agent {
			continue
		}
		if o := rec.Result.Outcome; o == messages.Applied || o == messages.Reapplied {
			force = &InForce{Pos: rec.Pos, Result: rec.Result}
		}
		if err := l.UnmarshalText(rec.Ledger); err != nil {
			panic(err)
		}
		l.Seq, l.Last, l.InForce = uint64(i+1), Last{rec.Pos, rec.Result.Outcome}, force
	}
	return l
}

func (b *book) ledgers(t *testing.T) map[string]Ledger {
	t.Helper()
	all := map[string]Ledger{}
	for agent := range b.last {
		all[agent] = b.ledger(agent)
	}
	return all
}

func (b *book) Bury(letter DeadLetter, done func()) {
	b.later(func() {
		b.mu.Lock()
		if !slices.ContainsFunc(b.letters, func(l DeadLetter) bool { return l.Pos == letter.Pos }) {
			b.letters = append(b.letters, letter)
		}
		b.mu.Unlock()
		done()
	})
}

func (b *book) Count(q BatchQuery, done func(BatchCount)) {
	b.later(func() {
		b.mu.Lock()
		c := BatchCount{UpTo: uint64(len(b.records)), Closed: b.closed[q.Key]}
		for _, rec := range b.records {
			if rec.Batch == q.Key {
				c.Summary.Count(rec.Result.Outcome)
			}
		}
		b.mu.Unlock()
		done(c)
	})
}

func (b *book) Summarise(q BatchQuery, sum messages.BatchSummary, done func()) {
	b.later(func() {
		b.mu.Lock()
		if !b.closed[q.Key] {
			b.closed[q.Key] = true
			b.summaries = append(b.summaries, sum)
		}
		b.mu.Unlock()
		done()
	})
}

func (b *book) Progress(BatchQuery, messages.BatchProgress) {}

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
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = func(Call) Answer { return a }
}
