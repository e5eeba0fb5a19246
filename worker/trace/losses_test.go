package trace

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// However many batches are lost one after the other, the log has one line that says so, and one when it is over.
func TestLossesAreToldOnce(t *testing.T) {
	c := newCollector(t)
	c.answers(http.StatusBadRequest, "no, not with hush-hush or hush%20hush "+strings.Repeat("é", longest))
	var log bytes.Buffer
	tracer := open(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hush-hush",
	}, slog.New(slog.NewTextHandler(&log, nil)))
	tell := func() {
		t.Helper()
		tracer.Trace(traced(time.Now()))
		if err := tracer.provider.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	tell()
	tell()
	c.answers(http.StatusOK, "")
	tell()
	tell()
	closed(t, tracer)
	text := log.String()
	if n := strings.Count(text, "400 Bad Request"); n != 1 {
		t.Errorf("told %d times", n)
	}
	if n := strings.Count(text, "lost_batches=2"); n != 1 || strings.Count(text, "\n") != 2 {
		t.Errorf("the end is told %d times", n)
	}
	if strings.Contains(text, "hush-hush") || len(text) > 2*longest+300 {
		t.Error("the log shows a credential or all of the answer")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestCollectorThatIsAwayIsTold(t *testing.T) {
	c := newCollector(t)
	c.Close()
	var log bytes.Buffer
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, slog.New(slog.NewTextHandler(&log, nil)))
	tracer.Trace(traced(time.Now()))
	closed(t, tracer)
	if text := log.String(); !strings.Contains(text, "connection refused") {
		t.Errorf("logged %q", text)
	}
}
