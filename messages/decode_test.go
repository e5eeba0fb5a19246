package messages

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const defaultName = "m-1"

// sole decodes a message that has one item.
func sole(t *testing.T, body string) (*Change, *Rejection) {
	t.Helper()
	m := Decode([]byte(body), defaultName)
	checkSchema(t, "change", []byte(body), len(m.Rejected) == 0)
	if m.Items != 1 || len(m.Changes)+len(m.Rejected) != 1 {
		t.Fatalf("%s: got %d items, %d changes and %d rejections, want one item", body, m.Items, len(m.Changes), len(m.Rejected))
	}
	if len(m.Changes) == 1 {
		return &m.Changes[0], nil
	}
	return nil, &m.Rejected[0]
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestDecodeAccepts(t *testing.T) {
	id128 := strings.Repeat("ü", 128)
	for _, test := range []struct {
		body string
		want Change
	}{
		{`{"agent_id": "1001", "flag": "false"}`, Change{AgentID: "1001", Flag: "false", ID: defaultName}},
		{` {"flag":true , "agent_id":1001} `, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{"\r\n\t{\"agent_id\":\"101\",\"flag\":false}\n", Change{AgentID: "101", Flag: "false", ID: defaultName}},
		{`{"agent_id":999999,"flag":"aZ-_9"}`, Change{AgentID: "999999", Flag: "aZ-_9", ID: defaultName}},
		{`{"agent_id":"\u0031001","fl\u0061g":"\u0074rue"}`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{`{"agent_id":"1001","flag":"0"}`, Change{AgentID: "1001", Flag: "0", ID: defaultName}},
		{`{"agent_id":"1001","flag":"FALSE"}`, Change{AgentID: "1001", Flag: "FALSE", ID: defaultName}},
		{`{"agent_id":"1001","flag":"true","id":"c 17 é\"\\"}`, Change{AgentID: "1001", Flag: "true", ID: `c 17 é"\`}},
		{`{"agent_id":"1001","flag":"true","id":"` + id128 + `"}`, Change{AgentID: "1001", Flag: "true", ID: id128}},
		{`{"agent_id":"1001","flag":"true","id":"` + id128 + `.100000"}`, Change{AgentID: "1001", Flag: "true", ID: id128 + ".100000"}},
		{
			`{"agent_id":"1001","flag":"true","batch_id":"b-_9","batch_total":1000000000}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName, BatchID: "b-_9", BatchTotal: 1e9},
		},
		{`{"agent_id":"1001","flag":"true","batch_total":"x"}`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{`{"agent_id":"1001","flag":"true","batch_total":7}`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{
			`{"agent_id":"1001","flag":"true","effective_at":"2026-11-22T18:00:00.5+01:00","valid_until":"2026-11-22T17:00:00.500000001Z"}`,
			Change{
				AgentID: "1001", Flag: "true", ID: defaultName,
				EffectiveAt: at("2026-11-22T17:00:00.5Z"), ValidUntil: at("2026-11-22T17:00:00.500000001Z"),
			},
		},
		{
			`{"agent_id":"1001","flag":"true","effective_at":"1970-01-01T00:00:00Z"}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName, EffectiveAt: at("1970-01-01T00:00:00Z")},
		},
		{
			`{"agent_id":"1001","flag":"true","valid_until":"9999-12-31T23:59:59Z"}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName, ValidUntil: at("9999-12-31T23:59:59Z")},
		},
		{
			`{"agent_id":"1001","flag":"true","reason":"late\nshift","source":""}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName, Reason: "late\nshift"},
		},
		{`{"agent_id":"1001","flag":"true","reason":"a` + "\xff" + `b"}`, Change{AgentID: "1001", Flag: "true", ID: defaultName, Reason: "a\ufffdb"}},
		{
			`{"agent_id":"1001","flag":"true","reason":"` + strings.Repeat("é", 600) + `"}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName, Reason: strings.Repeat("é", 512)},
		},
		{
			`{"agent_id":"1001","flag":"true","source":"x` + strings.Repeat("é", 600) + `"}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName, Source: "x" + strings.Repeat("é", 511)},
		},
		// Null is as good as missing, save for the flag.
		{
			`{"agent_id":"1001","agent_ids":null,"changes":null,"flag":"true","id":null,"batch_id":null,"batch_total":null,` +
				`"effective_at":null,"valid_until":null,"cancel":null,"reason":null,"source":null}`,
			Change{AgentID: "1001", Flag: "true", ID: defaultName},
		},
		// What has no meaning is ignored, and a name in other letters is another name.
		{`{"agent_id":"1001","flag":"true","ID":"x","Flag":"t","x":{"flag":["}"]},"":[[]],"y":1e5}`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{`{"agent_id":"1001","flag":"t","flag":"true"}`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		// A cancel needs a name and no flag.
		{`{"agent_id":"1001","id":"c-1","cancel":true}`, Change{AgentID: "1001", ID: "c-1", Cancel: true}},
		{`{"agent_id":"1001","id":"c-1","cancel":true,"flag":"yes"}`, Change{AgentID: "1001", ID: "c-1", Cancel: true}},
		{`{"agent_id":"1001","id":"c-1","cancel":false,"flag":"true"}`, Change{AgentID: "1001", ID: "c-1", Flag: "true"}},
		{`[{"agent_id":"1001","flag":"true"}]`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{`{"agent_ids":[1001],"flag":"true"}`, Change{AgentID: "1001", Flag: "true", ID: defaultName}},
		{`{"changes":[{"agent_id":1001}],"flag":"true","id":"o"}`, Change{AgentID: "1001", Flag: "true", ID: "o"}},
	} {
		if got, rejected := sole(t, test.body); rejected != nil {
			t.Errorf("%s: rejected: %s", test.body, rejected.Message)
		} else if *got != test.want {
			t.Errorf("%s:\n got %+v\nwant %+v", test.body, *got, test.want)
		}
	}
}

func TestDecodeRejects(t *testing.T) {
	type row struct{ body, field, agent string }
	rows := []row{
		{``, "message: empty", "unknown"},
		{" \n", "message: empty", "unknown"},
		{`{"agent_id":"1001","flag":"true"`, "message: not JSON, wrong at byte 32", "unknown"},
		{`{"agent_id":"1001","flag":"true"}x`, "message: not JSON, wrong at byte 34", "unknown"},
		{`{"agent_id":"1001" "flag":"true"}`, "message: not JSON", "unknown"},
		{strings.Repeat("[", 1e6), "message: not JSON", "unknown"},
		{strings.Repeat("[", 9e3) + strings.Repeat("]", 9e3), "message: the item ", "unknown"},
		{`17`, "message: 17", "unknown"},
		{`"1001"`, `message: "1001"`, "unknown"},
		{`null`, "message: null", "unknown"},
		{`[]`, "message: empty; at least one change is needed", "unknown"},
		{`{}`, "agent_id: missing", "unknown"},
		{`{"Agent_ID":"1001","flag":"true"}`, "agent_id: missing", "unknown"},
		{`{"agent_id":null,"flag":"true"}`, "agent_id: missing", "unknown"},
		{`{"agent_id":"1001","agent_ids":["1002"],"flag":"true"}`, "agent_id and agent_ids: given together", "1001"},
		{`{"agent_id":"1001","agent_ids":[],"changes":[],"flag":"true"}`, "agent_id and agent_ids and changes: given together", "1001"},
		{`{"agent_ids":["1002"],"changes":[{"agent_id":"1001"}],"flag":"true"}`, "agent_ids and changes: given together", "unknown"},
		{`{"agent_ids":[],"flag":"true"}`, "agent_ids: empty", "unknown"},
		{`{"agent_ids":"1001","flag":"true"}`, `agent_ids: "1001" is not an array`, "unknown"},
		{`{"changes":[ ],"flag":"true"}`, "changes: empty", "unknown"},
		{`{"changes":{"agent_id":"1001"},"flag":"true"}`, "changes: {", "unknown"},
		{`{"agent_ids":[1001` + strings.Repeat(",1001", MaxItems) + `],"flag":"true"}`, "agent_ids: more than 100000 items", "unknown"},

		{`[1001]`, "message: the item 1001 is not an object", "unknown"},
		{`{"changes":[null],"flag":"true"}`, "changes: the item null is not an object", "unknown"},
		{`{"changes":[{}],"flag":"true"}`, "agent_id: missing", "unknown"},
		{`[{"agent_id":"1001","agent_ids":["1002"],"flag":"true"}]`, "agent_ids: not possible in an item", "1001"},
		{`[{"agent_id":"1001","changes":[],"flag":"true"}]`, "changes: not possible in an item", "1001"},
		{`{"agent_ids":[null],"flag":"true"}`, "agent_id: null", "unknown"},

		{`{"agent_id":"1001"}`, "flag: missing", "1001"},
		{`{"agent_id":"1001","FLAG":"true"}`, "flag: missing", "1001"},
		{`{"agent_id":"1001","cancel":true}`, "id: missing", "1001"},
		{`{"agent_id":"1001","cancel":true,"id":""}`, `id: ""`, "1001"},
		{`{"agent_ids":["1001"],"cancel":true}`, "id: missing", "1001"},
		{
			`{"agent_id":"1001","flag":"true","effective_at":"2026-11-22T18:00:00+01:00","valid_until":"2026-11-22T17:00:00Z"}`,
			"valid_until: not after effective_at", "1001",
		},
	}
	for _, agent := range []string{
		`"100"`, `100`, `"0101"`, `"1000000"`, `1000000`, `"+1001"`, `"-1001"`, `-1001`, `1001.0`, `1.001e3`, `1e3`, `"1e3"`, `""`,
		`" 1001"`, `"1001 "`, `"10 1"`, `"abc"`, `"１００１"`, `true`, `[]`, `{}`, `["1001"]`, `0`, `"unknown"`, `"*"`,
	} {
		rows = append(rows, row{`{"agent_id":` + agent + `,"flag":"true"}`, "agent_id: " + agent, "unknown"})
	}
	for field, values := range map[string][]string{
		"flag": {
			`null`, `1`, `0`, `1.5`, `[]`, `{}`, `""`, `"123456"`, `"tr ue"`, `" true"`, `"é"`, `"a.b"`,
			`"True"`, `"TRUE"`, `"tRuE"`, `"t"`, `"T"`, `"yes"`, `"Yes"`, `"y"`, `"Y"`, `"on"`, `"ON"`, `"1"`,
		},
		"id": {
			`""`, `1`, `true`, `[]`, `"a\nb"`, `"a\u0000"`, `"\u200b"`, `"a` + "\xff" + `"`, `"` + strings.Repeat("x", 129) + `"`,
			`"` + strings.Repeat("x", 129) + `.2"`, `"` + strings.Repeat("x", 128) + `.02"`, `"` + strings.Repeat("x", 128) + `.1"`,
			`"` + strings.Repeat("x", 128) + `.1234567"`, `"` + strings.Repeat("x", 128) + `."`,
		},
		"batch_id":     {`""`, `1`, `true`, `"a b"`, `"a.b"`, `"a*"`, `"é"`, `"` + strings.Repeat("x", 65) + `"`, `[]`},
		"effective_at": {`""`, `1`, `"2026-11-22"`, `"2026-11-22T18:00:00"`, `"2026-11-22T8:00:00Z"`, `"2026-11-22T8:00:00.5Z"`, `"2026-11-22T18:00:00,5Z"`, `"2026-02-30T18:00:00Z"`, `"2026-11-22T18:00:00+24:00"`, `"2026-11-22T18:00:00+01:60"`, `"2026-11-22T18:00:60Z"`, `"2026-11-22T18:00:00+0100"`, `"1969-12-31T23:59:59Z"`, `"1970-01-01T00:59:59+01:00"`, `"9999-12-31T23:59:59-01:00"`, `true`},
		"valid_until":  {`""`, `1700000000`, `"tomorrow"`, `{}`},
		"cancel":       {`"true"`, `1`, `0`, `"yes"`, `[]`, `{}`, `""`},
		"reason":       {`1`, `true`, `[]`, `{}`},
		"source":       {`1`, `false`, `["x"]`, `{}`},
	} {
		for _, value := range values {
			start := value
			if len(start) > 20 || field == "id" {
				start = ""
			}
			rest := `,"flag":"true"`
			if field == "flag" {
				rest = ""
			}
			rows = append(rows, row{`{"agent_id":"1001","` + field + `":` + value + rest + `}`, field + ": " + start, "1001"})
		}
	}
	for _, value := range []string{`0`, `-1`, `1.0`, `1e3`, `1000000001`, `99999999999999999999999`, `"3"`, `true`, `[]`} {
		rows = append(rows, row{`{"agent_id":"1001","flag":"true","batch_id":"b","batch_total":` + value + `}`, "batch_total: ", "1001"})
	}
	for _, test := range rows {
		_, got := sole(t, test.body)
		if got == nil {
			t.Errorf("%.200s: accepted", test.body)
			continue
		}
		if !strings.HasPrefix(got.Message, test.field) || got.AgentID != test.agent || got.Index != 0 || got.ID != defaultName {
			t.Errorf("%.200s:\n got %+v\nwant agent %s, message %q…", test.body, *got, test.agent, test.field)
		}
		checkSentence(t, got.Message)
	}
}

// Several things are wrong at once: the sentence is about the first, the rest is carried over as far as it is valid.
func TestDecodeCarriesOver(t *testing.T) {
	for body, want := range map[string]Rejection{
		`{"agent_id":"1001","flag":"yes","id":"c","batch_id":"b","batch_total":3,"reason":"r","source":"s"}`: {
			AgentID: "1001", ID: "c", BatchID: "b", BatchTotal: 3, Reason: "r", Source: "s",
		},
		`{"agent_id":"x","flag":"true","id":"c","batch_id":"b c","batch_total":3,"reason":7}`: {AgentID: "unknown", ID: "c", Flag: "true"},
		`{"agent_id":"1001","agent_ids":[1],"flag":"true","batch_id":"b","batch_total":3,"id":"c"}`: {
			AgentID: "1001", ID: "c", BatchID: "b", BatchTotal: 3, Flag: "true",
		},
		`{"agent_ids":7,"flag":"true","batch_total":3}`: {AgentID: "unknown", ID: defaultName, Flag: "true"},
	} {
		_, got := sole(t, body)
		if got == nil {
			t.Errorf("%s: accepted", body)
			continue
		}
		if got.Message == "" {
			t.Errorf("%s: no sentence", body)
		}
		got.Message = ""
		if *got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", body, *got, want)
		}
	}
}

func TestSentencesAreShort(t *testing.T) {
	for _, value := range []string{
		`"` + strings.Repeat("x", 5000) + `"`, `"` + strings.Repeat("é", 5000) + `"`, "\"\x7f\u2028\u202e\xff\xff\"",
		`"` + strings.Repeat("x", 38) + `🙂🙂🙂"`, strings.Repeat("[", 500) + strings.Repeat("]", 500),
		"\"" + strings.Repeat("\u0085", 100) + "\"",
	} {
		for _, name := range fieldNames {
			for _, body := range []string{
				fmt.Sprintf(`{%q:%s}`, name, value), fmt.Sprintf(`{"agent_id":"1001","flag":"true","batch_id":"b",%q:%s}`, name, value), value, "[" + value + "]",
			} {
				for _, r := range Decode([]byte(body), defaultName).Rejected {
					checkSentence(t, r.Message)
				}
			}
		}
	}
}

// What other programs put around a message is read if that is plain, and named otherwise.
func TestDecodeEncodings(t *testing.T) {
	const plain = `{"agent_id":"1001","flag":"true"}`
	for body, want := range map[string]string{
		"\ufeff" + plain:        "",
		"\ufeff[" + plain + "]": "",
		"\xff\xfe{\x00}\x00":    "message: text in UTF-16",
		"\xfe\xff\x00{\x00}":    "message: text in UTF-16",
		"{\x00}\x00":            "message: text in UTF-16",
		"\x1f\x8b\x08\x00":      "message: compressed with gzip",
		`"{\"agent_id\":\"1001\",\"flag\":\"true\"}"`:   "is JSON inside a JSON string",
		`["{\"agent_id\":\"1001\",\"flag\":\"true\"}"]`: "is JSON inside a JSON string",
		"\ufeff": "message: empty",
	} {
		m := Decode([]byte(body), defaultName)
		switch {
		case want == "" && len(m.Changes) != 1:
			t.Errorf("%q: %+v", body, m)
		case want != "" && (len(m.Rejected) != 1 || !strings.Contains(m.Rejected[0].Message, want)):
			t.Errorf("%q: %+v, want %q", body, m, want)
		}
		if want == "" && string(Extract([]byte(body), 0)) != plain && string(Extract([]byte(body), 0)) != body {
			t.Errorf("%q: the letter is %q", body, Extract([]byte(body), 0))
		}
	}
}

// Programs that write almost JSON: the sentence says what to change.
func TestDecodeNamesUsualMistakes(t *testing.T) {
	for body, want := range map[string]string{
		`{"agent_id":"1001","flag":"true"},`:               "a comma after the value",
		`{"agent_id":"1001"}{"agent_id":"1002"}`:           "a second value after the first",
		"{\"agent_id\":\"1001\"}\n{\"agent_id\":\"1002\"}": "a second value after the first",
		`[{"agent_id":"1001","flag":"true"},]`:             "a comma before the closing bracket",
		`{"agent_id":"1001","flag":"true", }`:              "a comma before the closing bracket",
		`{'agent_id':'1001'}`:                              "a single quote",
		`{"agent_id":'1001'}`:                              "a single quote",
		`{"agent_id":NaN}`:                                 "want null",
		`{"agent_id":"1001","id":None}`:                    "want null",
		`{"agent_id":"1001","flag":True}`:                  "in lower case",
		"\x1e" + `{"agent_id":"1001"}`:                     "a record separator",
		`<changes/>`:                                       "XML or HTML",
		`{`:                                                "it ends in the middle",
		`{"agent_id":"1001",`:                              "it ends in the middle",
		`{"agent_id":"10`:                                  "it ends in the middle",
		`agent_id,flag`:                                    "invalid character 'a'",
	} {
		m := Decode([]byte(body), defaultName)
		if len(m.Rejected) != 1 || !strings.Contains(m.Rejected[0].Message, want) {
			t.Errorf("%s: %+v, want %q", body, m.Rejected, want)
			continue
		}
		checkSentence(t, m.Rejected[0].Message)
	}
}
