package messages

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The attributes of CloudEvents 1.0 that are required, and those that may be there.
var attributes = map[string]bool{
	"id": true, "source": true, "specversion": true, "type": true,
	"subject": false, "time": false, "dataschema": false,
}

var attributeName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

func TestResultsKeepTheRulesOfCloudEvents(t *testing.T) {
	for _, prefix := range []string{"idlepolicy", "a", "site-1.idle_policy"} {
		for _, r := range sampleResults() {
			checkCloudEvent(t, r.CloudEvent(Names{prefix}, "42.0.applied.1"), "42.0.applied.1")
		}
	}
}

func checkCloudEvent(t *testing.T, headers [][2]string, id string) {
	t.Helper()
	values := map[string]string{}
	for _, h := range headers {
		name, attribute := strings.CutPrefix(h[0], "ce-")
		if _, twice := values[name]; twice {
			t.Errorf("%s: twice", h[0])
		}
		if values[name] = h[1]; !attribute {
			continue
		}
		if _, known := attributes[name]; !known || !attributeName.MatchString(name) {
			t.Errorf("%s: no attribute of a CloudEvent", h[0])
		}
		if h[1] == "" {
			t.Errorf("%s: empty", h[0])
		}
		// Other characters would have to be percent-encoded in a header.
		if strings.ContainsFunc(h[1], func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '%' }) {
			t.Errorf("%s: %q cannot stand in a header as it is", h[0], h[1])
		}
	}
	for name, required := range attributes {
		if required && values[name] == "" {
			t.Errorf("ce-%s: missing", name)
		}
	}
	if values["specversion"] != "1.0" || values["id"] != id {
		t.Errorf("specversion %q, id %q", values["specversion"], values["id"])
	}
	if _, err := url.Parse(values["source"]); err != nil {
		t.Errorf("source: no URI reference: %v", err)
	}
	if _, err := time.Parse(time.RFC3339, values["time"]); err != nil || !isRFC3339(values["time"]) {
		t.Errorf("time: %q, %v", values["time"], err)
	}
	// In binary mode the data's own type is given; the type of an event as a whole would be structured mode.
	if values["Content-Type"] != "application/json" {
		t.Errorf("content type %q", values["Content-Type"])
	}
}
