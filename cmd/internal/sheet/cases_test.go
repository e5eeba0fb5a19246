package sheet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"idlepolicy/cmd/internal/sheet"
	"idlepolicy/messages"
)

// Files as spreadsheets, databases and libraries write them are read as what they plainly are, or named as that.
func TestFilesOfOtherPrograms(t *testing.T) {
	for name, want := range map[string][]string{
		"classic-mac.csv":             nil,
		"double-bom.csv":              nil,
		"excel-formula.csv":           {`:2: character 2: a quote inside a value`},
		"excel-sep.csv":               nil,
		"excel-utf16.csv":             nil,
		"past-roster.csv":             nil,
		"renamed-workbook.csv":        {":1: the file is an Excel workbook (.xlsx); save it as CSV UTF-8"},
		"same-id.csv":                 {`:3: id: "late-7" is the id of agent 1001 on line 2 too`},
		"sql-null.csv":                {`:2: column flag: "NULL" stands for nothing`, ":3: id: ", ":4: id: "},
		"trailing-commas-summary.csv": {`:4: column agent_id: "Total: 2" stands alone in its row: a total or another summary`},
		"java-times.jsonl":            {":1: effective_at: ", ":2: effective_at: ", ":3: effective_at: ", ":4: effective_at: ", ":5: effective_at: "},
		"gnu-date-times.jsonl":        {":3: effective_at: "},
	} {
		s, err := sheet.Load(filepath.Join("testdata", name), "", nil, sheet.Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 && (len(s.Problems) > 0 || s.Changes() == 0) {
			t.Errorf("%s: %d changes, problems %+v", name, s.Changes(), s.Problems)
		}
		checkProblems(t, s, want)
	}
}

func checkProblems(t *testing.T, s *sheet.Sheet, want []string) {
	t.Helper()
	for _, text := range want {
		if !slices.ContainsFunc(s.Problems, func(p sheet.Problem) bool { return strings.Contains(p.In(s.Name), text) }) {
			t.Errorf("%s: no problem %q in %+v", s.Name, text, s.Problems)
		}
	}
}

func TestProblemsNameTheirPlace(t *testing.T) {
	s, err := sheet.Read("x.csv", "", []byte("sep=,\nflag,agent_id,,\ntrue,1001,,\n,,,\n\"true\",99\ntrue,1002,,x\n"), sheet.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Problems) != 2 || s.Problems[0] != (sheet.Problem{
		Line: 5, Column: 2, Field: "agent_id", Message: `"99" names no agent; want 101 to 999999, digits only`,
	}) || s.Problems[1].Line != 6 || !strings.Contains(s.Problems[1].Message, "another number of columns") {
		t.Errorf("problems %+v", s.Problems)
	}
}

func TestWrongFiles(t *testing.T) {
	for text, want := range map[string]string{
		"<!DOCTYPE html><table>":                             ":1: the file is an HTML page",
		"<?xml version=\"1.0\"?><a/>":                        ":1: the file is XML",
		`{"agent_id":1001}`:                                  ":1: the file is JSON",
		"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":                   ":1: the file is an old or password-protected Excel workbook",
		"a,agent_id,,flag\n":                                 ":1: column 3: has no name",
		"employee,from,to\n1,2,3\n":                          "read by idlectl plan",
		"agent_id,flag,batch_id\n1001,true,NULL\n":           `:2: column batch_id: "NULL" stands for nothing`,
		"agent_id,flag\n1001,\x00\n":                         ":2: NUL",
		"agent_id,flag,effective_at\n1001,true,2026-11-23\n": "a date without a time of day",
	} {
		s, err := sheet.Read("x.csv", "", []byte(text), sheet.Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		checkProblems(t, s, []string{want})
	}
}

// In a CSV file, instants that cannot be misunderstood are read, however they are written.
func TestInstantsInCSV(t *testing.T) {
	want := time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2026-11-23T14:00:00+01:00", "2026-11-23T14:00+01:00", "2026-11-23T14:00:00+01:00[Europe/Vienna]", "2026-11-23T13:00Z",
		"2026-11-23T14:00:00.000+0100", "2026-11-23 14:00:00+01", "2026-11-23t13:00:00z", "1795438800", "1795438800000",
		`"2026-11-23T14:00:00,000+01:00"`, "2026-11-23 14:00:00 +0100",
	} {
		s, err := sheet.Read("x.csv", "", []byte("agent_id,flag,effective_at\n1001,true,"+text+"\n"), sheet.Stamp{})
		if err != nil || len(s.Problems) > 0 {
			t.Errorf("%s: %+v, %v", text, s.Problems, err)
			continue
		}
		if m := messages.Decode(s.Messages[0].Body, "x"); !m.Changes[0].EffectiveAt.Equal(want) {
			t.Errorf("%s is read as %v", text, m.Changes[0].EffectiveAt)
		}
	}
}

// Changes that compete for one id are told in each format, and cancels are not changes.
func TestSameID(t *testing.T) {
	for text, faults := range map[string]int{
		`{"agent_id":1001,"flag":true,"id":"a"}` + "\n" + `{"agent_id":1001,"flag":false,"id":"a"}`:   1,
		`{"agent_id":1001,"flag":true,"id":"a"}` + "\n" + `{"agent_id":1002,"flag":false,"id":"a"}`:   0,
		`{"agent_id":1001,"cancel":true,"id":"a"}` + "\n" + `{"agent_id":1001,"flag":true,"id":"a"}`:  0,
		`{"agent_ids":[1001,1001],"flag":true,"id":"a"}`:                                              0,
		`[{"agent_id":1001,"flag":true,"id":"a"},` + "\n" + `{"agent_id":1001,"flag":true,"id":"a"}]`: 1,
		`[{"agent_id":1001,"flag":true},` + "\n" + `{"agent_id":1001,"flag":true}]`:                   0,
	} {
		s, err := sheet.Read("x", "", []byte(text), sheet.Stamp{})
		if err != nil || len(s.Problems) != faults {
			t.Errorf("%s: problems %+v, %v; want %d", text, s.Problems, err, faults)
		}
		if faults > 0 {
			checkProblems(t, s, []string{":2: id: \"a\" is the id of agent 1001 on line 1 too"})
		}
	}
}

func TestInstantsInThePast(t *testing.T) {
	data, err := os.ReadFile("testdata/past-roster.csv")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sheet.Read("past-roster.csv", "", data, sheet.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]int{"2026-11-29T00:00:00Z": 3, "2025-11-23T16:00:00Z": 2, "2024-01-01T00:00:00Z": 0} {
		now, _ := time.Parse(time.RFC3339, at)
		if all, past := s.Instants(now); all != 3 || past != want {
			t.Errorf("at %s %d of %d instants are in the past, want %d of 3", at, past, all, want)
		}
	}
}

// A line that was corrected is another message, however it is published; one that was not is the same.
func TestMessageIDsHoldTheContent(t *testing.T) {
	ids := map[string][]string{}
	for _, name := range []string{"a", "b"} {
		s, err := sheet.Load("testdata/corrected-"+name+".csv", "", nil, sheet.Stamp{})
		if err != nil {
			t.Fatal(err)
		}
		for p := range s.Publications("nightly") {
			ids[name] = append(ids[name], p.ID)
		}
	}
	if ids["a"][0] != ids["b"][0] || ids["a"][1] == ids["b"][1] {
		t.Errorf("IDs %s", fmt.Sprint(ids))
	}
}
