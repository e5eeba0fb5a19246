package service

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// One trace goes from the publisher through the worker to the gateway and into the result.
func TestOneTraceFromPublisherToResult(t *testing.T) {
	var mu sync.Mutex
	var sent strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&sent, r.Body)
	}))
	t.Cleanup(collector.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json") // the form that can be read here
	s := newSite(t)
	stop := s.start()
	s.isOwner()
	js := s.connect()
	session := s.signIn(js, "1001")
	const trace = "0af7651916cd43dd8448eb211c80319c"
	header := nats.Header{"traceparent": {"00-" + trace + "-b7ad6b7169203331-01"}}
	s.publish(js, `{"agent_id": "1001", "flag": "false", "id": "c-1"}`, header)
	result := s.result(js, messages.Applied, "1001")
	stop()
	if got := result.Header["traceparent"]; len(got) != 1 || !strings.Contains(got[0], trace) {
		t.Errorf("the result's traceparent is %v", got)
	}
	if got := s.gateway.Calls()[0].Header.Get("Traceparent"); !strings.Contains(got, trace) {
		t.Errorf("the call's traceparent is %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	spans := sent.String()
	for _, want := range []string{
		`"idle policy change"`, `"wait for sign-in and turn"`, `"call the gateway"`, `"store the result"`,
	} {
		if !strings.Contains(spans, want) {
			t.Errorf("the spans lack %s: %s", want, spans)
		}
	}
	small := strings.ToLower(spans) // IDs have no case of their own
	if n := strings.Count(small, `"traceid":"`+trace+`"`); n != 4 {
		t.Errorf("%d spans of the trace", n)
	}
	if n := strings.Count(small, `"parentspanid":"b7ad6b7169203331"`); n != 1 {
		t.Errorf("%d spans below the publisher's", n)
	}
	if strings.Contains(spans, session.GUID) {
		t.Error("the spans show a GUID")
	}
}
