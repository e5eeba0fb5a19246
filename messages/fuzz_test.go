package messages

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func FuzzDecode(f *testing.F) {
	for _, seed := range samples(f, "change") {
		f.Add(seed)
	}
	for _, seed := range []string{
		``, `null`, `[[]]`, `{"agent_ids":[1001,1001],"flag":true,"id":"x"}`, `{"\u0061gent_id":"1001","flag":"\ud800"}`,
		`{"changes":[{"agent_id":1001,"cancel":true,"id":"x"},{},null],"flag":null,"batch_total":3}`,
		enveloped(`{"agent_ids":[1001,1001],"flag":true,"id":"x"}`), packed(`[{"agent_id":1001,"flag":true},7]`), packed("["),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := string(data)
		m := Decode(data, defaultName)
		if string(data) != before {
			t.Fatal("the bytes were changed")
		}
		checkMessage(t, m)
		checkWalk(t, data)
		for i := range m.Changes {
			c := m.Changes[i]
			checkChange(t, &c)
			c.Index = 0
			if again := Decode(encodeChange(&c), "another"); len(again.Changes) != 1 || again.Changes[0] != c {
				t.Fatalf("encoded again: %+v\nwant %+v", again, c)
			}
			if i < 3 {
				checkExtract(t, data, &m.Changes[i])
			}
		}
		for i := range min(3, len(m.Rejected)) {
			r := &m.Rejected[i]
			if letter := Extract(data, r.Index); json.Valid(data) && !json.Valid(letter) {
				t.Fatalf("extracted no JSON: %s", letter)
			}
		}
	})
}

// checkWalk holds the walk over an object against package encoding/json.
func checkWalk(t *testing.T, data []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members == nil {
		return
	}
	seen := map[string]string{}
	w := walk{text: data, at: pastSpace(data, 0) + 1}
	for name, value, ok := w.member(); ok; name, value, ok = w.member() {
		seen[strings.ToValidUTF8(string(name), "\ufffd")] = string(value)
	}
	for name, value := range members {
		if utf8.ValidString(name) && !strings.Contains(name, "\ufffd") && seen[name] != string(value) {
			t.Fatalf("%q is %s, want %s", name, seen[name], value)
		}
	}
}

// checkMessage proves what is promised of every message.
func checkMessage(t *testing.T, m Message) {
	t.Helper()
	if m.Items < 1 || m.Items > MaxItems || m.Items != len(m.Changes)+len(m.Rejected) {
		t.Fatalf("%d items, %d changes, %d rejections", m.Items, len(m.Changes), len(m.Rejected))
	}
	seen := make([]bool, m.Items)
	see := func(index, last int) int {
		if index <= last || index >= m.Items || seen[index] {
			t.Fatalf("index %d after %d of %d", index, last, m.Items)
		}
		seen[index] = true
		return index
	}
	last := -1
	for i := range m.Changes {
		last = see(m.Changes[i].Index, last)
	}
	last = -1
	for i := range m.Rejected {
		r := &m.Rejected[i]
		last = see(r.Index, last)
		checkSentence(t, r.Message)
		if r.AgentID != UnknownAgent && !ValidAgentID(r.AgentID) || !ValidID(r.ID) || r.Flag != "" && !usableFlag(r.Flag) {
			t.Fatalf("rejection with %+v", r)
		}
		if r.BatchID != "" && !isWord(r.BatchID, 64) || r.BatchID == "" && r.BatchTotal != 0 {
			t.Fatalf("rejection with batch %q of %d", r.BatchID, r.BatchTotal)
		}
	}
}

func checkSentence(t *testing.T, s string) {
	t.Helper()
	if s == "" || len(s) > 230 || !utf8.ValidString(s) || !strings.Contains(s, ": ") {
		t.Errorf("sentence of %d bytes: %q", len(s), s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Errorf("sentence with %U: %q", r, s)
		}
	}
}

func usableFlag(s string) bool {
	return isWord(s, 5) && (s == "true" || notFlag[strings.ToLower(s)] == "")
}

func checkChange(t *testing.T, c *Change) {
	t.Helper()
	year := func(at time.Time) bool {
		return at.IsZero() || at.Location() == time.UTC && at.Year() >= 1970 && at.Year() <= 9999
	}
	if !ValidAgentID(c.AgentID) || !ValidID(c.ID) || !usableFlag(c.Flag) && (!c.Cancel || c.Flag != "") ||
		c.BatchID != "" && !isWord(c.BatchID, 64) || c.BatchTotal < 0 || c.BatchTotal > 1e9 || c.BatchID == "" && c.BatchTotal != 0 ||
		!year(c.EffectiveAt) || !year(c.ValidUntil) || len(c.Reason) > 1024 || len(c.Source) > 1024 ||
		!c.EffectiveAt.IsZero() && !c.ValidUntil.IsZero() && !c.ValidUntil.After(c.EffectiveAt) {
		t.Fatalf("unusable: %+v", c)
	}
}

// encodeChange writes a change as a message of its own.
func encodeChange(c *Change) []byte {
	m := map[string]any{"agent_id": c.AgentID, "id": c.ID}
	for name, v := range map[string]any{
		"flag": c.Flag, "batch_id": c.BatchID, "batch_total": c.BatchTotal, "effective_at": c.EffectiveAt,
		"valid_until": c.ValidUntil, "reason": c.Reason, "source": c.Source, "cancel": c.Cancel,
	} {
		if !reflect.ValueOf(v).IsZero() {
			m[name] = v
		}
	}
	data, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return data
}

// checkExtract proves that a change means the same when it is a message of its own.
func checkExtract(t *testing.T, data []byte, c *Change) {
	t.Helper()
	letter := Extract(data, c.Index)
	m := Decode(letter, c.ID)
	want := *c
	want.Index = 0
	if len(m.Changes) != 1 || m.Changes[0] != want {
		t.Fatalf("extracted %s: %+v\nwant %+v", letter, m, want)
	}
}
