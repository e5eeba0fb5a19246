package status

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"idlepolicy/worker/view"
)

// covering has 250 agents, most of whom have their policy.
func (s *stage) covering() *stage {
	s.worker.set(func(a *actor) {
		for i := range 250 {
			c := view.Covered{AgentID: strconv.Itoa(1001 + i), State: view.CoverInForce, ChangeID: "c-" + strconv.Itoa(i), Flag: "false"}
			switch {
			case i%50 == 0:
				c.State, c.WaitsFor = view.CoverNotSignedIn, view.SignIn
			case i == 7:
				c.State, c.Message, c.ChangeID = view.CoverRetrying, "busy", "=1+1"
			case i == 8:
				c.State = view.CoverFailed
			case i == 9:
				c.State = view.CoverExpired
			case i > 240:
				c.State, c.BatchID, c.WaitsFor = view.CoverDue, "late-7", view.Gate
			}
			a.covered = append(a.covered, c)
			a.view.Coverage.Add(c.State, 1)
		}
	})
	return s
}

func TestPageShowsWhoHasThePolicy(t *testing.T) {
	s := newStage().covering().open(t)
	page := s.page(t, "/")
	wantText(t, page, `<span class="value">233</span> of 250 agents have their policy`, "93 %",
		`aria-label="233 of 250 agents have their policy, 9 get it now, 1 are tried again, 5 are not signed in, 1 failed, 1 came too late"`,
		`href="coverage?state=not_signed_in">5 are not signed in`, "5 agents are not signed in; each gets the policy as soon as it is.",
		"1 agent does not have it: the gateway refused it for good.", `<rect class="in_force" fill="url(#p-in_force)" x="0" y="0" width="932"`)
	if strings.Index(page, `id="coverage"`) > strings.Index(page, `id="gate"`) {
		t.Error("the figures for operators come first")
	}
	_, _, metrics := s.get(t, "/metrics")
	wantText(t, metrics, `idlepolicy_coverage_agents{state="in_force"} 233`, `idlepolicy_coverage_agents{state="expired"} 1`)
	_, _, status := s.get(t, "/api/status")
	wantText(t, status, `"coverage": {`, `"in_force": 233`, `"not_signed_in": 5`)
}

func TestPageWithoutDesiredPolicies(t *testing.T) {
	wantText(t, newStage().open(t).page(t, "/"), "No agent has a desired policy at the moment.")
}

func TestAgentsOfAState(t *testing.T) {
	s := newStage().covering().open(t)
	wantText(t, s.page(t, "/coverage?state=not_signed_in"), "Agents that are not signed in", "5 agents", `href="agents/1001"`, "waits for the agent to sign in")
	wantText(t, s.page(t, "/coverage?state=due&batch=late-7"), "9 agents", "batch late-7", `href="coverage.csv?batch=late-7&amp;state=due"`)
	due := s.page(t, "/coverage?reason=gate&agent=12")
	wantText(t, due, "9 agents", `href="coverage?reason=gate"`, `href="coverage?batch=late-7"`, `name="reason" value="gate"`, `href="coverage.csv?agent=12&amp;reason=gate"`)
	first := s.page(t, "/coverage")
	wantText(t, first, "250 agents", `href="coverage?after=1100"`, "1100</a>")
	if strings.Contains(first, "1101</a>") {
		t.Error("the first page has more than it should")
	}
	wantText(t, s.page(t, "/coverage?agent=10&after=1080"), "1081</a>", "99 agents")
	for _, bad := range []string{"state=x", "agent=x", "agent=1234567", "batch=a.b", "after=x", "reason=x"} {
		if code, _, body := s.get(t, "/coverage?"+bad); code != http.StatusBadRequest || !strings.Contains(body, "no such list") {
			t.Errorf("%s: status %d", bad, code)
		}
	}
	s.worker.set(func(a *actor) { a.ok = false })
	wantText(t, s.page(t, "/coverage"), "No owner answers at the moment.")
}

func TestCoverageAsCSV(t *testing.T) {
	s := newStage().covering().open(t)
	code, header, body := s.get(t, "/coverage.csv?state=retrying")
	if code != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") || !strings.Contains(body, "1008,retrying,'=1+1,") {
		t.Errorf("status %d: %s", code, body)
	}
	for query, rows := range map[string]int{"reason=sign-in": 5, "batch=late-7": 9, "batch=late-7&reason=gate&agent=125": 1, "batch=late-7&reason=sign-in": 0} {
		_, _, body = s.get(t, "/coverage.csv?"+query)
		if n := strings.Count(body, "\n") - 1; n != rows {
			t.Errorf("%s: %d rows, want %d", query, n, rows)
		}
	}
	_, _, body = s.get(t, "/coverage.csv")
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(rows) != 251 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	s.worker.set(func(a *actor) { a.ok = false })
	if code, _, _ := s.get(t, "/coverage.csv"); code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
}

// A share is 100 % only if it is all.
func TestPercentageOfTheAgents(t *testing.T) {
	for _, test := range []struct {
		n, of int
		want  string
	}{{19999, 20000, "99.9 %"}, {20000, 20000, "100 %"}, {0, 3, "0 %"}, {199, 200, "99.5 %"}, {2, 3, "66 %"}} {
		if got := percentage(test.n, test.of); got != test.want {
			t.Errorf("%d of %d are %s, want %s", test.n, test.of, got, test.want)
		}
	}
}
