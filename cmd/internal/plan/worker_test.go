package plan_test

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/plan/steps"
	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
)

// memory is what stands around a worker in virtual time: a gateway that obeys, and a journal that stores results.
type memory struct {
	t *testing.T

	mu      sync.Mutex // guards what follows
	flags   map[string]string
	calls   int
	last    map[string]uint64 // sequence of each agent's last result
	results []worker.Record
	acks    int
}

func (m *memory) Set(_ context.Context, call worker.Call) worker.Answer {
	time.Sleep(5 * time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flags[call.AgentID] = call.Flag
	m.calls++
	return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success", Status: 200}
}

func (m *memory) Store(rec worker.Record, done func(uint64, worker.Kept, error)) {
	m.mu.Lock()
	agent, err := rec.Result.AgentID, error(nil)
	if m.last[agent] != rec.Expect {
		err = worker.ErrConflict
	} else {
		rec.Ledger = slices.Clone(rec.Ledger)
		m.results = append(m.results, rec)
		m.last[agent] = uint64(len(m.results))
	}
	seq := m.last[agent]
	m.mu.Unlock()
	go done(seq, worker.KeptWhole, err)
}

func (m *memory) Count(q worker.BatchQuery, done func(worker.BatchCount)) {
	m.mu.Lock()
	c := worker.BatchCount{UpTo: uint64(len(m.results))}
	for _, rec := range m.results {
		if rec.Batch == q.Key && rec.Result.Outcome.Ends() {
			c.Endings = append(c.Endings, worker.Ending{Pos: rec.Pos, Stored: rec.Result.ReceivedAt.UnixNano(), Outcome: rec.Result.Outcome})
		}
	}
	m.mu.Unlock()
	go done(c)
}

func (m *memory) Summarise(_ worker.BatchQuery, _ messages.BatchSummary, done func()) { go done() }

func (m *memory) Progress(_ worker.BatchQuery, _ messages.BatchProgress, done func()) { go done() }

func (m *memory) Reload(agent string, _ func(ledger.Ledger)) {
	m.t.Errorf("the ledger of %s is read again, and nobody else writes", agent)
}

func (m *memory) Bury(letter worker.DeadLetter, done func(worker.Kept)) {
	m.t.Errorf("a change of %s failed: %+v", letter.Agent, letter.Result)
	go done(worker.KeptWhole)
}

func (m *memory) Ack(worker.Receipt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks++
}

func (m *memory) flag(agent string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flags[agent]
}

// inbox hands what a plan publishes to a worker.
type inbox struct {
	*store
	inbox *worker.Inbox
	seq   uint64
}

func (s *inbox) deliver(p *plan.Plan) error {
	if err := s.apply(p, time.Now()); err != nil {
		return err
	}
	for _, m := range s.bodies {
		s.seq++
		d := worker.Delivery{Receipt: worker.Receipt{Seq: s.seq, Stored: time.Now().UnixNano(), Token: [2]uint64{1, s.seq}}, MsgID: m.ID}
		d.Message = messages.Decode(m.Body, m.ID)
		s.inbox.Deliver([]worker.Delivery{d})
	}
	return nil
}

// brought moves a plan to the near future, and shortens the time in which nothing begins and nothing ends.
func brought(p *plan.Plan, first int64) *plan.Plan {
	const longest = 2 * 3600
	var all []int64
	for _, of := range p.Agents {
		for _, s := range of {
			if all = append(all, s.Start); s.End != steps.Open {
				all = append(all, s.End)
			}
		}
	}
	slices.Sort(all)
	to := map[int64]int64{steps.Open: steps.Open}
	for i, at := range all {
		if i > 0 {
			first += min(at-all[i-1], longest)
		}
		to[at] = first
	}
	moved := *p
	moved.Agents = map[string][]steps.Step{}
	for agent, of := range p.Agents {
		for _, s := range of {
			s.Start, s.End = to[s.Start], to[s.End]
			moved.Agents[agent] = append(moved.Agents[agent], s)
		}
	}
	return &moved
}

// Applied through the real worker, in virtual time, each agent has at the gateway what the schedule says: at ten random instants, a
// second after each step begins and a second before it ends.
func TestSamplesThroughTheWorker(t *testing.T) {
	for _, name := range sampleNames(t) {
		t.Run(name, func(t *testing.T) {
			read := sample(t, name)
			synctest.Test(t, func(t *testing.T) {
				p := brought(read, time.Now().Unix()+3600)
				m := &memory{t: t, flags: map[string]string{}, last: map[string]uint64{}}
				w := &worker.Worker{Gateway: m, Sessions: worker.NewSessions(), Log: slog.New(slog.DiscardHandler)}
				agents := slices.Sorted(maps.Keys(p.Agents))
				for i, agent := range agents {
					w.Sessions.Put(agent, messages.Session{GUID: "guid", SignedInAt: time.Now()}, uint64(i+1))
				}
				w.Sessions.Synced(func(string) bool { return true })
				in := &inbox{store: newStore(t), inbox: worker.NewInbox()}
				stop := make(chan struct{})
				var running sync.WaitGroup
				running.Go(func() {
					w.Run(t.Context(), &worker.Term{Journal: m, Inbox: in.inbox, Stream: ledger.Stream{Incarnation: 1}, Ledgers: map[string]*ledger.Ledger{}, Stop: stop})
				})
				if err := in.deliver(p); err != nil {
					t.Fatal(err)
				}
				check(t, p, m)
				close(stop)
				running.Wait()
				if m.calls != read.Counts.Steps || m.acks == 0 {
					t.Errorf("%d calls for %d steps, %d messages acknowledged", m.calls, read.Counts.Steps, m.acks)
				}
			})
		})
	}
}

// check looks at the gateway's flags as time passes.
func check(t *testing.T, p *plan.Plan, m *memory) {
	t.Helper()
	type look struct {
		at    time.Time
		agent string
		flag  string
	}
	r := rand.New(rand.NewPCG(3, 4))
	var looks []look
	for agent, all := range p.Agents {
		for _, s := range all {
			end := min(s.End, s.Start+3600)
			for _, at := range []int64{s.Start + 1, end - 1} {
				looks = append(looks, look{time.Unix(at, 0), agent, s.Flag})
			}
		}
		for range 10 {
			s := all[r.IntN(len(all))]
			looks = append(looks, look{time.Unix(s.Start+1+r.Int64N(min(s.End, s.Start+3600)-s.Start-1), 0), agent, s.Flag})
		}
	}
	slices.SortFunc(looks, func(a, b look) int { return a.at.Compare(b.at) })
	for _, l := range looks {
		time.Sleep(time.Until(l.at))
		synctest.Wait()
		if got := m.flag(l.agent); got != l.flag {
			t.Errorf("agent %s has flag %q at %v, want %q", l.agent, got, l.at.UTC(), l.flag)
		}
	}
}
