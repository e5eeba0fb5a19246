package messages

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// plainResult is a Result without its encoder, so that package encoding/json shows what is expected.
type plainResult Result

func expected(t *testing.T, r Result) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(plainResult(r)); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestAppendJSON(t *testing.T) {
	rows := append(sampleResults(), Result{}, Result{
		Outcome: "\x00\x1f\"\\/<>&", AgentID: "é🙂", Retcode: "\u2028\u2029\u2027", Message: "\b\f\n\r\t\v\x7f", Flag: "\xff\xfe",
		ChangeID: "a\xe2\x80", ChangeSeq: math.MaxUint64, ChangeIndex: math.MinInt, Attempts: math.MaxInt, Reason: "\ufffd", Source: "\xed\xa0\x80",
	})
	for _, r := range rows {
		if got, want := string(r.AppendJSON([]byte("x"))), "x"+expected(t, r); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		// The copy that json.Marshal makes may escape more, but must mean the same.
		encoded, err := json.Marshal(map[string]any{"r": r, "p": &r})
		if err != nil || strings.Count(string(encoded), `"outcome"`) != 2 {
			t.Errorf("Marshal: %s, %v", encoded, err)
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

func TestAppendJSONDoesNotAllocate(t *testing.T) {
	r, buf := sampleResults()[0], make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf = r.AppendJSON(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
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
		if y := r.FinishedAt.UTC().Year(); y < 0 || y > 9999 {
			return
		}
		if y := r.EffectiveAt.UTC().Year(); y < 0 || y > 9999 {
			return
		}
		r.EffectiveAt, r.FinishedAt = r.EffectiveAt.UTC(), r.FinishedAt.UTC()
		if want := strings.ReplaceAll(expected(t, r), `\ufffd`, "\ufffd"); string(text) != want {
			t.Fatalf("got %s\nwant %s", text, want)
		}
	})
}

// A field that is new in the struct has to be written by hand, too.
func TestAppendJSONWritesEveryField(t *testing.T) {
	var r Result
	for _, f := range reflect.ValueOf(&r).Elem().Fields() {
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int:
			f.SetInt(1)
		case reflect.Uint64:
			f.SetUint(1)
		case reflect.Struct:
			f.Set(reflect.ValueOf(time.Unix(1, 0)))
		default:
			t.Fatalf("no value for a %s", f.Type())
		}
	}
	written := map[string]any{}
	if err := json.Unmarshal(r.AppendJSON(nil), &written); err != nil {
		t.Fatal(err)
	}
	got, want := slices.Sorted(maps.Keys(written)), slices.Sorted(slices.Values(jsonNames(reflect.TypeFor[Result]())))
	if !slices.Equal(got, want) {
		t.Errorf("written are %v\nwant %v", got, want)
	}
}
