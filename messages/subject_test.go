package messages

import (
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	n, other := Names{"idlepolicy"}, Names{"site-1.b_c"}
	for got, want := range map[string]string{
		n.Changes(): "idlepolicy.changes", n.ChangesAll(): "idlepolicy.changes.>",
		n.Result(Applied, "1001"): "idlepolicy.result.applied.1001", n.AgentResults("1001"): "idlepolicy.result.*.1001", n.ResultsAll(): "idlepolicy.result.>",
		n.Batch("b"): "idlepolicy.batch.b", n.BatchProgress("b"): "idlepolicy.batch.b.progress", n.BatchAll(): "idlepolicy.batch.>",
		n.Dead("unknown"): "idlepolicy.dead.unknown", n.DeadAll(): "idlepolicy.dead.>",
		n.ChangesStream(): "IDLEPOLICY_CHANGES", n.ResultsStream(): "IDLEPOLICY_RESULTS", n.DeadStream(): "IDLEPOLICY_DEAD",
		n.SessionsBucket(): "idlepolicy_sessions", n.AppliedBucket(): "idlepolicy_applied", n.ControlBucket(): "idlepolicy_control",
		other.Changes(): "site-1.b_c.changes", other.ChangesStream(): "SITE_1_B_C_CHANGES", other.SessionsBucket(): "site_1_b_c_sessions",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestPrefixOf(t *testing.T) {
	for _, prefix := range []string{"a", "a.b", "a-b", "a.changes", "a.result", "changes"} {
		n := Names{prefix}
		for _, subject := range []string{n.Changes(), n.ChangesAll(), n.ResultsAll(), n.BatchAll(), n.DeadAll()} {
			if got, ok := PrefixOf(subject); !ok || got != prefix {
				t.Errorf("%s: got %q, %v, want %q", subject, got, ok, prefix)
			}
		}
	}
	for _, subject := range []string{"", ">", "changes", ".changes", "a.>", "a.result", "a.dead", "a.changes.*", "A.changes", "$KV.a_sessions.>", "orders.new"} {
		if got, ok := PrefixOf(subject); ok || got != "" {
			t.Errorf("%s: got %q, %v", subject, got, ok)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	for _, prefix := range []string{"idlepolicy", "a", "0", "-", "_", "a.b", "site-1.b_c", strings.Repeat("a", 32)} {
		if err := CheckPrefix(prefix); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	for _, prefix := range []string{"", strings.Repeat("a", 33), "A", "é", "a b", "a*", ">", "$JS", ".", ".a", "a.", "a..b", "a\n", "a/b"} {
		if CheckPrefix(prefix) == nil {
			t.Errorf("%q: accepted", prefix)
		}
	}
}

func TestParseResultSubject(t *testing.T) {
	n := Names{"a.b"}
	for _, o := range Outcomes() {
		for _, agent := range []string{"101", "999999", UnknownAgent} {
			if got, who, ok := n.ParseResultSubject(n.Result(o, agent)); !ok || got != o || who != agent {
				t.Errorf("%s: got %s, %s, %v", n.Result(o, agent), got, who, ok)
			}
		}
	}
	for _, subject := range []string{
		"", "a.b", "a.b.result.", "a.b.result.applied", "a.b.result.applied.", "a.b.result.applied.100", "a.b.result.applied.1001.x",
		"a.b.result.done.1001", "a.b.result.*.1001", "a.b.batch.applied.1001", "a.result.applied.1001", "xa.b.result.applied.1001", "a.bresult.applied.1001",
	} {
		if o, agent, ok := n.ParseResultSubject(subject); ok || o != "" || agent != "" {
			t.Errorf("%s: got %s, %s, %v", subject, o, agent, ok)
		}
	}
}

func TestValidAgentID(t *testing.T) {
	for s, want := range map[string]bool{
		"101": true, "999": true, "59999": true, "999999": true,
		"": false, "1": false, "99": false, "100": false, "099": false, "0101": false, "1000000": false, "10a": false, "1 1": false, "+101": false, "１０１": false,
	} {
		if ValidAgentID(s) != want {
			t.Errorf("%q: got %v", s, !want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	var ends []Outcome
	for _, o := range Outcomes() {
		if o.Ends() {
			ends = append(ends, o)
		}
	}
	if want := []Outcome{Applied, Superseded, Expired, Rejected, Failed}; !slices.Equal(ends, want) || len(Outcomes()) != 7 || Outcome("").Ends() {
		t.Errorf("got %v of %v, want %v", ends, Outcomes(), want)
	}
	Outcomes()[0] = "spoiled"
	if Outcomes()[0] != Applied {
		t.Error("the set can be changed from outside")
	}
}

func TestCloudEvent(t *testing.T) {
	r := sampleResults()[0]
	want := [][2]string{
		{"Content-Type", "application/json"},
		{"ce-specversion", "1.0"},
		{"ce-id", "7"},
		{"ce-source", "/idlepolicy"},
		{"ce-type", "idlepolicy.result.applied"},
		{"ce-subject", "1001"},
		{"ce-time", "2026-11-22T17:00:00.25Z"},
	}
	if got := r.CloudEvent(Names{"idlepolicy"}, "7"); !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
