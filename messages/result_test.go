package messages

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestAppendJSON(t *testing.T) {
	r := Result{
		Outcome: Applied, AgentID: "é🙂", Message: "<>&\"\\\n", Reason: "a\xffb\xe2\x80", ChangeSeq: math.MaxUint64,
		ChangeIndex: math.MinInt, Attempts: math.MaxInt,
	}
	const want = `x{"outcome":"applied","agent_id":"é🙂","retcode":"","message":"<>&\"\\\n","change_id":"",` +
		`"change_seq":18446744073709551615,"change_index":-9223372036854775808,"attempts":9223372036854775807,` +
		`"received_at":"0001-01-01T00:00:00Z","finished_at":"0001-01-01T00:00:00Z","reason":"a\ufffdb\ufffd\ufffd"}`
	if got := string(r.AppendJSON([]byte("x"))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	// Within other values it may be escaped more, but must mean the same.
	for _, value := range []any{r, &r, map[string]any{"r": r}} {
		if text, err := json.Marshal(value); err != nil || !strings.Contains(string(text), `"outcome":"applied"`) {
			t.Errorf("Marshal: %s, %v", text, err)
		}
	}
}

func TestAppendJSONTimes(t *testing.T) {
	for given, want := range map[time.Time]string{
		at("2026-11-22T17:00:00.123456789Z"):                              "2026-11-22T17:00:00.123456789Z",
		at("2026-11-22T17:00:00Z").In(time.FixedZone("", 3600)):           "2026-11-22T17:00:00Z",
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)): "9999-12-31T23:59:59.999999999Z",
		time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC):                      "9999-12-31T23:59:59.999999999Z",
		time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC):                         "0000-01-01T00:00:00Z",
	} {
		r := Result{FinishedAt: given, ValidUntil: given}
		var back Result
		if err := json.Unmarshal(r.AppendJSON(nil), &back); err != nil {
			t.Errorf("%s: %v", given, err)
		}
		if got := back.FinishedAt.Format(time.RFC3339Nano); got != want || !back.ValidUntil.Equal(back.FinishedAt) {
			t.Errorf("%s: got %s, want %s", given, got, want)
		}
	}
}

func TestAppendJSONOmits(t *testing.T) {
	r := Result{}
	const want = `{"outcome":"","agent_id":"","retcode":"","message":"","change_id":"","change_seq":0,"change_index":0,"attempts":0,` +
		`"received_at":"0001-01-01T00:00:00Z","finished_at":"0001-01-01T00:00:00Z"}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func FuzzResult(f *testing.F) {
	for _, r := range sampleResults() {
		f.Add(string(r.Outcome), r.Message, r.Flag, r.ChangeID, r.ChangeSeq, r.ChangeIndex, r.FinishedAt.Unix(), int64(r.EffectiveAt.Nanosecond()))
	}
	f.Add("\xff", "\u2028", "<>", "\x00", uint64(math.MaxUint64), -1, int64(math.MaxInt64), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, outcome, message, flag, id string, seq uint64, index int, sec, nsec int64) {
		r := Result{
			Outcome: Outcome(outcome), AgentID: flag, Retcode: id, Message: message, Flag: flag, ChangeID: id, ChangeSeq: seq,
			ChangeIndex: index, BatchID: outcome, Attempts: index, SupersededBy: id, Reason: message, Source: flag,
			ReceivedAt: time.Unix(0, nsec).UTC(), EffectiveAt: time.Unix(sec%1e10, nsec), FinishedAt: time.Unix(sec, nsec),
		}
		text := r.AppendJSON(nil)
		var back Result
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		// What was no UTF-8 is U+FFFD now, and needs no escape any more.
		text = bytes.ReplaceAll(text, []byte(`\ufffd`), []byte("\ufffd"))
		if again := back.AppendJSON(nil); !bytes.Equal(again, text) {
			t.Fatalf("read back and written:\n%s\n%s", again, text)
		}
	})
}
