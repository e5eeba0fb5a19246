package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"idlepolicy/messages"
)

const viennaMap = `name: vienna-voice
format: csv
zone: Europe/Vienna
agent: Employee ID
date: Day
date_layout: 02.01.2006
start: From
end: To
activity: Activity
agents: {file: agents.csv, from: employee, to: agent}
activities: {Phone: true, Lunch: false, Meeting: false, Vacation: ignore, default: error}
after: leave
`

// planSite is a site with the files of a plan.
type planSite struct {
	*site
	dir string
}

func newPlanSite(t *testing.T) *planSite {
	t.Helper()
	return planSiteOn(newSite(t))
}

func planSiteOn(s *site) *planSite {
	s.t.Helper()
	p := &planSite{s, s.t.TempDir()}
	p.write("map.yaml", viennaMap)
	p.write("agents.csv", "employee;agent\nE1;1001\nE2;1002\nE3;1003\n")
	return p
}

func (p *planSite) write(name, text string) string {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return file
}

func (p *planSite) plan(roster string, args ...string) outcome {
	p.t.Helper()
	file := p.write("roster.csv", "Employee ID;Day;From;To;Activity\n"+roster)
	return p.run(append([]string{"plan", file, "--map", filepath.Join(p.dir, "map.yaml")}, args...)...)
}

const roster = "E1;11.01.2099;08:00;16:00;Phone\nE1;11.01.2099;12:00;12:30;Lunch\nE2;11.01.2099;22:00;06:00;Phone\nE3;11.01.2099;08:00;16:00;Vacation\n"

// published returns the changes of all messages, by their ids; the last one of each counts.
func (p *planSite) published() map[string]messages.Change {
	p.t.Helper()
	all := map[string]messages.Change{}
	for _, body := range p.changes() {
		m := messages.Decode([]byte(body), "x")
		if len(m.Rejected) > 0 {
			p.t.Errorf("the worker would reject %+v", m.Rejected)
		}
		for _, c := range m.Changes {
			if c.Cancel {
				delete(all, c.ID)
			} else {
				all[c.ID] = c
			}
		}
	}
	return all
}

func TestPlan(t *testing.T) {
	p := newPlanSite(t)
	p.plan(roster).want(t, statusFine, "plan vienna-voice: 4 rows, 2 agents, 4 steps, 1 rows ignored", "4 new, 0 changed, 0 withdrawn for 2 agents; 0 steps stay",
		"+ 1001    Sun 2099-01-11 08:00 +0100 to 12:00  true   Phone", "+ 1002    Sun 2099-01-11 22:00 +0100 to Mon 06:00  true   Phone")
	if n := len(p.changes()); n != 0 {
		t.Fatalf("%d messages were published without --apply", n)
	}
	p.plan(roster, "--detailed-exitcode").want(t, statusDiffers)
	p.plan(roster, "--apply").want(t, statusFine, "applied as batch vienna-voice-1-", ": 4 changes in 1 message")
	all := p.published()
	c := all["vienna-voice/1001/2099-01-11T11:00:00Z"]
	if len(all) != 4 || c.Flag != "false" || c.Reason != "Lunch" || c.Source != "vienna-voice" || c.BatchTotal != 4 ||
		c.ValidUntil.Format("15:04") != "11:30" {
		t.Errorf("published %+v", all)
	}
	p.plan(roster, "--apply", "--detailed-exitcode").want(t, statusFine, "nothing to do: 4 steps stay as they are")
	if n := len(p.changes()); n != 1 {
		t.Fatalf("%d messages after the same file again, want 1", n)
	}
	moved := strings.Replace(roster, "E1;11.01.2099;12:00;12:30", "E1;11.01.2099;12:00;13:00", 1)
	p.plan(moved, "--max-change", "20").want(t, statusFine, "1 of the 4 steps that stand (25 %) would be withdrawn or get another flag, more than 20 %: "+
		"--apply asks first, and without a terminal it needs --force")
	p.plan(moved, "--max-change", "20", "--json").want(t, statusFine, `"asks": "1 of the 4 steps that stand`)
	for _, o := range []outcome{p.plan(moved), p.plan(moved, "--max-change", "20", "--force")} {
		if strings.Contains(o.out, "asks") {
			t.Errorf("says that --apply would ask:\n%s", o.out)
		}
	}
	p.plan(moved, "--apply", "--max-change", "20").want(t, statusUsage, "1 of the 4 steps that stand (25 %)", "--force")
	p.plan(moved, "--apply").want(t, statusFine, "1 new, 1 changed, 1 withdrawn for 1 agent; 2 steps stay")
	all = p.published()
	if _, there := all["vienna-voice/1001/2099-01-11T11:30:00Z"]; there || len(all) != 4 {
		t.Errorf("published %+v", all)
	}
}

// Whoever tries a ready map with its sample sees what it would publish: nothing in a sample has passed.
func TestPlanOfEachSample(t *testing.T) {
	p := newPlanSite(t)
	const dir = "../../deploy/samples/plans"
	maps, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil || len(maps) < 11 {
		t.Fatalf("%d maps, %v", len(maps), err)
	}
	for _, m := range maps {
		name := strings.TrimSuffix(m, ".yaml")
		files, _ := filepath.Glob(name + ".*")
		sample := slices.IndexFunc(files, func(f string) bool { ext := filepath.Ext(f); return ext != ".yaml" && ext != ".golden" })
		golden, err := os.ReadFile(name + ".golden")
		if err != nil || sample < 0 {
			t.Fatalf("%s: %v, sample %d", name, err, sample)
		}
		agent, _, _ := strings.Cut(string(golden), " ")
		shown := p.run("plan", files[sample], "--map", m)
		shown.want(t, statusFine, " new, 0 changed, 0 withdrawn for ", "+ "+agent)
		if strings.Contains(shown.out, "in the past") {
			t.Errorf("%s: %s", name, shown.out)
		}
	}
}

// A schedule that is changed and changed back soon is published each time: none of the messages counts as one that was there.
func TestPlanThereAndBack(t *testing.T) {
	p := newPlanSite(t)
	late := strings.Replace(roster, "08:00;16:00;Phone", "09:00;16:00;Phone", 1)
	for n, one := range []string{roster, late, roster, late, roster} {
		p.plan(one, "--apply", "--force").want(t, statusFine, fmt.Sprintf("applied as batch vienna-voice-%d-", n+1))
		if messages := len(p.changes()); messages != n+1 {
			t.Fatalf("%d messages after %d runs", messages, n+1)
		}
		early, moved := "vienna-voice/1001/2099-01-11T07:00:00Z", "vienna-voice/1001/2099-01-11T08:00:00Z"
		if one == late {
			early, moved = moved, early
		}
		all := p.published()
		if _, stands := all[moved]; stands || all[early].Flag != "true" {
			t.Errorf("run %d: %s waits %t, and %s is %+v", n+1, moved, stands, early, all[early])
		}
	}
}

func TestPlanJSON(t *testing.T) {
	p := newPlanSite(t)
	o := p.plan(roster, "--json", "--apply")
	var doc planDocument
	if err := json.Unmarshal([]byte(o.out), &doc); err != nil || o.status != statusFine {
		t.Fatalf("%v in %s%s", err, o.out, o.errout)
	}
	if doc.Add != 4 || len(doc.Steps) != 4 || doc.Applied == nil || doc.Applied.Changes != 4 || doc.Counts.Rows != 4 {
		t.Errorf("document %+v", doc)
	}
}

func TestPlanProblems(t *testing.T) {
	p := newPlanSite(t)
	p.plan("E9;11.01.2099;08:00;16:00;Phone\nE1;11/01/2099;08:00;16:00;Phone\nE1;11.01.2099;8 o'clock;16:00;Phone\nE1;11.01.2099;08:00;08:00;Nap\n").
		want(t, statusUsage, "line 2: Employee ID: \"E9\" is not in the file of agents", "line 3: Day: ", "line 4: From: ", "line 5: Activity: \"Nap\"", "4 faults in", "nothing was published")
	p.plan("E1;11.01.2020;08:00;16:00;Phone\n").want(t, statusUsage, "everything in it is in the past (1 step)", "--force")
	p.plan("E1;11.01.2020;08:00;16:00;Phone\n", "--force").want(t, statusFine, "1 steps in the past", "nothing to do")
	p.plan("").want(t, statusUsage, "the file has no rows")
	p.write("map.yaml", viennaMap+"aftr: leave\nuntil: tomorow\n")
	p.plan(roster).want(t, statusUsage, "map.yaml:13: aftr: unknown; did you mean after?", "map.yaml:14: until: ", "2 faults in the map")
	p.run("plan", "x.csv").want(t, statusUsage, "--map: missing")
	p.run("plan", "x.csv", "--map", "no.yaml").want(t, statusUsage, "there is no file no.yaml")
}

// What is published is cut to what the server takes, whatever that is.
func TestPlanOnAServerThatTakesSmallMessages(t *testing.T) {
	p := planSiteOn(newSmallSite(t))
	var year strings.Builder
	for n := range 336 {
		for _, agent := range []string{"E1", "E2"} {
			fmt.Fprintf(&year, "%s;%02d.%02d.2099;08:00;16:00;Phone\n", agent, n%28+1, n/28+1)
		}
	}
	p.plan(year.String(), "--apply").want(t, statusFine, "672 changes in 2 messages")
	if all := p.published(); len(all) != 672 {
		t.Errorf("%d changes were published", len(all))
	}
}

// A plan is followed to the endings of its changes.
func TestPlanWaits(t *testing.T) {
	p := newPlanSite(t)
	p.plan(roster, "--apply", "--wait", "--timeout", "1ns", "--json").want(t, statusFailed, "4 changes not ended within 1ns", `"unfinished": 4`)
	p.serve(nil)
	p.plan(strings.ReplaceAll(roster, "22:00", "20:00"), "--apply", "--force", "--wait", "--timeout", "5m").want(t, statusFine, "applied        1")
	p.plan(strings.ReplaceAll(roster, "22:00", "21:00"), "--apply", "--force", "--wait", "--timeout", "5m", "--json").want(t, statusFine, `"applied": 1`)
}
