package tap

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/worker/stream/natstest"
)

func TestMiddlewareWritesSessions(t *testing.T) {
	s := newScene(t)
	s.config.WritersFile = filepath.Join(t.TempDir(), "writers")
	const token = "a-token-of-the-middleware"
	if err := os.WriteFile(s.config.WritersFile, []byte("crm "+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.start()
	ask := func(method, agent, bearer, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.page+"/api/sessions/"+agent, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	s.until("NATS is connected", func() bool { _, body := s.get(p.page + "/readyz"); return strings.Contains(body, `"connected": true`) })
	const record = `{"guid": "JSESSIONID=guid-of-middleware", "cookies": ["node=7"], "signed_in_at": "2026-11-29T08:00:00Z"}`
	for _, test := range []struct {
		name, method, agent, token, body string
		want                             int
	}{
		{"without a token", "PUT", "1001", "", record, 401},
		{"another token", "PUT", "1001", "another-token-of-somebody", record, 401},
		{"no agent", "PUT", "99", token, record, 400},
		{"no session", "PUT", "1001", token, `{"guid": ""}`, 400},
		{"too long", "PUT", "1001", token, strings.Repeat(" ", mostPeeked) + record, 413},
		{"another method", "POST", "1001", token, record, 405},
		{"good", "PUT", "1001", token, record, 200},
		{"again", "PUT", "1001", token, record, 200},
	} {
		if code, text := ask(test.method, test.agent, test.token, test.body); code != test.want || strings.Contains(text, "guid-of") {
			t.Errorf("%s: %d %s, want %d", test.name, code, text, test.want)
		}
	}
	if got := s.registry()["1001"]; got != "guid-of-middleware" {
		t.Errorf("the registry holds %q", got)
	}
	for _, want := range []int{204, 204} {
		if code, text := ask("DELETE", "1001", token, ""); code != want {
			t.Errorf("delete: %d %s, want %d", code, text, want)
		}
	}
	if got := s.registry()["1001"]; got != "" {
		t.Errorf("the registry holds %q", got)
	}
	natstest.Stop(s.nats)
	if code, _ := ask("PUT", "1001", token, record); code != 503 {
		t.Errorf("without NATS: %d", code)
	}
	if log := s.log.String(); strings.Contains(log, "guid-of") || strings.Contains(log, token) || !strings.Contains(log, `"by":"crm"`) {
		t.Errorf("the log: %s", log)
	}
}

func TestNobodyWritesSessionsUnlessTold(t *testing.T) {
	s := newScene(t)
	p := s.start()
	if code, _ := s.get(p.page + "/api/sessions/1001"); code != http.StatusNotFound {
		t.Errorf("status %d", code)
	}
}
