package worker

import (
	"context"
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
	journal  *fakeJournal
	gateway  *fakeGateway

	incarnation int64
	earlier     []int64 // incarnations from before the stream was restored
	seq         uint64

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
		t: t, sessions: NewSessions(), journal: newFakeJournal(), gateway: newFakeGateway(), incarnation: time.Now().UnixNano(),
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
	unread := s.startUnread()
	for s.reading > 0 && len(unread) > 0 {
		s.pass(s.reading)
		s.inbox.Deliver(unread[:1])
		unread = unread[1:]
	}
	s.inbox.Deliver(unread) // at once: otherwise the scheduler would decide what is read together
	synctest.Wait()
}

// startUnread begins a term and returns what is to be delivered.
func (s *site) startUnread() []Delivery {
	ctx, cancel := context.WithCancel(context.Background())
	s.inbox, s.stop, s.kill, s.over = NewInbox(), make(chan struct{}), cancel, make(chan struct{})
	s.journal.revive()
	unfinished := s.held()
	term := &Term{
		Journal: s.journal, Inbox: s.inbox, Stream: ledger.Stream{Incarnation: s.incarnation, Earlier: s.earlier}, LastSeq: s.seq, Unfinished: uint64(len(unfinished)),
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
	s.earlier, s.incarnation = append(slices.Clone(s.earlier), s.incarnation), time.Now().UnixNano()
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

// agents signs so many agents in and returns their numbers.
func (s *site) agents(n int) []string {
	var all []string
	for i := range n {
		all = append(all, strconv.Itoa(1001+i))
		s.signIn(all[i], "g", uint64(i+1))
	}
	return all
}

// dawn is an instant for tests outside a bubble.
var dawn = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
