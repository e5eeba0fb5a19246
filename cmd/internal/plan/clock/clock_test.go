package clock_test

import (
	"testing"
	"time"

	"idlepolicy/cmd/internal/plan/clock"
	"idlepolicy/cmd/internal/plan/rows"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Clocks change in Vienna and New York by an hour, on Lord Howe by half an hour, in Samoa a whole day was skipped.
func TestResolve(t *testing.T) {
	for _, test := range []struct {
		zone, wall, want string
		change           clock.Change
	}{
		{"Europe/Vienna", "2026-03-29 01:59:59", "2026-03-29T00:59:59Z", clock.None},
		{"Europe/Vienna", "2026-03-29 02:00:00", "2026-03-29T01:00:00Z", clock.Skipped},
		{"Europe/Vienna", "2026-03-29 02:30:00", "2026-03-29T01:00:00Z", clock.Skipped},
		{"Europe/Vienna", "2026-03-29 03:00:00", "2026-03-29T01:00:00Z", clock.None},
		{"Europe/Vienna", "2026-10-25 01:59:59", "2026-10-24T23:59:59Z", clock.None},
		{"Europe/Vienna", "2026-10-25 02:30:00", "2026-10-25T00:30:00Z", clock.Twice},
		{"Europe/Vienna", "2026-10-25 03:00:00", "2026-10-25T02:00:00Z", clock.None},
		{"America/New_York", "2026-03-08 02:30:00", "2026-03-08T07:00:00Z", clock.Skipped},
		{"America/New_York", "2026-11-01 01:30:00", "2026-11-01T05:30:00Z", clock.Twice},
		{"Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03T15:30:00Z", clock.Skipped},
		{"Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04T14:45:00Z", clock.Twice},
		{"UTC", "2028-02-29 24:00:00", "", clock.None},
		{"Asia/Kolkata", "2026-12-31 23:59:59", "2026-12-31T18:29:59Z", clock.None},
	} {
		wall, err := time.Parse(time.DateTime, test.wall)
		if err != nil {
			continue
		}
		got, change := clock.Resolve(wall, zone(t, test.zone))
		if at := time.Unix(got, 0).UTC().Format(time.RFC3339); at != test.want || change != test.change {
			t.Errorf("%s in %s is %s (%v), want %s (%v)", test.wall, test.zone, at, change, test.want, test.change)
		}
	}
}

// Every local time of a year is an instant whose local time it is, unless it is reported as skipped.
func TestResolveIsTheOppositeOfTheClock(t *testing.T) {
	for _, name := range []string{"Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns"} {
		z := zone(t, name)
		skipped, twice := 0, 0
		last := int64(0)
		for wall := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); wall.Year() == 2026; wall = wall.Add(15 * time.Minute) {
			at, change := clock.Resolve(wall, z)
			is := time.Unix(at, 0).In(z).Format(time.DateTime)
			if at < last {
				t.Fatalf("%s in %s is before what comes before it on the wall", wall.Format(time.DateTime), name)
			}
			last = at
			switch change {
			case clock.Skipped:
				skipped++
			case clock.Twice:
				twice++
				fallthrough
			default:
				if is != wall.Format(time.DateTime) {
					t.Fatalf("%s in %s became %s", wall.Format(time.DateTime), name, is)
				}
			}
		}
		if skipped != twice || skipped == 0 {
			t.Errorf("%s: %d quarters skipped, %d twice", name, skipped, twice)
		}
	}
}

func TestParse(t *testing.T) {
	day, _ := (&clock.Parser{Layouts: []string{"02.01.2006"}}).Parse(rows.Value{Text: "28.02.2028"})
	for _, test := range []struct {
		value   rows.Value
		layouts []string
		want    string // in Vienna, on the day above if it is a time of day
	}{
		{rows.Value{Text: "14:00"}, nil, "2028-02-28T13:00:00Z"},
		{rows.Value{Text: "9:05"}, nil, "2028-02-28T08:05:00Z"},
		{rows.Value{Text: "24:00"}, nil, "2028-02-28T23:00:00Z"},
		{rows.Value{Text: "25:30"}, nil, "2028-02-29T00:30:00Z"},
		{rows.Value{Text: "2:00 PM"}, nil, "2028-02-28T13:00:00Z"},
		{rows.Value{Text: "12:15 am"}, nil, "2028-02-27T23:15:00Z"},
		{rows.Value{Text: "12:15 p.m."}, nil, "2028-02-28T11:15:00Z"},
		{rows.Value{Text: "840", Number: true}, nil, "2028-02-28T13:00:00Z"},
		{rows.Value{Text: "1440"}, []string{"minutes"}, "2028-02-28T23:00:00Z"},
		{rows.Value{Text: "0.5833333333333334", Number: true, Serial: true}, nil, "2028-02-28T13:00:00Z"},
		{rows.Value{Text: "1", Number: true, Serial: true}, nil, "2028-02-28T23:00:00Z"},
		{rows.Value{Text: "46812.583333333336", Number: true, Serial: true}, nil, "2028-02-29T13:00:00Z"},
		{rows.Value{Text: "1400"}, []string{"1504"}, "2028-02-28T13:00:00Z"},
		{rows.Value{Text: "2026-11-23T13:00:00Z"}, nil, "2026-11-23T13:00:00Z"},
		{rows.Value{Text: "2026-11-23T13:00:00.000+0100"}, nil, "2026-11-23T12:00:00Z"},
		{rows.Value{Text: "2026-11-23 13:00:00.000"}, nil, "2026-11-23T12:00:00Z"},
		{rows.Value{Text: "2026-07-23 13:00"}, nil, "2026-07-23T11:00:00Z"},
		{rows.Value{Text: "1795438800"}, []string{"unix"}, "2026-11-23T13:00:00Z"},
		{rows.Value{Text: "1795438800000"}, []string{"unixms"}, "2026-11-23T13:00:00Z"},
		{rows.Value{Text: "11/23/2026 2:00 PM"}, []string{"1/2/2006 3:04 PM"}, "2026-11-23T13:00:00Z"},
		{rows.Value{Text: "48:01"}, nil, ""},
		{rows.Value{Text: "13:60"}, nil, ""},
		{rows.Value{Text: "13:00 PM"}, nil, ""},
		{rows.Value{Text: "-1"}, nil, ""},
		{rows.Value{Text: "soon"}, nil, ""},
		{rows.Value{}, nil, ""},
		{rows.Value{Text: "11/23/2026"}, nil, ""},
	} {
		p := clock.Parser{Layouts: test.layouts}
		m, err := p.Parse(test.value)
		got := ""
		if err == nil {
			m, err = m.On(day)
		}
		if err == nil {
			at, _ := m.In(zone(t, "Europe/Vienna"))
			got = time.Unix(at, 0).UTC().Format(time.RFC3339)
		}
		if got != test.want {
			t.Errorf("%+v with %v is %q (%v), want %q", test.value, test.layouts, got, err, test.want)
		}
	}
}
