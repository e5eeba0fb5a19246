package daytest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// event is one result as it was stored.
type event struct {
	messages.Result
	stored time.Time
}

// ledger is what results have told so far, followed live.
type ledger struct {
	mu        sync.Mutex // guards what follows
	all       []event
	of        map[uint64][]event // by the sequence of the change message
	raw       []string
	summaries []messages.BatchSummary
	progress  []messages.BatchProgress
	published map[uint64]struct{}
	ended     map[place]int
	told      map[messages.Outcome]map[string]int // how many results of one outcome there are, by the id of the change
	last      uint64                              // sequence of the last of them
	bad       error
}

// place tells any two changes apart.
type place struct {
	seq   uint64
	index int
}

func followResults(s *site) *ledger {
	s.t.Helper()
	l := &ledger{
		of: map[uint64][]event{}, published: map[uint64]struct{}{}, ended: map[place]int{}, told: map[messages.Outcome]map[string]int{},
	}
	c, err := s.js.OrderedConsumer(s.t.Context(), s.names.ResultsStream(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	consuming, err := c.Consume(func(m jetstream.Msg) { l.take(s.names, m) })
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(consuming.Stop)
	return l
}

func (l *ledger) take(names messages.Names, m jetstream.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raw = append(l.raw, string(m.Data()))
	meta, err := m.Metadata()
	if err == nil {
		l.last = meta.Sequence.Stream
	}
	switch {
	case err != nil:
	case strings.HasPrefix(m.Subject(), names.Result("", "")[:len(names.Prefix)+len(".result.")]):
		e := event{stored: meta.Timestamp}
		if err = json.Unmarshal(m.Data(), &e.Result); err != nil {
			break
		}
		l.all = append(l.all, e)
		l.of[e.ChangeSeq] = append(l.of[e.ChangeSeq], e)
		if l.told[e.Outcome] == nil {
			l.told[e.Outcome] = map[string]int{}
		}
		l.told[e.Outcome][e.ChangeID]++
		if e.Outcome.Ends() {
			l.ended[place{e.ChangeSeq, e.ChangeIndex}]++
		}
	case strings.HasSuffix(m.Subject(), ".progress"):
		var p messages.BatchProgress
		err = json.Unmarshal(m.Data(), &p)
		l.progress = append(l.progress, p)
	default:
		var sum messages.BatchSummary
		err = json.Unmarshal(m.Data(), &sum)
		l.summaries = append(l.summaries, sum)
	}
	if l.bad == nil {
		l.bad = err
	}
}

func (l *ledger) expect(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published[seq] = struct{}{}
}

// heard returns the sequence of the last result so far.
func (l *ledger) heard() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// complete tells whether every message that was published has had an ending; cancels have none.
func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for seq := range l.published {
		if !slices.ContainsFunc(l.of[seq], func(e event) bool { return e.Outcome.Ends() }) {
			return false
		}
	}
	return true
}

// count returns how many results of one outcome there are about changes of these ids. It is asked again and again while a
// test waits, and must not take the processor from what it waits for.
func (l *ledger) count(o messages.Outcome, ids ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, id := range ids {
		n += l.told[o][id]
	}
	return n
}

// counts tells how many results of each outcome there are.
func (l *ledger) counts() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[messages.Outcome]int{}
	for _, e := range l.all {
		n[e.Outcome]++
	}
	return fmt.Sprint(n)
}

// numEnded returns how many changes have ended.
func (l *ledger) numEnded() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ended)
}

// noEnding says that a message has no ending of its own: it is a cancel.
func (l *ledger) noEnding(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.published, seq)
}

// pick returns the results of one outcome, of one message or, where seq is 0, of all.
func (l *ledger) pick(seq uint64, o messages.Outcome) []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := l.all
	if seq != 0 {
		from = l.of[seq]
	}
	var found []event
	for _, e := range from {
		if e.Outcome == o {
			found = append(found, e)
		}
	}
	return found
}

func (l *ledger) has(seq uint64, o messages.Outcome) bool { return len(l.pick(seq, o)) > 0 }

// ofAgent tells what became of an agent's changes, in order: "waiting c-1, applied c-1".
func (l *ledger) ofAgent(agent string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var told []string
	for _, e := range l.all {
		if e.AgentID == agent {
			told = append(told, string(e.Outcome)+" "+e.ChangeID)
		}
	}
	return strings.Join(told, ", ")
}

func (l *ledger) summariesOf(batch string) []messages.BatchSummary {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []messages.BatchSummary
	for _, s := range l.summaries {
		if s.BatchID == batch {
			found = append(found, s)
		}
	}
	return found
}

func (l *ledger) progressOf(batch string) []messages.BatchProgress {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []messages.BatchProgress
	for _, p := range l.progress {
		if p.BatchID == batch {
			found = append(found, p)
		}
	}
	return found
}

// audit holds, at the end of every test, what is promised always: no change ends twice, and no credential is told.
func (s *site) audit() {
	if s.t.Failed() {
		return
	}
	s.results.mu.Lock()
	defer s.results.mu.Unlock()
	if s.results.bad != nil {
		s.t.Errorf("a result that cannot be read: %v", s.results.bad)
	}
	for p, n := range s.results.ended {
		if n != 1 {
			s.t.Errorf("change %d of message %d ended %d times", p.index, p.seq, n)
		}
	}
	if found := s.guids.in(strings.Join(s.results.raw, "\n")); found != "" {
		s.t.Errorf("a result tells a credential: %s", found)
	}
	if found := s.guids.in(s.log.text()); found != "" {
		s.t.Errorf("the log tells a credential: %s", found)
	}
	if strings.Contains(s.log.text(), "DATA RACE") {
		s.t.Errorf("a worker's process has a data race:\n%s", s.log.text())
	}
}

// credentials are the GUIDs and cookies that were handed over.
type credentials struct {
	mu  sync.Mutex // guards what follows
	all map[string]struct{}
}

func (c *credentials) add(secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[string]struct{}{}
	}
	c.all[secret] = struct{}{}
}

// in returns the first word of a text that is a credential. Words are what GUIDs can be made of.
func (c *credentials) in(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" \"'=,;:[]{}()\n\t", r) }) {
		if _, ok := c.all[word]; ok {
			return word
		}
	}
	return ""
}
