package mapping

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Bound is an end of the horizon: an instant, a date, now or today, and days, hours or minutes more or less. The zero
// Bound is none.
type Bound struct {
	base string
	more time.Duration
	days int
}

// IsZero reports whether there is no bound.
func (b Bound) IsZero() bool { return b.base == "" }

var boundText = regexp.MustCompile(`^(now|today|\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d)?(?:[Zz]|[+-]\d\d:\d\d))?)\s*(?:([+-])\s*(\d{1,4})([dhm]))?$`)

func (r *reader) bound(name string, n *yaml.Node) Bound {
	b, ok := ParseBound(r.text(name, n))
	if !ok && n.Value != "" {
		r.fault(n.Line, "%s: %.40q; want an instant with zone, a date, now or today, and for example +7d behind it", name, n.Value)
	}
	return b
}

// ParseBound reads a bound.
func ParseBound(s string) (Bound, bool) {
	m := boundText.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return Bound{}, false
	}
	b := Bound{base: m[1]}
	if b.base != "now" && b.base != "today" {
		if _, ok := b.fixed(time.UTC); !ok {
			return Bound{}, false
		}
	}
	n, _ := strconv.Atoi(m[2] + m[3]) // "" is 0
	switch m[4] {
	case "d":
		b.days = n
	case "h":
		b.more = time.Duration(n) * time.Hour
	case "m":
		b.more = time.Duration(n) * time.Minute
	}
	return b, true
}

func (b Bound) fixed(zone *time.Location) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, strings.Replace(strings.ToUpper(b.base), " ", "T", 1), zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// At returns the instant of the bound.
func (b Bound) At(now time.Time, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	t := now.In(zone)
	switch b.base {
	case "now":
	case "today":
		t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
	default:
		t, _ = b.fixed(zone)
	}
	return t.AddDate(0, 0, b.days).Add(b.more)
}
