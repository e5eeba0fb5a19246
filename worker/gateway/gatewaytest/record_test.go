package gatewaytest_test

import (
	"maps"
	"net/http"
	"sync"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func TestRecord(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	before := time.Now()
	b.send(t.Context(), http.MethodPost, path("1001", "wrap"), http.Header{
		"Guid": {b.guids["1001"]}, "Cookie": {"a=b"}, "Content-Type": {"application/json; charset=UTF-8"},
		"Traceparent": {"00-x"}, "Tracestate": {"y=z"}, "Other": {"o"},
	})
	b.set(t.Context(), "1001", "x")
	b.send(t.Context(), http.MethodPost, path("100", "x"), http.Header{"Tracestate": {"p=q"}})
	calls := b.Calls()
	c := calls[0]
	if c.At.Before(before) || c.AppliedAt.Before(c.At) || c.Done.Before(c.AppliedAt) || !calls[1].At.After(c.Done) {
		t.Errorf("arrived %v, applied %v, done %v", c.At, c.AppliedAt, c.Done)
	}
	if c.AgentID != "1001" || c.Flag != "wrap" || c.GUID != b.guids["1001"] || c.Method != http.MethodPost || c.Path != path("1001", "wrap") || c.Length != 0 || c.Status != 200 || c.Retcode != "0" || c.Fault != "" {
		t.Errorf("got %+v", c)
	}
	for i, want := range []map[string]string{
		{"Guid": c.GUID, "Cookie": "a=b", "Content-Type": "application/json; charset=UTF-8", "Traceparent": "00-x", "Tracestate": "y=z"},
		{"Guid": c.GUID},
		{"Tracestate": "p=q"},
	} {
		got := map[string]string{}
		for name := range calls[i].Header {
			got[name] = calls[i].Header.Get(name)
		}
		if !maps.Equal(got, want) {
			t.Errorf("call %d carried %v, want %v", i, got, want)
		}
	}
	calls[0].Flag = "spoiled"
	if b.Calls()[0].Flag != "wrap" || len(b.CallsOf("1001")) != 2 || len(b.CallsOf("1002")) != 0 {
		t.Error("the record can be changed, or is not by agent")
	}
}

// Many agents at once, more calls than one chunk of the record holds.
func TestManyCalls(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	agents := []string{"1001", "1002", "1003", "1004"}
	b.signIn(agents...)
	const each = 400
	var wg sync.WaitGroup
	for _, agent := range agents {
		wg.Go(func() {
			for range each {
				if a := b.set(t.Context(), agent, agent); a.body != success {
					t.Errorf("got %+v", a)
				}
			}
		})
	}
	wg.Wait()
	calls := b.Calls()
	if len(calls) != each*len(agents) || b.NumCalls() != len(calls) {
		t.Fatalf("%d calls on record, %d counted", len(calls), b.NumCalls())
	}
	for i := 1; i < len(calls); i++ {
		if calls[i].At.Before(calls[i-1].At) {
			t.Fatalf("call %d arrived before call %d", i, i-1)
		}
	}
	for agent, own := range calls.ByAgent() {
		if len(own) != each || own.Overlapping() != 1 || calls.LastApplied()[agent] != agent {
			t.Errorf("%s: %d calls, %d at once", agent, len(own), own.Overlapping())
		}
	}
	if s := b.Summary(); s.MaxPerSecond != calls.MaxInWindow(time.Second) || s.Applied != len(calls) {
		t.Errorf("got %+v", s)
	}
}

func TestSummary(t *testing.T) {
	for _, forget := range []bool{false, true} {
		b := start(t, gatewaytest.Options{ForgetCalls: forget})
		b.signIn("1001")
		b.On("1001", gatewaytest.Rule{Flag: "b", Retcode: "100-009"})
		b.On("1001", gatewaytest.Rule{Flag: "c", Status: 502})
		for _, flag := range []string{"a", "b", "c", "a"} {
			b.set(t.Context(), "1001", flag)
		}
		s := b.Summary()
		if s.Calls != 4 || s.Finished != 4 || s.Applied != 2 || s.Connections < 1 || s.Dropped != 0 || s.MaxPerSecond < 1 || s.MaxPerSecond > 4 || !s.Last.After(s.First) {
			t.Errorf("got %+v", s)
		}
		if !maps.Equal(s.Statuses, map[int]int{200: 3, 502: 1}) || !maps.Equal(s.Retcodes, map[string]int{"0": 2, "100-009": 1}) || !maps.Equal(s.Faults, map[string]int{"status": 1}) {
			t.Errorf("got %+v", s)
		}
		if kept := len(b.Calls()); (kept == 0) != forget {
			t.Errorf("%d calls on record", kept)
		}
		s.Retcodes["0"] = 9
		if b.Summary().Retcodes["0"] != 2 {
			t.Error("the summary can be changed")
		}
		b.Reset()
		if s := b.Summary(); s.Calls != 0 || len(s.Statuses) != 0 || len(b.Calls()) != 0 {
			t.Errorf("after a reset: got %+v", s)
		}
		wantFlag(t, b, "1001", "a")
	}
}
