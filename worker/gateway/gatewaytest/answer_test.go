package gatewaytest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func TestRequests(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("101", "1001", "59999", "999999")
	for _, test := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"POST", path("1001", "true"), 200, "0"},
		{"POST", path("101", "x"), 200, "0"},
		{"POST", path("999999", "12345"), 200, "0"},
		{"POST", path("59999", "%C3%A9%C3%A9%C3%A9%C3%A9%C3%A9"), 200, "0"}, // characters, not bytes
		{"POST", path("1001", "123456"), 200, "000-002"},
		{"POST", path("1001", ""), 200, "000-002"},
		{"POST", path("100", "true"), 200, "000-002"},
		{"POST", path("99", "true"), 200, "000-002"},
		{"POST", path("0101", "true"), 200, "000-002"},
		{"POST", path("1000000", "true"), 200, "000-002"},
		{"POST", path("10a1", "true"), 200, "000-002"},
		{"POST", path("", "true"), 200, "000-002"},
		{"GET", path("1001", "true"), 405, ""},
		{"PUT", path("1001", "true"), 405, ""},
		{"POST", "/", 404, ""},
		{"POST", path("1001", "true") + "/", 404, ""},
		{"POST", "/x" + path("1001", "true"), 404, ""},
		{"POST", "/agentgateway/resource/onlineagent/1001", 404, ""},
		{"POST", "/agentgateway/resource/onlineagent/1001/sayfree/true", 404, ""},
		{"GET", "/agentgateway/resource/onlineagent/1001/autoenteridle", 404, ""},
	} {
		agent, _, _ := strings.Cut(strings.TrimPrefix(test.path, "/agentgateway/resource/onlineagent/"), "/")
		a := b.send(t.Context(), test.method, test.path, http.Header{"Guid": {b.guids[agent]}})
		if a.err != nil || a.status != test.status || a.code() != test.code {
			t.Errorf("%s %s: got %+v", test.method, test.path, a)
		}
		if page := strings.HasPrefix(a.body, "<!DOCTYPE html>"); page != (test.status != 200) {
			t.Errorf("%s %s: the body is %s", test.method, test.path, a.body)
		}
		if allow := a.header.Get("Allow"); (allow == "POST") != (test.status == 405) {
			t.Errorf("%s %s: Allow: %s", test.method, test.path, allow)
		}
	}
	wantFlag(t, b, "1001", "true")
	wantFlag(t, b, "999999", "12345")
}

func TestForms(t *testing.T) {
	for _, test := range []struct {
		rule  gatewaytest.Rule
		want  string
		lands bool
	}{
		{gatewaytest.Rule{}, success, true},
		{gatewaytest.Rule{Number: true}, `{"result": {}, "message": "success", "retcode": 0}`, true},
		{gatewaytest.Rule{Result: gatewaytest.EmptyText}, `{"result": "", "message": "success", "retcode": "0"}`, true},
		{gatewaytest.Rule{Result: gatewaytest.NoResult}, `{"message": "success", "retcode": "0"}`, true},
		{gatewaytest.Rule{Message: "ok \"so\"\a"}, `{"result": {}, "message": "ok \"so\"\u0007", "retcode": "0"}`, true},
		{gatewaytest.Rule{Retcode: "100-009"}, `{"result": {}, "message": "The agent is in an incorrect state.", "retcode": "100-009"}`, false},
		{gatewaytest.Rule{Retcode: "100-009", Lands: true}, `{"result": {}, "message": "The agent is in an incorrect state.", "retcode": "100-009"}`, true},
		{gatewaytest.Rule{Retcode: "999", Number: true}, `{"result": {}, "message": "unknown error", "retcode": 999}`, false},
		{gatewaytest.Rule{Retcode: "000-004", Number: true, Message: "m"}, `{"result": {}, "message": "m", "retcode": "000-004"}`, false},
	} {
		b := start(t, gatewaytest.Options{})
		b.signIn("1001")
		b.On("1001", test.rule)
		a := b.set(t.Context(), "1001", "wrap")
		if a.status != 200 || a.body != test.want || !json.Valid([]byte(a.body)) {
			t.Errorf("%+v: got %+v", test.rule, a)
		}
		wantLanded(t, b, test.lands)
	}
}

func wantLanded(t *testing.T, b *bench, want bool) {
	t.Helper()
	wantFlag(t, b, "1001", map[bool]string{true: "wrap", false: "true"}[want])
	calls := b.CallsOf("1001")
	if c := calls[len(calls)-1]; c.Applied != want || c.AppliedAt.IsZero() == want {
		t.Errorf("on record as applied %v at %v, want %v", c.Applied, c.AppliedAt, want)
	}
}

func TestPages(t *testing.T) {
	for _, test := range []struct {
		rule   gatewaytest.Rule
		status int
	}{
		{gatewaytest.Rule{Fault: gatewaytest.HTML}, 200},
		{gatewaytest.Rule{Status: 404}, 404},
		{gatewaytest.Rule{Status: 500}, 500},
		{gatewaytest.Rule{Status: 502, Lands: true}, 502},
		{gatewaytest.Rule{Status: 302, Location: "https://elsewhere.example/"}, 302},
		{gatewaytest.Rule{Status: 307, Location: "https://elsewhere.example/"}, 307},
		{gatewaytest.Rule{Status: 429}, 429},
		{gatewaytest.Rule{Status: 503, RetryAfter: 1500 * time.Millisecond}, 503},
	} {
		b := start(t, gatewaytest.Options{})
		b.signIn("1001")
		b.On("", test.rule)
		a := b.set(t.Context(), "1001", "wrap")
		if a.err != nil || a.status != test.status || a.header.Get("Content-Type") != "text/html;charset=utf-8" || !strings.HasPrefix(a.body, "<!DOCTYPE html>") {
			t.Errorf("%+v: got %+v", test.rule, a)
		}
		if got := a.header.Get("Location"); got != test.rule.Location {
			t.Errorf("%+v: it leads to %q", test.rule, got)
		}
		if got := a.header.Get("Retry-After"); (got == "2") != (test.rule.RetryAfter > 0) {
			t.Errorf("%+v: Retry-After: %q", test.rule, got)
		}
		wantLanded(t, b, test.rule.Lands)
	}
}

func TestRetryAfterDate(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.On("", gatewaytest.Rule{Status: 503, RetryAfter: time.Hour, Date: true})
	before := time.Now()
	at, err := http.ParseTime(b.set(t.Context(), "1001", "wrap").header.Get("Retry-After"))
	if err != nil || at.Before(before.Add(time.Hour)) || at.After(time.Now().Add(time.Hour+time.Second)) {
		t.Errorf("got %v: %v", at, err)
	}
}
