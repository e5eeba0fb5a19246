package mapping_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"idlepolicy/cmd/internal/plan/mapping"
)

const whole = `name: vienna-voice
format: csv
zone: Europe/Vienna
agent: Employee ID
date: Day
date_layout: 02.01.2006
start: From
end: To
activity: Activity
agents: {file: agents.csv, from: employee, to: agent}
activities: {Phone: true, Lunch: false, Meeting: wrap, Vacation: ignore, default: error}
after: leave
`

func TestParse(t *testing.T) {
	m, err := mapping.Parse([]byte(whole + "from: today\nuntil: today +8d\n"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "vienna-voice" || m.Location.String() != "Europe/Vienna" || m.Zone != nil || m.Activities["Phone"] != "true" ||
		m.Activities["Meeting"] != "wrap" || m.Default != mapping.Error || m.After != "" || m.Agents.From != "employee" || m.Agent[0] != "Employee ID" {
		t.Errorf("map %+v", m)
	}
	now := time.Date(2026, 10, 24, 23, 30, 0, 0, time.UTC)
	if from, until := m.From.At(now, m.Location), m.Until.At(now, m.Location); from.Format(time.RFC3339) != "2026-10-25T00:00:00+02:00" ||
		until.Format(time.RFC3339) != "2026-11-02T00:00:00+01:00" {
		t.Errorf("from %v until %v", from, until)
	}
}

// Every problem is named at once, each with its line.
func TestProblems(t *testing.T) {
	text := strings.NewReplacer("agent: Employee ID\n", "agnet: Employee ID\n", "end: To\n", "end: []\n", "02.01.2006", "dd.mm.yyyy",
		"Lunch: false", "Lunch: yes", "Europe/Vienna", "Europe/Viena", "format: csv", "format: xls", "to: agent", "too: agent").Replace(whole) +
		"name: again\nuntil: tomorrow\nskip: -1\nafter: 'idle'\n"
	_, err := mapping.Parse([]byte(text))
	problems, _ := errors.AsType[mapping.Problems](err)
	for _, want := range []struct {
		line    int
		message string
	}{
		{2, `format: "xls"; want csv`},
		{3, `zone: there is no time zone "Europe/Viena"`},
		{4, "agnet: unknown; did you mean agent?"},
		{6, `date_layout: "dd.mm.yyyy" is not a layout`},
		{8, "end: an empty list"},
		{10, "agents.too: unknown; did you mean to?"},
		{11, "activities.Lunch: "},
		{13, "name: given twice"},
		{14, `until: "tomorrow"`},
		{15, `skip: "-1"`},
		{16, "after: given twice"},
	} {
		if !slices.ContainsFunc(problems, func(p mapping.Problem) bool { return p.Line == want.line && strings.HasPrefix(p.Message, want.message) }) {
			t.Errorf("no problem %q on line %d in\n%v", want.message, want.line, err)
		}
	}
	if len(problems) > 13 {
		t.Errorf("%d problems:\n%v", len(problems), err)
	}
}

func TestWrongMaps(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "1: the map is empty",
		"[1]":                         "1: the map: want keys with values",
		"a: b: c":                     "1: not YAML: ",
		"name: x y":                   `name: "x y"; want 1 to 40 letters`,
		"name: x\nstart: a\nend: b":   "agent: missing",
		"name: x\nagent: a\nstart: a": "end: missing; want it, or minutes",
		"name: x\nagent: a\nstart: a\nend: b\nminutes: c":    "end and minutes: given together",
		"name: x\nagent: a\nstart: a\nend: b\nactivities: x": "activities: want each activity",
		"agents: {file: x}":   "agents: want file, from and to",
		"zones: {x: Nowhere}": `1: zones.x: there is no time zone "Nowhere"`,
		"agent_pattern: (":    "agent_pattern: ",
		"name: &a x\nagent: *a\nstart: s\nend: e\nactivity: '=x'": "agent: want a single value",
	} {
		_, err := mapping.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParseBound(t *testing.T) {
	now := time.Date(2026, 11, 23, 13, 30, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"now": "2026-11-23T13:30:00Z", "now-90m": "2026-11-23T12:00:00Z", "today": "2026-11-23T00:00:00Z", "today + 7d": "2026-11-30T00:00:00Z",
		"2026-12-24": "2026-12-24T00:00:00Z", "2026-12-24T10:00:00+01:00": "2026-12-24T09:00:00Z", "2026-13-01": "", "soon": "", "": "", "2026-12-24T10:00": "",
	} {
		b, ok := mapping.ParseBound(text)
		got := ""
		if ok {
			got = b.At(now, time.UTC).UTC().Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("name: [a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := mapping.Parse(data)
		problems, _ := errors.AsType[mapping.Problems](err)
		if (m == nil) == (err == nil) || err != nil && len(problems) == 0 {
			t.Errorf("%v, %v", m, err)
		}
	})
}
