package status

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// post sends a form as a page of that origin would; none: no browser did.
func (s *stage) post(t *testing.T, path, origin string, form url.Values) (code int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestPageIsReadOnlyUnlessActionsAreTurnedOn(t *testing.T) {
	s := newStage().open(t)
	if page := s.page(t, "/"); strings.Contains(page, `method="post"`) || strings.Contains(page, "password") {
		t.Error("there are actions on the page")
	}
	for _, path := range []string{"/actions/pause", "/", "/agents/1001", "/api/status"} {
		if code, _ := s.post(t, path, "", url.Values{}); code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("%s: status %d", path, code)
		}
	}
}

func TestActionsNeedTheToken(t *testing.T) {
	s := newStage()
	var done []string
	note := func(what string) func(context.Context) error {
		return func(context.Context) error { done = append(done, what); return nil }
	}
	s.server.Actions = &Actions{
		Token: "sesame", Pause: note("pause"), Resume: note("resume"),
		Replay: func(_ context.Context, agent string) error {
			done = append(done, "replay "+agent)
			return errors.New("no dead letter")
		},
	}
	s.open(t)
	wantText(t, s.page(t, "/"), `action="actions/pause"`, `formaction="actions/resume"`)
	wantText(t, s.page(t, "/agents/1001"), `action="../actions/replay"`)
	for _, test := range []struct {
		path, origin, token, agent string
		code                       int
		says, done                 string
	}{
		{"/actions/pause", "", "sesame", "", http.StatusOK, "The gate is paused", "pause"},
		{"/actions/resume", s.url, "sesame", "", http.StatusOK, "resumed", "resume"},
		{"/actions/replay", "", "sesame", "1001", http.StatusBadGateway, "no dead letter", "replay 1001"},
		{"/actions/replay", "", "sesame", "x", http.StatusNotFound, "no such action", ""},
		{"/actions/explode", "", "sesame", "", http.StatusNotFound, "no such action", ""},
		{"/actions/pause", "https://evil.example", "sesame", "", http.StatusForbidden, "cross-origin", ""},
		{"/actions/pause", "", "Sesame", "", http.StatusForbidden, "Nothing was done", ""},
	} {
		done = nil
		code, body := s.post(t, test.path, test.origin, url.Values{"token": {test.token}, "agent": {test.agent}})
		if code != test.code || !strings.Contains(body, test.says) || strings.Join(done, " ") != test.done {
			t.Errorf("%s with %q from %q: status %d, did %q: %s", test.path, test.token, test.origin, code, done, body)
		}
		if strings.Contains(body, "sesame") {
			t.Error("the answer shows the token")
		}
	}
}

func TestWrongTokensHoldGuessingUp(t *testing.T) {
	a := &Actions{Token: "sesame"}
	now := time.Now()
	for _, test := range []struct {
		token    string
		after    time.Duration
		ok, busy bool
	}{
		{"sesame", 0, true, false},
		{"sesam", 0, false, false},
		{"sesame", 999 * time.Millisecond, false, true},
		{"sesame", time.Second, true, false},
		{"", 2 * time.Second, false, false},
	} {
		if ok, busy := a.allowed(test.token, now.Add(test.after)); ok != test.ok || busy != test.busy {
			t.Errorf("%q after %v: %t, %t", test.token, test.after, ok, busy)
		}
	}
	if ok, _ := (&Actions{}).allowed("", now); ok {
		t.Error("no token lets anybody in")
	}
}

// What browsers, and proxies before us, say of where a form comes from.
func TestFormsOfOtherOriginsAreRefused(t *testing.T) {
	s := newStage()
	s.server.Actions = &Actions{Token: "sesame", Pause: func(context.Context) error { return nil }}
	s.open(t)
	for _, test := range []struct {
		name, host, origin, site, forwarded string
		code                                int
	}{
		{"by name", "idle.example:8080", "http://idle.example:8080", "", "", http.StatusOK},
		{"by name over HTTPS", "idle.example", "https://idle.example", "same-origin", "", http.StatusOK},
		{"behind a proxy with HTTPS", "10.0.0.1:8080", "https://idle.example", "same-origin", "", http.StatusOK},
		{"behind a proxy", "10.0.0.1:8080", "http://idle.example", "", "idle.example", http.StatusOK},
		{"behind two proxies", "10.0.0.1:8080", "http://idle.example", "", "idle.example, inner.example", http.StatusOK},
		{"no browser", "10.0.0.1:8080", "", "", "", http.StatusOK},
		{"no referrer", "idle.example:8080", "null", "", "", http.StatusForbidden},
		{"another origin", "idle.example:8080", "http://evil.example", "", "", http.StatusForbidden},
		{"another port", "idle.example:8080", "http://idle.example:8081", "", "", http.StatusForbidden},
		{"another origin behind a proxy", "10.0.0.1:8080", "http://evil.example", "", "idle.example", http.StatusForbidden},
		{"no referrer behind a proxy", "10.0.0.1:8080", "null", "", "", http.StatusForbidden},
		{"cross-site", "idle.example", "https://evil.example", "cross-site", "evil.example", http.StatusForbidden},
		{"same site", "idle.example", "https://other.example", "same-site", "", http.StatusForbidden},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/actions/pause", strings.NewReader("token=sesame"))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = test.host
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site, "X-Forwarded-Host": test.forwarded} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.code {
			t.Errorf("%s: status %d, want %d", test.name, answer.StatusCode, test.code)
		}
	}
}
