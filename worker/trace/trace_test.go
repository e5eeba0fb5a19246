package trace

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

var quiet = slog.New(slog.DiscardHandler)

func TestStoryBecomesOneTrace(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL + "/", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b"}, quiet)
	start := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	tracer.Tell(story(start))
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.paths[0] != "/v1/traces" || c.headers[0].Get("Api-Key") != "a b" || c.headers[0].Get("Content-Type") != "application/json" {
		t.Errorf("sent to %s with %v", c.paths[0], c.headers[0])
	}
	spans := c.spans()
	slices.SortStableFunc(spans, func(a, b span) int { return strings.Compare(a.Start, b.Start) })
	whole := spans[slices.IndexFunc(spans, func(s span) bool { return s.Name == "idle policy change" })]
	if whole.ParentID != "b7ad6b7169203331" || whole.Kind != 5 || whole.TraceState != "vendor=1" || whole.Status.Code != 0 {
		t.Errorf("the whole is %+v", whole)
	}
	var got []string
	for _, s := range spans {
		if s.TraceID != "0af7651916cd43dd8448eb211c80319c" || s.SpanID == "" || s.SpanID == s.ParentID {
			t.Errorf("another trace: %+v", s)
		}
		if s.Name == whole.Name {
			continue
		}
		if s.ParentID != whole.SpanID || s.Start < whole.Start || s.End > whole.End {
			t.Errorf("not within the whole: %+v", s)
		}
		got = append(got, s.Name+" "+strconv.Itoa(s.millis(t, start, s.Start))+" "+strconv.Itoa(s.millis(t, start, s.End))+
			" "+strconv.Itoa(s.Status.Code))
	}
	want := []string{
		"wait for effective_at 0 1000 0", "wait for sign-in and turn 1000 1010 0", "call the gateway 1010 1030 2",
		"wait for another attempt 1030 1350 0", "call the gateway 1350 1390 0", "store the result 1390 1400 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (s span) millis(t *testing.T, start time.Time, at string) int {
	t.Helper()
	ns, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(time.Unix(0, ns).Sub(start).Milliseconds())
}

func TestSpansSayWhatAndWho(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL + "/own/path", "OTEL_RESOURCE_ATTRIBUTES": "site=north,service.version=9",
	}, quiet)
	tracer.Tell(story(time.Now()))
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.paths[0] != "/own/path" {
		t.Errorf("sent to %s", c.paths[0])
	}
	r := c.batches[0].ResourceSpans[0]
	for _, want := range [][2]string{
		{"service.name", "idleworker"}, {"service.instance.id", "w1"}, {"service.version", "9"}, {"site", "north"},
	} {
		if got := textOf(r.Resource.Attributes, want[0]); got != want[1] {
			t.Errorf("%s is %q, want %q", want[0], got, want[1])
		}
	}
	for _, s := range c.spans() {
		switch {
		case s.Name == "idle policy change" && (textOf(s.Attributes, "idlepolicy.outcome") != "applied" ||
			textOf(s.Attributes, "idlepolicy.agent_id") != "1001" || textOf(s.Attributes, "idlepolicy.attempts") != "2"):
			t.Errorf("the whole says %v", s.Attributes)
		case s.Name == "call the gateway" && textOf(s.Attributes, "http.response.status_code") != "200":
			t.Errorf("the call says %v", s.Attributes)
		}
	}
}

func textOf(all []pair, key string) string {
	for _, p := range all {
		if p.Key == key {
			for _, kind := range []string{"stringValue", "intValue"} {
				if text, ok := p.Value[kind].(string); ok {
					return text
				}
			}
		}
	}
	return ""
}

// A change whose publisher did not want it traced is not, and one that brings no trace gets one of its own.
func TestParentDecides(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, quiet)
	for _, parent := range []string{strings.TrimSuffix(parent, "1") + "0", "", "not a traceparent"} {
		s := story(time.Now())
		s.TraceParent = parent
		tracer.Tell(s)
	}
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, s := range c.spans() {
		if s.Name == "idle policy change" {
			own[s.TraceID] = s.ParentID == ""
		}
	}
	if len(own) != 2 || own["0af7651916cd43dd8448eb211c80319c"] {
		t.Errorf("traces %v", own)
	}
}

func TestEndingsThatAreFaults(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, quiet)
	s := story(time.Now())
	s.Result.Outcome, s.Result.Message = messages.Expired, "too late"
	s.Attempts = s.Attempts[:1]
	s.Attempts[0].Answer = worker.Answer{Class: worker.Unsound, Fault: "timeout", Took: time.Second}
	tracer.Tell(s)
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, s := range c.spans() {
		if s.Status.Code == 2 {
			said = append(said, s.Name+": "+s.Status.Message)
		}
	}
	slices.Sort(said)
	if want := []string{"call the gateway: timeout", "idle policy change: too late"}; !slices.Equal(said, want) {
		t.Errorf("faults %q", said)
	}
}

func TestLostSpansAreTold(t *testing.T) {
	c := newCollector(t)
	c.status = http.StatusServiceUnavailable
	var log bytes.Buffer
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, slog.New(slog.NewTextHandler(&log, nil)))
	tracer.Tell(story(time.Now()))
	err := tracer.Close(t.Context())
	if text := log.String(); err == nil && !strings.Contains(text, "503 Service Unavailable") {
		t.Errorf("logged %q", text)
	}
}
