package trace

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// collector takes spans as a real one does.
type collector struct {
	*httptest.Server
	status int

	mu      sync.Mutex // guards what follows
	batches []batch
	headers []http.Header
	paths   []string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{status: http.StatusOK}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b batch
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.batches, c.headers, c.paths = append(c.batches, b), append(c.headers, r.Header), append(c.paths, r.URL.Path)
		w.WriteHeader(c.status)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) spans() (all []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		for _, r := range b.ResourceSpans {
			for _, s := range r.ScopeSpans {
				all = append(all, s.Spans...)
			}
		}
	}
	return all
}

// plainEnvironment takes away what the machine says about traces, and sets what a test wants.
func plainEnvironment(t *testing.T, want map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range want {
		t.Setenv(name, value)
	}
}

func open(t *testing.T, environment map[string]string, log *slog.Logger) *Tracer {
	t.Helper()
	plainEnvironment(t, environment)
	tracer, err := FromEnvironment(t.Context(), "w1", "v1.2.3", log)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// story is a change that waited a second, was refused once, and was applied.
func story(start time.Time) *worker.Story {
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	return &worker.Story{
		TraceParent: parent, TraceState: "vendor=1", Stored: at(1400),
		Result: &messages.Result{
			Outcome: messages.Applied, AgentID: "1001", ChangeID: "c-1", Flag: "false", BatchID: "late-7", Attempts: 2,
			ReceivedAt: at(0), EffectiveAt: at(1000), FinishedAt: at(1390),
		},
		Attempts: []worker.Attempt{
			{Sent: at(1010), Answer: worker.Answer{Class: worker.Passing, Retcode: "100-007", Message: "no", Status: 200, Took: 20 * time.Millisecond}},
			{Sent: at(1350), Answer: worker.Answer{Class: worker.Success, Retcode: "0", Status: 200, Took: 40 * time.Millisecond}},
		},
	}
}
