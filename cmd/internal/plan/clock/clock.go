// Package clock reads the times of schedules: instants, local times with the zone of a plan, dates with times of day.
//
// One rule decides what a local time means when clocks change. A time that exists twice is the first of the two. A time
// that does not exist is the instant at which the clocks are put forward: 02:30 becomes 03:00. So whatever ends later on
// the wall never ends earlier in fact. Both cases are reported.
package clock

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // not every machine has the zones

	"idlepolicy/cmd/internal/plan/rows"
)

// Change is what clock changes did to a local time.
type Change int

// What may have happened to a local time.
const (
	None    Change = iota
	Twice          // it exists twice, and the first one was taken
	Skipped        // it does not exist, and became the instant at which the clocks are put forward
)

// Moment is a time as a file has it.
type Moment struct {
	kind kind
	wall time.Time     // the date and time of day as if in UTC; for an instant the instant
	day  time.Duration // the time of day, for ofDay
	zone string        // the zone that the value itself names
}

type kind int

const (
	ofDay   kind = iota // a time of day only
	local               // a date, maybe with a time of day
	instant             // everything
)

// OfDay reports whether the moment needs a date.
func (m Moment) OfDay() bool { return m.kind == ofDay }

// NeedsZone reports whether the moment means an instant only together with a zone.
func (m Moment) NeedsZone() bool { return m.kind != instant }

// Zone returns the zone that the value itself names; empty: none.
func (m Moment) Zone() string { return m.zone }

// Parser reads times. It is not for use by several goroutines at once.
type Parser struct {
	Layouts []string // in Go's notation, or one of Special; tried before what can be recognised

	last string // what fitted the last time
}

// Special are the layouts of numbers.
var Special = []string{"unix", "unixms", "minutes", "excel"}

var recognised = []string{
	time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 MST",
	"20060102T150405Z0700", "20060102T150405", time.DateOnly, "20060102",
}

// Parse reads a time.
func (p *Parser) Parse(v rows.Value) (Moment, error) {
	m := Moment{zone: v.Zone}
	for _, layout := range p.Layouts {
		if m, ok := parseAs(v, layout); ok {
			return m, nil
		}
	}
	if v.Serial {
		return serial(v.Text)
	}
	if p.last != "" {
		if m, ok := parseAs(v, p.last); ok {
			return m, nil
		}
	}
	if day, ok := timeOfDay(v.Text); ok {
		return Moment{kind: ofDay, day: day, zone: v.Zone}, nil
	}
	for _, layout := range recognised {
		if m, ok := parseAs(v, layout); ok {
			p.last = layout
			return m, nil
		}
	}
	if v.Text == "" {
		return m, errors.New("missing")
	}
	return m, fmt.Errorf("%.40q is not a time that can be recognised; want a layout in the map", v.Text)
}

func parseAs(v rows.Value, layout string) (Moment, bool) {
	switch layout {
	case "unix", "unixms":
		n, err := strconv.ParseInt(v.Text, 10, 64)
		if err != nil || n < 0 {
			return Moment{}, false
		}
		if layout == "unix" {
			n *= 1000
		}
		return Moment{kind: instant, wall: time.UnixMilli(n).UTC()}, true
	case "minutes":
		n, err := strconv.Atoi(v.Text)
		return Moment{kind: ofDay, day: time.Duration(n) * time.Minute, zone: v.Zone}, err == nil && n >= 0 && n <= maxDay/60
	case "excel":
		m, err := serial(v.Text)
		return m, err == nil
	}
	t, err := time.Parse(layout, v.Text)
	if err != nil {
		return Moment{}, false
	}
	switch {
	case strings.Contains(layout, "Z07") || strings.Contains(layout, "-07"):
		return Moment{kind: instant, wall: t.UTC()}, true
	case strings.Contains(layout, "MST"):
		if _, offset := t.Zone(); offset == 0 && t.Location() != time.UTC {
			return Moment{}, false // a name that means nothing to package time
		}
		return Moment{kind: instant, wall: t.UTC()}, true
	case t.Year() == 0: // the layout has no date
		return Moment{kind: ofDay, day: t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), zone: v.Zone}, true
	}
	return Moment{kind: local, wall: t, zone: v.Zone}, true
}

// maxDay is the latest time of day, in seconds: some programs count on after midnight.
const maxDay = 48 * 3600

// timeOfDay reads 9:05, 14:00:30, 2:00 PM, 24:00, and minutes since midnight.
func timeOfDay(s string) (time.Duration, bool) {
	upper := strings.ToUpper(strings.TrimSpace(s))
	half := ""
	for _, suffix := range []string{"AM", "PM", "A.M.", "P.M."} {
		if rest, ok := strings.CutSuffix(upper, suffix); ok {
			half, upper = suffix[:1], strings.TrimSpace(rest)
		}
	}
	var n [3]int
	parts := 0
	for part := range strings.SplitSeq(upper, ":") {
		v, err := strconv.Atoi(part)
		if err != nil || v < 0 || part[0] == '+' || parts == len(n) || parts > 0 && (len(part) != 2 || v > 59) {
			return 0, false
		}
		n[parts] = v
		parts++
	}
	switch {
	case half != "" && (n[0] < 1 || n[0] > 12):
		return 0, false
	case half == "A" && n[0] == 12:
		n[0] = 0
	case half == "P" && n[0] < 12:
		n[0] += 12
	case half == "" && parts == 1: // minutes since midnight
		n[0], n[1] = 0, n[0]
	}
	seconds := n[0]*3600 + n[1]*60 + n[2]
	return time.Duration(seconds) * time.Second, seconds <= maxDay && n[1] <= maxDay/60
}

// serial reads a number of Excel: whole days since the end of 1899, and the time of day behind the point.
func serial(s string) (Moment, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n > 2_958_465 { // the year 9999
		return Moment{}, fmt.Errorf("%.40q is not a date of Excel", s)
	}
	d := time.Duration(math.Round(n*86400)) * time.Second
	if n < 2 { // a time of day, 24:00 and later too
		return Moment{kind: ofDay, day: d}, nil
	}
	days := math.Floor(n)
	return Moment{kind: local, wall: time.Date(1899, 12, 30, 0, 0, int(math.Round((n-days)*86400)), 0, time.UTC).AddDate(0, 0, int(days))}, nil
}

// On returns a time of day on the date of another moment, a date.
func (m Moment) On(date Moment) (Moment, error) {
	switch {
	case m.kind != ofDay:
		return m, nil
	case date.kind == ofDay:
		return m, errors.New("the date has only a time of day")
	}
	d := date.wall.Truncate(24 * time.Hour)
	if m.zone == "" {
		m.zone = date.zone
	}
	return Moment{kind: local, wall: d.Add(m.day), zone: m.zone}, nil
}

// NextDay returns the same local time a day later.
func (m Moment) NextDay() Moment {
	m.wall = m.wall.AddDate(0, 0, 1)
	return m
}

// Compare compares two moments as the file has them: local times by the clock on the wall.
func (m Moment) Compare(other Moment) int { return m.wall.Compare(other.wall) }

// In returns the instant of the moment, in seconds since 1970, and what clock changes did to it.
func (m Moment) In(zone *time.Location) (int64, Change) {
	if m.kind == instant {
		return m.wall.Unix(), None
	}
	return Resolve(m.wall, zone)
}

// Resolve returns the instant of a local time, which is given as if it were in UTC.
func Resolve(wall time.Time, zone *time.Location) (int64, Change) {
	const day = 24 * time.Hour // clocks change at most once in two days
	_, before := wall.Add(-day).In(zone).Zone()
	_, after := wall.Add(day).In(zone).Zone()
	first, second := wall.Unix()-int64(before), wall.Unix()-int64(after)
	if before == after {
		return first, None
	}
	isThere := func(at int64, offset int) bool {
		_, is := time.Unix(at, 0).In(zone).Zone()
		return is == offset
	}
	switch a, b := isThere(first, before), isThere(second, after); {
	case a && b:
		return min(first, second), Twice
	case a:
		return first, None
	case b:
		return second, None
	}
	change, _ := time.Unix(first, 0).In(zone).ZoneBounds()
	return change.Unix(), Skipped
}
