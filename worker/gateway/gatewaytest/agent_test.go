package gatewaytest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func TestCredentials(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	old := b.SignIn("1001")
	good := b.SignIn("1001")
	other := b.SignIn("1002")
	gone := b.SignIn("1003")
	b.SignOut("1003")
	cookied := b.SignIn("1004")
	b.RequireCookie("1004", "node=7")
	for _, test := range []struct{ name, agent, guid, cookie, want string }{
		{"good", "1001", good, "", "0"},
		{"of the session before", "1001", old, "", "100-006"},
		{"of another agent", "1001", other, "", "000-003"},
		{"never issued", "1001", "x", "", "000-003"},
		{"none", "1001", "", "", "000-003"},
		{"never signed in", "1099", good, "", "100-006"},
		{"signed out", "1003", gone, "", "100-008"},
		{"no cookie", "1004", cookied, "", "100-006"},
		{"another cookie", "1004", cookied, "node=77; xnode=7", "100-006"},
		{"the cookie among others", "1004", cookied, "a=b; node=7; c=d", "0"},
	} {
		header := http.Header{"Guid": {test.guid}}
		if test.cookie != "" {
			header.Set("Cookie", test.cookie)
		}
		a := b.send(t.Context(), http.MethodPost, path(test.agent, "false"), header)
		if a.status != 200 || a.code() != test.want {
			t.Errorf("%s: got %+v, want %s", test.name, a, test.want)
		}
	}
	wantFlag(t, b, "1002", "true")
	wantFlag(t, b, "1003", "")
	wantFlag(t, b, "1099", "")
}

func TestSignInResetsTheFlag(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	wantFlag(t, b, "1001", "true")
	b.set(t.Context(), "1001", "True")
	wantFlag(t, b, "1001", "True")
	b.signIn("1001")
	wantFlag(t, b, "1001", "true")
}

func TestRotate(t *testing.T) {
	for _, test := range []struct {
		name string
		good time.Duration
		want string
	}{{"dead at once", 0, "100-006"}, {"good for a while", time.Hour, "0"}} {
		b := start(t, gatewaytest.Options{OldGUIDFor: test.good})
		b.signIn("1001")
		b.set(t.Context(), "1001", "a")
		if guid := b.Rotate("1001"); guid == b.guids["1001"] || !strings.HasSuffix(guid, ".AgentGateway1") || len(guid) != 50 {
			t.Errorf("the new GUID is %s", guid)
		}
		if a := b.set(t.Context(), "1001", "b"); a.code() != test.want {
			t.Errorf("%s: got %+v", test.name, a)
		}
		b.guids["1001"] = b.Rotate("1001")
		if a := b.set(t.Context(), "1001", "c"); a.code() != "0" {
			t.Errorf("the new one: got %+v", a)
		}
		wantFlag(t, b, "1001", "c")
	}
	b := start(t, gatewaytest.Options{})
	if guid := b.Rotate("1001"); guid != "" {
		t.Errorf("rotated what was never signed in: %s", guid)
	}
}

// Only the last old GUID is ever good, and only in its own session.
func TestOlderGUIDsAreDead(t *testing.T) {
	b := start(t, gatewaytest.Options{OldGUIDFor: time.Hour})
	b.signIn("1001")
	b.Rotate("1001")
	b.Rotate("1001")
	if a := b.set(t.Context(), "1001", "b"); a.code() != "100-006" {
		t.Errorf("two rotations later: got %+v", a)
	}
	b.signIn("1001")
	last := b.guids["1001"]
	for range 20 {
		last = b.Rotate("1001")
	}
	if a := b.set(t.Context(), "1001", "b"); a.code() != "000-003" {
		t.Errorf("forgotten: got %+v", a)
	}
	b.SignIn("1001")
	b.guids["1001"] = last
	if a := b.set(t.Context(), "1001", "b"); a.code() != "100-006" {
		t.Errorf("in the next session: got %+v", a)
	}
}

func TestOneCallAtATime(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001", "1002")
	b.On("1001", gatewaytest.Rule{Times: 1, Latency: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan answer)
	go func() { first <- b.set(ctx, "1001", "false") }()
	until(t, "the call arrives", func() bool { return b.NumCalls() == 1 })
	if a := b.set(t.Context(), "1001", "wrap"); a.status != 200 || a.code() != "000-007" {
		t.Errorf("the second call: got %+v", a)
	}
	if a := b.set(t.Context(), "1002", "wrap"); a.code() != "0" {
		t.Errorf("another agent: got %+v", a)
	}
	leave()
	if a := <-first; a.err == nil {
		t.Errorf("answered: %+v", a)
	}
	until(t, "the gateway notices", func() bool { return b.CallsOf("1001")[0].Fault == gatewaytest.FaultGone })
	wantFlag(t, b, "1001", "true")
	if a := b.set(t.Context(), "1001", "wrap"); a.code() != "0" {
		t.Errorf("after it: got %+v", a)
	}
}
