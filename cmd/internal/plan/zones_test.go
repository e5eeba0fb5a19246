package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"idlepolicy/cmd/internal/plan"
	"idlepolicy/cmd/internal/plan/mapping"
)

// calendar is what Outlook and others export: the zone is defined in the file, under a name of its own.
const calendar = `BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VTIMEZONE
TZID:NAME
PLACEBEGIN:STANDARD
DTSTART:16010101T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
UID:1
DTSTART;TZID="NAME":20990701T080000
DTEND;TZID="NAME":20990701T160000
SUMMARY:1001
END:VEVENT
END:VCALENDAR
`

// graph is a dateTimeTimeZone of Microsoft Graph.
const graph = `{"value": [{"agent": "1001", "start": {"dateTime": "2099-07-01T08:00:00.0000000", "timeZone": "NAME"}, "end": {"dateTime": "2099-07-01T16:00:00.0000000", "timeZone": "NAME"}}]}`

const (
	calendarMap = "name: p\nformat: ics\nagent: SUMMARY\nstart: DTSTART\nend: DTEND\nactivity: =Shift\nactivities: {Shift: true}\n"
	graphMap    = "name: p\nformat: json\nrows: 'value[]'\nagent: agent\nstart: start.dateTime\nend: end.dateTime\nzone: start.timeZone\nactivity: =Shift\nactivities: {Shift: true}\n"
)

// Calendars and Graph name zones as Windows does, or define their own. What nobody can know is refused, and the map can say it.
func TestZonesOfOtherSystems(t *testing.T) {
	const winter, summer = "2099-07-01T07:00:00Z", "2099-07-01T06:00:00Z"
	for _, test := range []struct{ name, place, zones, want string }{
		{"Europe/Vienna", "", "", summer},
		{"W. Europe Standard Time", "", "", summer},
		{"Pacific Standard Time", "", "", "2099-07-01T15:00:00Z"},
		{"/example.org/20260101/Europe/Vienna", "", "", summer},
		{"UTC", "", "", "2099-07-01T08:00:00Z"},
		{"Customized Time Zone", "", "zones: {Customized Time Zone: Africa/Lagos}\n", winter},
		{"W. Europe Standard Time", "", "zones: {W. Europe Standard Time: Africa/Lagos}\n", winter},
		{"(UTC+01:00) Amsterdam, Wien", "", "", ""},
		{"Vienna", "X-LIC-LOCATION:Europe/Vienna\n", "", summer},
	} {
		for _, one := range []struct{ file, text, mapping string }{{"x.ics", calendar, calendarMap}, {"x.json", graph, graphMap}} {
			if test.place != "" && one.file != "x.ics" {
				continue
			}
			m, err := mapping.Parse([]byte(one.mapping + test.zones))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer("NAME", test.name, "PLACE", test.place).Replace(one.text)
			p, err := plan.Read(strings.NewReader(text), one.file, m, nil, sampleTime)
			if err != nil {
				t.Fatal(err)
			}
			if test.want != "" {
				if p.Faults() > 0 || time.Unix(p.Agents["1001"][0].Start, 0).UTC().Format(time.RFC3339) != test.want {
					t.Errorf("%s in %s: %+v, problems %+v; want %s", test.name, one.file, p.Agents, p.Problems, test.want)
				}
				continue
			}
			want := fmt.Sprintf("there is no time zone %q; want zones in the map, for example zones: {%[1]q: Europe/Vienna}", test.name)
			if p.Faults() != 1 || p.Problems[0].Message != want {
				t.Errorf("%s in %s: problems %+v, want %q", test.name, one.file, p.Problems, want)
			}
		}
	}
}
