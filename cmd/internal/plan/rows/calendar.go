package rows

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

// Bounds of a calendar, which is held as a whole.
const (
	maxCalendar = 64 << 20  // bytes
	maxLines    = 1_000_000 // each takes some 150 bytes of memory, however short it is
	maxRepeats  = 10_000    // of one event
	maxInAll    = 500_000   // repetitions of all events
)

// shortLines ends with an error after so many lines.
type shortLines struct {
	r    io.Reader
	left int
}

func (s *shortLines) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.left -= bytes.Count(p[:n], []byte("\n")); s.left < 0 {
		return 0, &tooLarge{"the calendar"}
	}
	return n, err
}

// The forms of an instant in iCalendar, and that of a local time as the other readers know it.
const (
	icsLocal = "20060102T150405"
	icsDay   = "20060102"
	local    = "2006-01-02T15:04:05"
)

// event is one event of a calendar. Its times are local: a repetition keeps the time of day.
type event struct {
	*ics.VEvent
	number     int
	start      time.Time
	length     time.Duration
	zone       string // "UTC", the TZID, or "" for the zone of the plan
	uid        string
	replaces   time.Time // the start of the repetition that it takes the place of
	isReplaced map[time.Time]bool
}

// readCalendar reads the events of a calendar. The fields are the names of properties; DTSTART and DTEND are those of each
// repetition.
func readCalendar(text io.Reader, s Spec, each func(Row) error) error {
	cal, err := ics.ParseCalendar(&shortLines{&limited{r: text, left: maxCalendar, what: "the calendar"}, maxLines})
	if err != nil {
		if large, ok := errors.AsType[*tooLarge](err); ok {
			return large
		}
		return fmt.Errorf("not iCalendar: %w", err)
	}
	places := locationsOf(cal)
	var events []*event
	byUID := map[string]*event{}
	for i, v := range cal.Events() {
		e, err := readEvent(v, i+1)
		if e != nil && places[e.zone] != "" {
			e.zone = places[e.zone]
		}
		if err != nil {
			return fmt.Errorf("event %d: %w", i+1, err)
		}
		if e == nil {
			continue
		}
		events = append(events, e)
		if e.replaces.IsZero() {
			byUID[e.uid] = e
		}
	}
	for _, e := range events {
		if original := byUID[e.uid]; !e.replaces.IsZero() && original != nil {
			original.isReplaced[e.replaces] = true
		}
	}
	left := maxInAll
	for _, e := range events {
		if err := e.pass(s, &left, each); err != nil {
			return err
		}
	}
	return nil
}

// locationsOf returns the time zones that a calendar defines, by their TZID, where it says by X-LIC-LOCATION which one of the IANA
// database they are. What it says about clock changes is not read: the database knows more of them.
func locationsOf(cal *ics.Calendar) map[string]string {
	places := map[string]string{}
	for _, zone := range cal.Timezones() {
		id, place := zone.GetProperty(ics.ComponentPropertyTzid), zone.GetProperty("X-LIC-LOCATION")
		if id != nil && place != nil {
			places[strings.TrimSpace(id.Value)] = strings.TrimSpace(place.Value)
		}
	}
	return places
}

// readEvent returns nil for an event that does not take place.
func readEvent(v *ics.VEvent, number int) (*event, error) {
	e := &event{VEvent: v, number: number, uid: propertyOf(v, "UID"), isReplaced: map[time.Time]bool{}}
	if strings.EqualFold(propertyOf(v, "STATUS"), "CANCELLED") {
		if v.GetProperty(ics.ComponentPropertyRecurrenceId) == nil {
			return nil, nil
		}
		e.length = -1 // takes the place of a repetition and is not a row
	}
	var err error
	if e.start, e.zone, err = icsTime(v.GetProperty(ics.ComponentPropertyDtStart)); err != nil {
		return nil, fmt.Errorf("DTSTART: %w", err)
	}
	if p := v.GetProperty(ics.ComponentPropertyRecurrenceId); p != nil {
		if e.replaces, _, err = icsTime(p); err != nil {
			return nil, fmt.Errorf("RECURRENCE-ID: %w", err)
		}
	}
	if e.length < 0 {
		return e, nil
	}
	end, zone, err := icsTime(v.GetProperty(ics.ComponentPropertyDtEnd))
	switch {
	case err == nil && zone != e.zone:
		return nil, errors.New("DTSTART and DTEND are in different time zones")
	case err == nil:
		e.length = end.Sub(e.start)
	default:
		if e.length, err = icsDuration(propertyOf(v, "DURATION")); err != nil {
			return nil, errors.New("DTEND: missing; want it, or DURATION")
		}
	}
	return e, nil
}

func propertyOf(v *ics.VEvent, name string) string {
	if p := v.GetProperty(ics.ComponentProperty(name)); p != nil {
		return strings.TrimSpace(p.Value)
	}
	return ""
}

// icsTime returns a local time as if it were in UTC, and the zone that the property names.
func icsTime(p *ics.IANAProperty) (t time.Time, zone string, err error) {
	if p == nil {
		return t, "", errors.New("missing")
	}
	if ids := p.ICalParameters["TZID"]; len(ids) > 0 {
		zone = ids[0]
	}
	value := strings.TrimSpace(p.Value)
	if plain, ok := strings.CutSuffix(value, "Z"); ok {
		value, zone = plain, "UTC"
	}
	for _, layout := range []string{icsLocal, icsDay} {
		if t, err = time.Parse(layout, value); err == nil {
			return t, zone, nil
		}
	}
	return t, zone, fmt.Errorf("%.40q is not a time of iCalendar", p.Value)
}

// icsDuration reads durations without months and years, such as PT8H30M and P1D.
func icsDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("%.40q is not a duration", s)
	rest, ok := strings.CutPrefix(s, "P")
	if !ok {
		return 0, wrong
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	var sum time.Duration
	n := 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c >= '0' && c <= '9' && n < 100_000:
			n = n*10 + int(c-'0')
		case units[c] > 0:
			sum, n = sum+time.Duration(n)*units[c], 0
		case c != 'T':
			return 0, wrong
		}
	}
	return sum, nil
}

// pass passes on every repetition of the event.
func (e *event) pass(s Spec, left *int, each func(Row) error) error {
	if e.length < 0 {
		return nil
	}
	starts, err := e.starts(s.Until)
	if err != nil {
		return fmt.Errorf("event %d: %w", e.number, err)
	}
	if *left -= len(starts); *left < 0 {
		return fmt.Errorf("the events of the calendar repeat more than %d times in all; set until in the map", maxInAll)
	}
	values := make([]Value, len(s.Fields))
	for _, start := range starts {
		if e.isReplaced[start] {
			continue
		}
		for i, name := range s.Fields {
			switch strings.ToUpper(name) {
			case "DTSTART":
				values[i] = Value{Text: start.Format(local), Zone: e.zone}
			case "DTEND":
				values[i] = Value{Text: start.Add(e.length).Format(local), Zone: e.zone}
			default:
				values[i] = Value{Text: ics.FromText(propertyOf(e.VEvent, strings.ToUpper(name)))}
			}
		}
		if err := each(Row{Place: fmt.Sprintf("event %d", e.number), Values: values}); err != nil {
			return err
		}
	}
	return nil
}

// starts returns the starts of all repetitions until an instant, by the local clock.
func (e *event) starts(until time.Time) ([]time.Time, error) {
	rules := e.Properties
	set := &rrule.Set{}
	repeats := false
	for _, p := range rules {
		switch strings.ToUpper(p.IANAToken) {
		case "RRULE":
			o, err := rrule.StrToROption(strings.ReplaceAll(p.Value, "Z", ""))
			if err != nil {
				return nil, fmt.Errorf("RRULE: %.60q cannot be read", p.Value)
			}
			if o.Freq > rrule.DAILY {
				return nil, errors.New("RRULE: a shift that repeats more often than daily is not supported")
			}
			o.Dtstart = e.start
			rule, err := rrule.NewRRule(*o)
			if err != nil {
				return nil, fmt.Errorf("RRULE: %.60q cannot be read", p.Value)
			}
			set.RRule(rule)
			repeats = true
		case "RDATE", "EXDATE":
			for value := range strings.SplitSeq(p.Value, ",") {
				one := p
				one.Value = value
				at, _, err := icsTime(&ics.IANAProperty{BaseProperty: one.BaseProperty})
				if err != nil {
					return nil, fmt.Errorf("%s: %w", p.IANAToken, err)
				}
				if p.IANAToken == "RDATE" {
					set.RDate(at)
					repeats = true
				} else {
					set.ExDate(at)
				}
			}
		}
	}
	if !repeats {
		return []time.Time{e.start}, nil
	}
	set.RDate(e.start)
	if until.IsZero() {
		until = e.start.AddDate(1, 0, 0)
	}
	var all []time.Time
	next := set.Iterator()
	for at, ok := next(); ok && !at.After(until); at, ok = next() {
		if len(all) == maxRepeats {
			return nil, fmt.Errorf("RRULE: the event repeats more than %d times; set until in the map", maxRepeats)
		}
		all = append(all, at)
	}
	return all, nil
}
