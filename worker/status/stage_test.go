package status

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// stage is a server on a port of its own, with everything around it played by the test.
type stage struct {
	server   *Server
	worker   *actor
	owner    *actor // what this process hears from an owner elsewhere
	sessions *worker.Sessions
	url      string
	stop     context.CancelFunc

	mu        sync.Mutex // guards what follows
	role      Role
	replicas  []view.Replica
	connected bool
}

// actor plays a worker.
type actor struct {
	mu      sync.Mutex // guards what follows
	view    view.View
	agents  map[string]view.AgentView
	covered []view.Covered
	ok      bool
	stuck   bool // it answers nobody
	asked   int
}

func (a *actor) set(f func(a *actor)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

func (a *actor) View(ctx context.Context) (view.View, bool) {
	a.mu.Lock()
	a.asked++
	v, ok, stuck := a.view, a.ok, a.stuck
	a.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return view.View{}, false
	}
	v.At = time.Now()
	return v, ok
}

func (a *actor) Agent(_ context.Context, id string) (view.AgentView, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, known := a.agents[id]
	if !known {
		v.AgentID = id
	}
	return v, a.ok
}

func (a *actor) Covered(_ context.Context, q view.CoverageQuery) (page view.CoveragePage, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, c := range a.covered {
		switch {
		case q.State != view.NotCounted && c.State != q.State, !strings.HasPrefix(c.AgentID, q.Prefix), q.Batch != "" && c.BatchID != q.Batch,
			q.Reason != view.None && c.WaitsFor != q.Reason:
		case q.After != "" && c.AgentID <= q.After:
			page.Total++
		case len(page.Agents) == q.Limit:
			page.Total++
			page.More = true
		default:
			page.Total++
			page.Agents = append(page.Agents, a.covered[i])
		}
	}
	return page, a.ok
}

// newStage is a stage before it is opened: an owner, connected, who knows who is signed in.
func newStage() *stage {
	s := &stage{
		worker: &actor{ok: true}, owner: &actor{}, sessions: worker.NewSessions(), connected: true,
		role:     Role{Role: view.RoleOwner, Owner: "w1", Since: time.Now()},
		replicas: []view.Replica{{Name: "w1", Role: view.RoleOwner, Since: time.Now()}, {Name: "w2", Role: view.RoleStandby, Since: time.Now()}},
	}
	s.worker.view = view.View{Gate: view.GateState{State: "open", Rate: 50, Limit: 50}}
	s.sessions.Synced(func(string) bool { return true })
	s.server = &Server{
		Addr: "127.0.0.1:0", Name: "w1", Site: "idlepolicy", Worker: s.worker, Owner: s.owner, Sessions: s.sessions,
		Metrics: NewMetrics("v1.2.3"), Version: "v1.2.3", Log: slog.New(slog.DiscardHandler),
		Role: func() Role { s.mu.Lock(); defer s.mu.Unlock(); return s.role },
		Replicas: func(context.Context) []view.Replica {
			s.mu.Lock()
			defer s.mu.Unlock()
			return append([]view.Replica(nil), s.replicas...)
		},
		Connected: func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.connected },
	}
	return s
}

func (s *stage) set(f func(s *stage)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// open serves until the test ends.
func (s *stage) open(t *testing.T) *stage {
	t.Helper()
	if err := s.server.Listen(); err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + s.server.Address()
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	over := make(chan error, 1)
	go func() { over <- s.server.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks without following where an answer leads to.
func (s *stage) get(t *testing.T, path string) (code int, header http.Header, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

func result(o messages.Outcome, agent, id string, at time.Time) messages.Result {
	return messages.Result{
		Outcome: o, AgentID: agent, ChangeID: id, ChangeSeq: uint64(at.UnixNano()), Flag: "false",
		ReceivedAt: at.Add(-time.Second), EffectiveAt: at.Add(-time.Second), ValidUntil: at.Add(time.Hour), FinishedAt: at,
	}
}
