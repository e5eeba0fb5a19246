package status

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

func (s *stage) page(t *testing.T, path string) string {
	t.Helper()
	code, header, body := s.get(t, path)
	if code != http.StatusOK || header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%s: status %d, type %q", path, code, header.Get("Content-Type"))
	}
	return body
}

func wantText(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
}

func TestPageShowsTheSite(t *testing.T) {
	page := newStage().busy().open(t).page(t, "/")
	wantText(t, page,
		"w1 is the owner. The gate is open, but slowed: the gateway could not take 50 calls per second.",
		`<strong class="owner">owner</strong> <span class="agent">w1</span>`,
		`<strong class="standby">standby</strong> <span class="agent">w2</span>`,
		">25/s<", ">50/s<", "1 will be too late for their valid_until",
		"late-7", "11 of 40", "10 applied, 1 failed",
		`href="agents/1001"`, "failed</span>", "Version v1.2.3",
	)
}

// What the page needs to be made of must all be there, whoever made the templates.
func TestPageHasEverySection(t *testing.T) {
	s := newStage().busy().open(t)
	page := s.page(t, "/")
	for _, part := range s.server.sections() {
		if !strings.Contains(page, ` id="`+part.ID+`"`) {
			t.Errorf("no element for %s", part.ID)
		}
		if strings.TrimSpace(part.HTML) == "" {
			t.Errorf("%s is empty", part.ID)
		}
	}
}

func TestPageIsSmallHoweverMuchGoesOn(t *testing.T) {
	s := newStage().busy().crowded()
	s.worker.set(func(a *actor) {
		for i := range a.view.Waits {
			a.view.Waits[i].Change.Message = strings.Repeat("long ", 50)
		}
	})
	size := len(s.open(t).page(t, "/"))
	for name := range assets {
		_, _, body := s.get(t, "/"+name)
		size += len(body)
	}
	if size > 200<<10 {
		t.Errorf("%d bytes", size)
	}
}

// Everything that stands in a change comes from others, and so may all of it be meant to do harm.
func TestPageEscapesEverything(t *testing.T) {
	const evil = `<script>alert(1)</script>"'onerror=`
	s := newStage()
	s.set(func(s *stage) { s.replicas[0].Name, s.replicas[0].Trouble = evil, evil })
	s.worker.set(func(a *actor) {
		a.view.Gate = view.GateState{State: evil, Why: evil, Until: time.Now().Add(time.Minute)}
		c := view.ChangeView{ID: evil, Flag: evil, WaitsFor: view.Retry, Retcode: evil, Message: evil}
		a.view.Waits = []view.Wait{{AgentID: "1001", Change: c}}
		a.view.Batches = []view.BatchView{{ID: evil, Progress: messages.BatchSummary{BatchID: evil, Total: 1}}}
		a.agents = map[string]view.AgentView{"1001": {AgentID: "1001", Live: &c, Later: []view.ChangeView{c}}}
	})
	r := result(messages.Failed, "1001", evil, time.Now())
	r.Retcode, r.Message, r.BatchID, r.Flag, r.SupersededBy = evil, evil, evil, evil, evil
	s.server.Metrics.Ended(&r)
	s.server.Site = evil
	s.open(t)
	for _, path := range []string{"/", "/agents/1001"} {
		page := s.page(t, path)
		if strings.Contains(page, "<script>") || strings.Contains(page, `"'onerror`) {
			t.Errorf("%s takes what others wrote for markup", path)
		}
		wantText(t, page, "&lt;script&gt;alert(1)")
	}
	if _, _, page := s.get(t, "/agents?id=%3Cscript%3E"); strings.Contains(page, "<script>") {
		t.Error("the search takes what was asked for for markup")
	}
}

func TestAnswersLetBrowsersLoadNothingFromElsewhere(t *testing.T) {
	s := newStage().open(t)
	for _, path := range []string{"/", "/agents/1001", "/style.css", "/script.js", "/icon.svg", "/api/status", "/nothing"} {
		_, header, body := s.get(t, path)
		if p := header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'none'; ") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: policy %q", path, p)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, outside := range []string{"https://", `="//`, "url(", "@import"} {
			if strings.Contains(body, outside) {
				t.Errorf("%s has %s in it", path, outside)
			}
		}
	}
	for name, kind := range assets {
		if _, header, body := s.get(t, "/"+name); header.Get("Content-Type") != kind || body == "" {
			t.Errorf("%s is %q", name, header.Get("Content-Type"))
		}
	}
}

func TestNothingShowsCredentials(t *testing.T) {
	s := newStage().busy()
	s.sessions.Put("1001", messages.Session{GUID: "secret-guid", Cookies: []string{"JSESSIONID=secret-cookie"}}, 2)
	s.open(t)
	for _, path := range []string{"/", "/agents/1001", "/api/status", "/api/openapi.json", "/metrics", "/readyz"} {
		if _, _, body := s.get(t, path); strings.Contains(body, "secret-") {
			t.Errorf("%s shows a credential", path)
		}
	}
}

func TestSearchLeadsToTheAgent(t *testing.T) {
	s := newStage().open(t)
	for _, test := range []struct{ asked, leads string }{
		{"1001", "agents/1001"},
		{"+1001+", "agents/1001"},
		{"nobody", ""},
		{"", ""},
		{"0101", ""},
		{"1000000", ""},
		{"..%2F..%2Fmetrics", ""},
		{"//evil.example", ""},
	} {
		code, header, body := s.get(t, "/agents?id="+test.asked)
		if test.leads != "" && (code != http.StatusSeeOther || header.Get("Location") != test.leads) {
			t.Errorf("%s: status %d, leads to %q", test.asked, code, header.Get("Location"))
		}
		if test.leads == "" && (code != http.StatusBadRequest || header.Get("Location") != "" || !strings.Contains(body, badAgentID)) {
			t.Errorf("%s: status %d, leads to %q", test.asked, code, header.Get("Location"))
		}
	}
}

func TestAgentPage(t *testing.T) {
	s := newStage().busy().crowded().open(t)
	wantText(t, s.page(t, "/agents/1001"),
		"Agent 1001", "<strong>signed in</strong>", "<strong>in force</strong>", "change c-100000 pauses after an attempt",
		"the gateway said 100-007: agent operation failed", "<strong>later</strong>", "expired</span>",
	)
	s.worker.set(func(a *actor) { a.agents["5554"] = view.AgentView{AgentID: "5554", Trouble: "guid: not a string"} })
	wantText(t, s.page(t, "/agents/5554"), "<strong>not signed in</strong>", "the registry has a session that cannot be used: guid: not a string")
	s.worker.set(func(a *actor) {
		a.agents["5553"] = view.AgentView{AgentID: "5553", SignedIn: true, Ignored: "not https"}
	})
	wantText(t, s.page(t, "/agents/5553"), "its gateway_url is ignored, the configured gateway is called: not https")
	wantText(t, s.page(t, "/agents/5555"), "<strong>not signed in</strong>", "<strong>nothing in force</strong>", "<strong>nothing open</strong>", "None.")
	if code, _, body := s.get(t, "/agents/12"); code != http.StatusBadRequest || !strings.Contains(body, badAgentID) {
		t.Errorf("status %d", code)
	}
	s.worker.set(func(a *actor) { a.ok = false })
	wantText(t, s.page(t, "/agents/1001"), "No owner answers at the moment", "expired</span>")
}

// A standby knows nothing itself: it asks the owner, and remembers what the owner told should it take over.
func TestStandbyShowsTheSite(t *testing.T) {
	s := newStage()
	s.server.Name = "w2"
	s.worker.set(func(a *actor) { a.ok = false })
	s.set(func(s *stage) { s.role = Role{Role: view.RoleStandby, Owner: "w1"} })
	r := result(messages.Failed, "1001", "c-1", time.Now())
	s.owner.set(func(a *actor) {
		a.ok = true
		a.view = view.View{Gate: view.GateState{State: "open", Rate: 33, Limit: 50}, Last: []messages.Result{r}, Trouble: []messages.Result{r}}
		a.agents = map[string]view.AgentView{"1001": {AgentID: "1001", SignedIn: true}}
	})
	s.open(t)
	wantText(t, s.page(t, "/"), "w1 is the owner. The gate is open.", ">33/s<", `href="agents/1001"`)
	wantText(t, s.page(t, "/agents/1001"), "<strong>signed in</strong>", "failed</span>")
	if all, trouble := s.server.Metrics.results.last(10); len(all) != 1 || len(trouble) != 1 {
		t.Errorf("remembered %d results and %d that went wrong", len(all), len(trouble))
	}
	s.owner.set(func(a *actor) { a.ok = false })
	wantText(t, s.page(t, "/agents/1001"), "No owner answers")
}

func TestPageShowsWhoSetTheLimit(t *testing.T) {
	for by, want := range map[bool]string{false: ">50/s</span></dd>", true: `>50/s</span> <span class="note">set by an operator</span>`} {
		s := newStage()
		s.worker.set(func(a *actor) { a.ok, a.view.Gate.Rate, a.view.Gate.Limit, a.view.Gate.ByOperator = true, 25, 50, by })
		s.open(t)
		wantText(t, s.page(t, "/"), want)
	}
}

func TestAPIForPrograms(t *testing.T) {
	s := newStage().busy().crowded().open(t)
	var st site
	_, header, body := s.get(t, "/api/status")
	if err := json.Unmarshal([]byte(body), &st); err != nil || header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v, type %q", err, header.Get("Content-Type"))
	}
	if st.Owner != "w1" || st.View == nil || st.View.Gate.Rate != 25 || len(st.Replicas) != 2 || st.Sessions.Count != 1 ||
		len(st.View.Waits) != 200 || len(st.Last) != keptResults || len(st.History) != keptPoints || !st.Self.Ready {
		t.Errorf("status %+v", st)
	}
}

func TestHeadline(t *testing.T) {
	open := &view.View{Gate: view.GateState{State: "open"}}
	shut := &view.View{Gate: view.GateState{State: "shut", Why: "maintenance"}}
	ready := readiness{Ready: true, Connected: true}
	for _, test := range []struct {
		site site
		want string
	}{
		{site{Self: ready, Owner: "w1", View: open}, "w1 is the owner. The gate is open."},
		{site{Self: ready, Owner: "w1", View: shut}, "w1 is the owner. The gate is shut: maintenance."},
		{site{Self: ready, View: nil}, "Nobody is the owner: changes wait until a replica takes over."},
		{site{Self: ready, Owner: "w1"}, "w1 is the owner, but does not answer."},
		{site{Self: readiness{}, Owner: "w1", View: open}, "This replica is not connected to NATS. What it shows may be old."},
		{
			site{Self: readiness{Connected: true, Role: view.RoleStandby, Trouble: "no replica is the owner: since 12:00:00 UTC"}},
			"Nobody is the owner: changes wait until a replica takes over. This replica reports: no replica is the owner: since 12:00:00 UTC.",
		},
		{site{Self: readiness{Connected: true, Trouble: "permission denied"}}, "This replica takes no part: permission denied."},
	} {
		if got := headline(&test.site); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	for _, state := range gateStates {
		if text := gateSentence(state, "because"); !strings.HasPrefix(text, "The gate is ") || (state != "open") != strings.Contains(text, "because") {
			t.Errorf("%s: %q", state, text)
		}
	}
}
