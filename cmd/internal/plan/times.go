package plan

import (
	"fmt"
	"strconv"
	"time"

	"idlepolicy/cmd/internal/plan/clock"
	"idlepolicy/cmd/internal/plan/mapping"
	"idlepolicy/cmd/internal/plan/rows"
)

// timesOf returns the interval of a row, in seconds since 1970.
func (b *builder) timesOf(r rows.Row) (start, end int64, ok bool) {
	from, ok := b.moment(r, b.m.Start)
	if !ok {
		return 0, 0, false
	}
	var to clock.Moment
	ofDay := from.OfDay()
	if b.m.End != nil {
		if to, ok = b.moment(r, b.m.End); !ok {
			return 0, 0, false
		}
	}
	if from, ok = b.dated(r, b.m.Start, from); !ok {
		return 0, 0, false
	}
	if start, ok = b.instant(r, b.m.Start, from); !ok {
		return 0, 0, false
	}
	if b.m.End == nil {
		return b.lasting(r, start)
	}
	endsOfDay := to.OfDay()
	if to, ok = b.dated(r, b.m.End, to); !ok {
		return 0, 0, false
	}
	if endsOfDay && ofDay {
		switch to.Compare(from) {
		case 0:
			b.problem(r, b.m.End, "the same time of day as the start; want 24:00 for the end of the day, or the date of the end")
			return 0, 0, false
		case -1:
			to = to.NextDay()
		}
	}
	if end, ok = b.instant(r, b.m.End, to); !ok {
		return 0, 0, false
	}
	return b.lengthy(r, start, end)
}

func (b *builder) moment(r rows.Row, f mapping.Field) (clock.Moment, bool) {
	m, err := b.times.Parse(b.value(f, r))
	if err != nil {
		b.problem(r, f, err.Error())
	}
	return m, err == nil
}

// dated returns a moment with its date.
func (b *builder) dated(r rows.Row, f mapping.Field, m clock.Moment) (clock.Moment, bool) {
	if !m.OfDay() {
		return m, true
	}
	if b.m.Date == nil {
		b.problem(r, f, "a time of day without a date; want date in the map")
		return m, false
	}
	date, err := b.dates.Parse(b.value(b.m.Date, r))
	if err == nil {
		m, err = m.On(date)
	}
	if err != nil {
		b.problem(r, b.m.Date, err.Error())
	}
	return m, err == nil
}

// instant returns a moment in seconds since 1970, and notes what clock changes did to it.
func (b *builder) instant(r rows.Row, f mapping.Field, m clock.Moment) (int64, bool) {
	zone, ok := b.zoneOf(r, m)
	if !ok {
		return 0, false
	}
	at, change := m.In(zone)
	if at < 0 || at > 253_402_300_799 {
		b.problem(r, f, "not in the years 1970 to 9999")
		return 0, false
	}
	local := func() string { return time.Unix(at, 0).In(zone).Format("2006-01-02 15:04 -07:00") }
	switch change {
	case clock.Skipped:
		b.plan.Counts.Skipped++
		b.note(r, f, "does not exist in "+zone.String()+", where clocks are put forward: taken as "+local())
	case clock.Twice:
		b.plan.Counts.Twice++
		b.note(r, f, "exists twice in "+zone.String()+", where clocks are put back: taken as the first, "+local())
	case clock.None:
	}
	return at, true
}

func (b *builder) note(r rows.Row, f mapping.Field, message string) {
	if len(b.plan.Notes) < maxNotes {
		b.plan.Notes = append(b.plan.Notes, Problem{r.Place, nameOf(f), message})
	}
}

// zoneOf returns the zone that the value names, else the row, else the map.
func (b *builder) zoneOf(r rows.Row, m clock.Moment) (*time.Location, bool) {
	name := m.Zone()
	if name == "" && b.m.Zone != nil {
		name = b.value(b.m.Zone, r).Text
	}
	if name == "" {
		if b.m.Location == nil && m.NeedsZone() {
			b.problem(r, b.m.Start, "a local time without a zone; want zone in the map")
			return nil, false
		}
		if b.m.Location == nil {
			return time.UTC, true
		}
		return b.m.Location, true
	}
	zone, known := b.zones[name]
	if !known {
		zone, _ = b.m.LoadZone(name) // nil if there is none
		if len(b.zones) < 1000 {
			b.zones[name] = zone
		}
	}
	if zone == nil {
		b.problem(r, b.m.Zone, fmt.Sprintf("there is no time zone %.60q; want zones in the map, for example zones: {%.60q: Europe/Vienna}", name, name))
	}
	return zone, zone != nil
}

// lasting returns the interval of a row that names its length.
func (b *builder) lasting(r rows.Row, start int64) (int64, int64, bool) {
	text := b.value(b.m.Minutes, r).Text
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0 && n <= 60*24*366) {
		b.problem(r, b.m.Minutes, fmt.Sprintf("%.40q is not a length in minutes", text))
		return 0, 0, false
	}
	return b.lengthy(r, start, start+int64(n*60))
}

func (b *builder) lengthy(r rows.Row, start, end int64) (int64, int64, bool) {
	switch {
	case end < start:
		b.problem(r, b.m.End, "before the start")
		return 0, 0, false
	case end == start:
		b.plan.Counts.Empty++
		return 0, 0, false
	}
	return start, end, true
}
