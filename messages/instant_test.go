package messages

import (
	"strconv"
	"strings"
	"testing"
)

func TestInstants(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-23T14:00:00+01:00":     "2026-11-23T13:00:00Z",
		"2026-11-23t14:00:00z":          "2026-11-23T14:00:00Z",
		"2026-11-23 14:00:00+01:00":     "2026-11-23T13:00:00Z",
		"2026-11-23T14:00:00.25Z":       "2026-11-23T14:00:00.25Z",
		"2026-11-23T14:00:00.000-00:30": "2026-11-23T14:30:00Z",
	} {
		if got, wrong := instant([]byte(strconv.Quote(text))); wrong != "" || !got.Equal(at(want)) {
			t.Errorf("%s: %v, %s", text, got, wrong)
		}
		checkSchema(t, "change", []byte(`{"agent_id":"1001","flag":"true","effective_at":"`+text+`"}`), true)
	}
}

// The sentence about a time says what programs of this field leave out, so that whoever wrote it knows what to add.
func TestIncompleteInstants(t *testing.T) {
	for value, want := range map[string]string{
		`"2026-11-23T14:00+01:00"`:                   "has no seconds",
		`"2026-11-23T13:00Z"`:                        "has no seconds",
		`"2026-11-23T14:00:00+01:00[Europe/Vienna]"`: "has a zone in brackets",
		`"2026-11-23T14:00:00.000+0100"`:             "has no colon in its offset",
		`"2026-11-23T14:00:00+01"`:                   "has no minutes in its offset",
		`"2026-11-23T14:00:00"`:                      "has no zone",
		`"2026-11-23T14:00"`:                         "has no seconds and no zone",
		`"2026-11-23T14:00[Europe/Vienna]"`:          "has no seconds and no zone and a zone in brackets",
		`"2026-11-23 14:00:00 +0100"`:                "has a space before its zone",
		`"2026-11-23T14:00:00,000000000+01:00"`:      "has a comma before its fraction",
		`"2016-12-31T23:59:60Z"`:                     "has a leap second, which no clock here counts",
		`"2026-11-23"`:                               "is a date without a time of day and a zone",
		`1795424400000`:                              "is a number, perhaps seconds or milliseconds since 1970",
		`1795424400.5`:                               "is a number, perhaps seconds or milliseconds since 1970",
		`"1795424400"`:                               "is a number, perhaps seconds or milliseconds since 1970",
		`"2026-02-30T14:00:00Z"`:                     "is not an instant",
		`"23.11.2026 14:00"`:                         "is not an instant",
		`"tomorrow"`:                                 "is not an instant",
		`"2026-11-23T1:00:00Z"`:                      "is not an instant",
		`"2026-11-23T14:00:00+24:00"`:                "is not an instant",
		`"2026-11-23_14:00:00Z"`:                     "is not an instant",
		`"2026-11-23  14:00:00Z"`:                    "is not an instant",
		`"1969-12-31T23:59:59Z"`:                     "is not in the years 1970 to 9999",
		`{}`:                                         "is not a string",
	} {
		_, rejected := sole(t, `{"agent_id":"1001","flag":"true","effective_at":`+value+`}`)
		if rejected == nil || !strings.Contains(rejected.Message, " "+want+"; want RFC 3339 with zone") {
			t.Errorf("%s: %+v, want %q", value, rejected, want)
		}
	}
}
