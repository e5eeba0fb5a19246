package trace

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// collector takes spans as a real one does.
type collector struct {
	*httptest.Server

	mu       sync.Mutex // guards what follows
	answer   http.HandlerFunc
	requests []request
}

// request is one batch and how it came.
type request struct {
	path   string
	header http.Header
	batch  *collectorpb.ExportTraceServiceRequest
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := unstarted(t)
	c.Start()
	return c
}

func newSecureCollector(t *testing.T) *collector {
	t.Helper()
	c := unstarted(t)
	c.StartTLS()
	return c
}

func unstarted(t *testing.T) *collector {
	t.Helper()
	c := &collector{answer: func(http.ResponseWriter, *http.Request) {}}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		batch, err := read(r)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.requests = append(c.requests, request{r.URL.Path, r.Header, batch})
		c.answer(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

func read(r *http.Request) (*collectorpb.ExportTraceServiceRequest, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = unpacked
	}
	all, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	batch := &collectorpb.ExportTraceServiceRequest{}
	return batch, proto.Unmarshal(all, batch)
}

// answers sets what the collector says from now on.
func (c *collector) answers(status int, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, status) }
}

func (c *collector) spans() (all []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.requests {
		for _, of := range r.batch.GetResourceSpans() {
			for _, s := range of.GetScopeSpans() {
				all = append(all, s.GetSpans()...)
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

// traced is a change that waited a second, was refused once, and was applied.
func traced(start time.Time) *worker.Trace {
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	return &worker.Trace{
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
