package trace

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

var quiet = slog.New(slog.DiscardHandler)

func TestStoryBecomesOneTrace(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL + "/", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b"}, quiet)
	start := time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
	tracer.Trace(traced(start))
	closed(t, tracer)
	if r := c.requests[0]; r.path != "/v1/traces" || r.header.Get("Api-Key") != "a b" ||
		r.header.Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("sent to %s with %v", r.path, r.header)
	}
	spans := c.spans()
	slices.SortStableFunc(spans, func(a, b *tracepb.Span) int { return cmp.Compare(a.GetStartTimeUnixNano(), b.GetStartTimeUnixNano()) })
	whole := spans[slices.IndexFunc(spans, func(s *tracepb.Span) bool { return s.GetName() == "idle policy change" })]
	if hex.EncodeToString(whole.GetParentSpanId()) != "b7ad6b7169203331" || whole.GetKind() != tracepb.Span_SPAN_KIND_CONSUMER ||
		whole.GetTraceState() != "vendor=1" || whole.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("the whole is %v", whole)
	}
	var got []string
	for _, s := range spans {
		if hex.EncodeToString(s.GetTraceId()) != "0af7651916cd43dd8448eb211c80319c" || len(s.GetSpanId()) != 8 ||
			bytes.Equal(s.GetSpanId(), s.GetParentSpanId()) {
			t.Errorf("another trace: %v", s)
		}
		if s == whole {
			continue
		}
		if !bytes.Equal(s.GetParentSpanId(), whole.GetSpanId()) || s.GetStartTimeUnixNano() < whole.GetStartTimeUnixNano() ||
			s.GetEndTimeUnixNano() > whole.GetEndTimeUnixNano() {
			t.Errorf("not within the whole: %v", s)
		}
		got = append(got, fmt.Sprint(s.GetName(), " ", millis(start, s.GetStartTimeUnixNano()), " ",
			millis(start, s.GetEndTimeUnixNano()), " ", int32(s.GetStatus().GetCode())))
	}
	want := []string{
		"wait for effective_at 0 1000 0", "wait for sign-in and turn 1000 1010 0", "call the gateway 1010 1030 2",
		"wait for another attempt 1030 1350 0", "call the gateway 1350 1390 0", "store the result 1390 1400 0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func millis(start time.Time, at uint64) int64 {
	return time.Unix(0, int64(at)).Sub(start).Milliseconds() //nolint:gosec // an instant of our own time
}

func closed(t *testing.T, tracer *Tracer) {
	t.Helper()
	if err := tracer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSpansSayWhatAndWho(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.URL + "/own/path", "OTEL_RESOURCE_ATTRIBUTES": "site=north,service.version=9",
	}, quiet)
	tracer.Trace(traced(time.Now()))
	closed(t, tracer)
	if path := c.requests[0].path; path != "/own/path" {
		t.Errorf("sent to %s", path)
	}
	who := textsOf(c.requests[0].batch.GetResourceSpans()[0].GetResource().GetAttributes())
	for name, want := range map[string]string{
		"service.name": "idleworker", "service.instance.id": "w1", "service.version": "9", "site": "north",
	} {
		if who[name] != want {
			t.Errorf("%s is %q, want %q", name, who[name], want)
		}
	}
	for _, s := range c.spans() {
		says := textsOf(s.GetAttributes())
		switch {
		case s.GetName() == "idle policy change" && (says["idlepolicy.outcome"] != "applied" ||
			says["idlepolicy.agent_id"] != "1001" || says["idlepolicy.attempts"] != "2"):
			t.Errorf("the whole says %v", says)
		case s.GetName() == "call the gateway" && says["http.response.status_code"] != "200":
			t.Errorf("the call says %v", says)
		}
	}
}

func textsOf(attributes []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch v := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.GetKey()] = strconv.FormatInt(v.IntValue, 10)
		}
	}
	return all
}

// A change whose publisher did not want it traced is not, and one that brings no trace gets one of its own.
func TestParentDecides(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, quiet)
	for _, parent := range []string{strings.TrimSuffix(parent, "1") + "0", "", "not a traceparent"} {
		s := traced(time.Now())
		s.TraceParent = parent
		tracer.Trace(s)
	}
	closed(t, tracer)
	own := map[string]bool{}
	for _, s := range c.spans() {
		if s.GetName() == "idle policy change" {
			own[hex.EncodeToString(s.GetTraceId())] = len(s.GetParentSpanId()) == 0
		}
	}
	if len(own) != 2 || own["0af7651916cd43dd8448eb211c80319c"] {
		t.Errorf("traces %v", own)
	}
}

func TestEndingsThatAreFaults(t *testing.T) {
	c := newCollector(t)
	tracer := open(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL}, quiet)
	s := traced(time.Now())
	s.Result.Outcome, s.Result.Message = messages.Expired, "too late"
	s.Attempts = s.Attempts[:1]
	s.Attempts[0].Answer = worker.Answer{Class: worker.Unsound, Fault: "timeout", Took: time.Second}
	tracer.Trace(s)
	closed(t, tracer)
	var said []string
	for _, s := range c.spans() {
		if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			said = append(said, s.GetName()+": "+s.GetStatus().GetMessage())
		}
	}
	slices.Sort(said)
	if want := []string{"call the gateway: timeout", "idle policy change: too late"}; !slices.Equal(said, want) {
		t.Errorf("faults %q", said)
	}
}
