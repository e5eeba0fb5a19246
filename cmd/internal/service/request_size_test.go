package service

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Whatever is larger than a browser sends is refused, and nothing is done.
func TestPageTakesNoLargeRequests(t *testing.T) {
	s := newSite(t)
	s.withToken()
	s.start()
	s.isOwner()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.page+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 40<<10))
	if code, _ := s.ask(r); code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 40 KiB: status %d", code)
	}
	form := url.Values{"filler": {strings.Repeat("x", 8<<10)}, "token": {pageToken}}
	if code, _ := s.post("/actions/pause", form); code < 400 {
		t.Errorf("a form of 8 KiB: status %d", code)
	}
	if _, body := s.get("/metrics"); strings.Contains(body, `idlepolicy_gate_state{state="paused"} 1`) {
		t.Error("the form was obeyed")
	}
}
