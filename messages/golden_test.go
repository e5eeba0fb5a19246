package messages

import (
	"bytes"
	"encoding/json"
	commandline "flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The files under testdata are samples for whoever writes a publisher or a reader in another language.
var update = commandline.Bool("update", false, "write the expected files again")

// samples returns the input files of one kind by their names.
func samples(tb testing.TB, kind string) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob("testdata/" + kind + "-*.in")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no samples of %s: %v", kind, err)
	}
	found := map[string][]byte{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		found[strings.TrimSuffix(path, ".in")] = data
	}
	return found
}

// golden compares with an expected file.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	got = append(bytes.TrimSpace(got), '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", path, got, want)
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldenChanges(t *testing.T) {
	for name, data := range samples(t, "change") {
		m := Decode(data, defaultName)
		checkSchema(t, "change", data, len(m.Rejected) == 0)
		golden(t, name+".json", indented(t, m))
	}
}

func TestGoldenSessions(t *testing.T) {
	for name, data := range samples(t, "session") {
		s, err := DecodeSession(data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden(t, name+".json", EncodeSession(s))
	}
}

func TestGoldenResults(t *testing.T) {
	for _, r := range sampleResults() {
		golden(t, "testdata/result-"+string(r.Outcome)+".json", r.AppendJSON(nil))
		var back Result
		if err := json.Unmarshal(r.AppendJSON(nil), &back); err != nil || back != r {
			t.Errorf("read back %+v, %v\nwant %+v", back, err, r)
		}
	}
}

func sampleResults() []Result {
	base := Result{
		AgentID: "1001", ChangeID: "c-17", ChangeSeq: 42, BatchID: "late-shift-7", Flag: "false", Reason: "late shift", Source: "wfm",
		ReceivedAt: at("2026-11-22T16:59:59Z"), EffectiveAt: at("2026-11-22T17:00:00.123456789Z"),
		ValidUntil: at("2026-11-23T05:00:00Z"), FinishedAt: at("2026-11-22T17:00:00.25Z"),
	}
	of := func(o Outcome, retcode, message string, attempts int) Result {
		r := base
		r.Outcome, r.Retcode, r.Message, r.Attempts = o, retcode, message, attempts
		return r
	}
	superseded := of(Superseded, "100-007", "a newer change for this agent took effect", 1)
	superseded.SupersededBy = "c-18"
	return []Result{
		of(Applied, "0", "success", 1),
		superseded,
		of(Expired, "", "valid_until passed before the agent signed in", 0),
		{
			Outcome: Rejected, AgentID: UnknownAgent, Message: `flag: "yes" looks like true`, ChangeID: "43", ChangeSeq: 43, ChangeIndex: 2,
			ReceivedAt: base.ReceivedAt, FinishedAt: base.ReceivedAt,
		},
		of(Failed, "000-002", "parameter error", 1),
		of(Waiting, "100-006", "agent is not signed in", 1),
		of(Reapplied, "0", "success", 0),
	}
}

func TestGoldenBatches(t *testing.T) {
	s := BatchSummary{BatchID: "late-shift-7", Total: 5, StartedAt: at("2026-11-22T17:00:00Z")}
	p := BatchProgress{BatchSummary: s, ExpectedEnd: at("2026-11-22T17:00:03Z"), Missed: 2, At: at("2026-11-22T17:00:01Z")}
	p.Count(Applied)
	golden(t, "testdata/batch-progress.json", indented(t, p))
	for _, o := range Outcomes() {
		s.Count(o)
	}
	if s.Ended() != 5 {
		t.Errorf("%d ended, want 5", s.Ended())
	}
	s.FinishedAt = at("2026-11-22T17:00:03.5Z")
	golden(t, "testdata/batch-summary.json", indented(t, s))
	var back BatchSummary
	if err := json.Unmarshal(indented(t, s), &back); err != nil || back != s {
		t.Errorf("read back %+v, %v", back, err)
	}
}

// sameMembers tells whether two JSON texts are the same value, apart from space and order.
func sameMembers(t *testing.T, a []byte, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return string(a) == b
	}
	return reflect.DeepEqual(x, y)
}
