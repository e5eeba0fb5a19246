package plan_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/plan/steps"
)

var update = flag.Bool("update", false, "write the golden files; read them afterwards")

const samples = "../../../deploy/samples/plans"

// sampleTime is before everything in the samples.
var sampleTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sample reads a ready map and its sample.
func sample(t *testing.T, name string) *plan.Plan {
	t.Helper()
	m, agents, problems, err := plan.LoadMap(filepath.Join(samples, name+".yaml"))
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, problems %q", err, problems)
	}
	files, err := filepath.Glob(filepath.Join(samples, name+".*"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(files, func(f string) bool { ext := filepath.Ext(f); return ext != ".yaml" && ext != ".golden" })
	if i < 0 {
		t.Fatalf("there is no sample beside %s.yaml", name)
	}
	p, err := plan.ReadFile(files[i], nil, m, agents, sampleTime)
	if err != nil {
		t.Fatal(err)
	}
	if p.Faults() > 0 {
		t.Fatalf("problems %+v", p.Problems)
	}
	if p.Name != name {
		t.Errorf("the map's name is %s", p.Name)
	}
	return p
}

func sampleNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d maps, %v", len(files), err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".yaml")
	}
	return files
}

// Each ready map turns its sample into the changes that a person would write down by hand: those in the golden file.
func TestSamples(t *testing.T) {
	for _, name := range sampleNames(t) {
		t.Run(name, func(t *testing.T) {
			p := sample(t, name)
			var b strings.Builder
			for _, agent := range slices.Sorted(maps.Keys(p.Agents)) {
				for _, s := range p.Agents[agent] {
					end := "-"
					if s.End != steps.Open {
						end = time.Unix(s.End, 0).UTC().Format(time.RFC3339)
					}
					fmt.Fprintf(&b, "%s  %s  %-20s  %-5s  %s\n", agent, time.Unix(s.Start, 0).UTC().Format(time.RFC3339), end, s.Flag, s.Activity)
				}
			}
			for _, n := range p.Notes {
				fmt.Fprintf(&b, "note: %s\n", n.In(name))
			}
			golden := filepath.Join(samples, name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || b.String() != string(want) {
				t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
			}
		})
	}
}

// The workbook is written by this test, so that its cells can be read here.
func TestExcelRosterSample(t *testing.T) {
	file := filepath.Join(samples, "excel-roster.xlsx")
	if !*update {
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
		return
	}
	f := excelize.NewFile()
	if err := f.SetSheetName("Sheet1", "Roster"); err != nil {
		t.Fatal(err)
	}
	day := func(y, m, d int) float64 {
		return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC).Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours() / 24
	}
	for i, row := range [][]any{
		{"Roster of the hotline"},
		{},
		{"Agent", "Name", "Day", "From", "To", "Activity", "Zone"},
		{1001, "A. Muster", day(2099, 11, 23), 8.0 / 24, 16.5 / 24, "Phone", "Europe/Vienna"},
		{1001, "A. Muster", day(2099, 11, 23), 12.0 / 24, 12.5 / 24, "Break", "Europe/Vienna"},
		{"1002", "B. Doe", day(2099, 10, 31), 22.0 / 24, 6.0 / 24, "Phone", "America/New_York"},
		{1003, "C. Roe", day(2096, 2, 29), 16.0 / 24, 1.0, "Phone", "Australia/Lord_Howe"},
		{1003, "C. Roe", day(2096, 3, 1), 0, 1.0, "Holiday", "Australia/Lord_Howe"},
	} {
		if err := f.SetSheetRow("Roster", fmt.Sprint("A", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
	date, err := f.NewStyle(&excelize.Style{NumFmt: 14})
	if err == nil {
		err = f.SetCellStyle("Roster", "C4", "C9", date)
	}
	clock, err2 := f.NewStyle(&excelize.Style{NumFmt: 20})
	if err == nil && err2 == nil {
		err = f.SetCellStyle("Roster", "D4", "E9", clock)
	}
	if err == nil {
		err = f.SaveAs(file)
	}
	if err != nil {
		t.Fatal(err)
	}
}
