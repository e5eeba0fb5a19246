package messages

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// enveloped writes an event around some data.
func enveloped(data string) string {
	return `{"specversion":"1.0","id":"e-1","source":"/wfm","type":"shift","subject":"1001","flag":"yes","data":` + data + `}`
}

func packed(data string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"e-1","source":"/wfm","type":"shift","data":null,"data_base64":%q}`,
		base64.StdEncoding.EncodeToString([]byte(data)))
}

// Whatever can be in an event means the same there, but for the source that it gets.
func TestEventsCarryChanges(t *testing.T) {
	for _, data := range []string{
		`{"agent_id":"1001","flag":"true"}`,
		`{"agent_id":"1001","flag":"true","id":"c-1","source":"own"}`,
		`{"agent_id":"1001","flag":"yes","source":null}`,
		`{"agent_id":"1001","cancel":true,"id":"c-1"}`,
		`{"agent_ids":["1001",1002,"1001"],"flag":false,"id":"o"}`,
		`{"changes":[{"agent_id":1001},{"agent_id":1001,"source":"own"},{"agent_id":1}],"flag":"true","batch_id":"b"}`,
		`[{"agent_id":1001,"flag":"true"},{"agent_id":1002,"flag":"true","source":"own"},7]`,
		`{"agent_id":"1001","flag":"true","source":7}`,
		`{}`, `[]`, `17`, `"1001"`,
	} {
		want := Decode([]byte(data), defaultName)
		for i := range want.Changes {
			setSource(&want.Changes[i].Source)
		}
		for i := range want.Rejected {
			if !strings.HasPrefix(want.Rejected[i].Message, "source:") {
				setSource(&want.Rejected[i].Source)
			}
		}
		for _, body := range []string{enveloped(data), packed(data)} {
			got := Decode([]byte(body), defaultName)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s:\n got %+v\nwant %+v", body, got, want)
			}
			checkMessage(t, got)
			for i := range got.Changes {
				checkExtract(t, []byte(body), &got.Changes[i])
			}
		}
		checkSchema(t, "change", []byte(enveloped(data)), len(want.Rejected) == 0)
	}
}

func setSource(s *string) {
	if *s == "" {
		*s = "/wfm"
	}
}

// An object that is not an event is read as if there were no envelope.
func TestDecodeOpensEventsOnly(t *testing.T) {
	const good = `{"agent_id":"1001","flag":"true"}`
	for _, body := range []string{
		`{"specversion":"0.3","id":"e","source":"s","type":"t","data":` + good + `}`,
		`{"specversion":1.0,"id":"e","source":"s","type":"t","data":` + good + `}`,
		`{"SpecVersion":"1.0","id":"e","source":"s","type":"t","data":` + good + `}`,
		`{"id":"e","source":"s","type":"t","data":` + good + `}`,
		`{"specversion":"1.0","source":"s","type":"t","data":` + good + `}`,
		`{"specversion":"1.0","id":"","source":"s","type":"t","data":` + good + `}`,
		`{"specversion":"1.0","id":7,"source":"s","type":"t","data":` + good + `}`,
		`{"specversion":"1.0","id":"e","type":"t","data":` + good + `}`,
		`{"specversion":"1.0","id":"e","source":"s","data":` + good + `}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"t"}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"t","data":null}`,
		`{"specversion":"1.0","id":"e","source":"s","type":"t","data":` + good + `,"data_base64":"e30="}`,
	} {
		_, rejected := sole(t, body)
		if rejected == nil || !strings.HasPrefix(rejected.Message, "agent_id: missing; exactly one of") {
			t.Errorf("%s: %+v", body, rejected)
		}
	}
	for _, shape := range []string{`"agent_id":1002`, `"agent_ids":[1002]`, `"changes":[{"agent_id":1002}]`} {
		body := `{"specversion":"1.0","id":"e","source":"s","type":"t","flag":"false",` + shape + `,"data":` + good + `}`
		if c, _ := sole(t, body); c == nil || c.AgentID != "1002" || c.ID != "e" || c.Source != "s" {
			t.Errorf("%s: %+v", body, c)
		} else {
			checkExtract(t, []byte(body), c)
		}
	}
	if c, _ := sole(t, `{"specversion":"1.0","id":"e","source":"s","type":"t","agent_id":null,"data":`+good+`}`); c == nil || c.ID != defaultName {
		t.Errorf("null is as good as missing: %+v", c)
	}
}

func TestDecodeRejectsTheDataOfEvents(t *testing.T) {
	for body, want := range map[string]string{
		enveloped(enveloped(`{"agent_id":"1001","flag":"true"}`)): "agent_id: missing; exactly one of",
		packed(`{"agent_id":`): "data_base64: not JSON, wrong at byte 12",
		packed(""):             "data_base64: empty",
		`{"specversion":"1.0","id":"e-1","source":"/wfm","type":"t","data_base64":"?"}`: `data_base64: "?" is not base64`,
		`{"specversion":"1.0","id":"e-1","source":"/wfm","type":"t","data_base64":{}}`:  `data_base64: {} is not base64`,
	} {
		m := Decode([]byte(body), defaultName)
		if len(m.Rejected) != 1 || !strings.HasPrefix(m.Rejected[0].Message, want) {
			t.Errorf("%s: %+v, want %s", body, m, want)
			continue
		}
		checkMessage(t, m)
		if letter := Extract([]byte(body), 0); string(letter) != body {
			t.Errorf("%s: extracted %s", body, letter)
		}
	}
}

func TestExtractOpensEvents(t *testing.T) {
	for _, test := range []struct {
		data  string
		index int
		want  string
	}{
		{`{"agent_ids":["1001","1002"],"flag":"true"}`, 1, `{"agent_id":"1002","flag":"true","source":"/wfm"}`},
		{`{"agent_ids":["1001","1001"],"flag":"true","id":"o","source":"own"}`, 1, `{"agent_id":"1001","flag":"true","id":"o.2","source":"own"}`},
		{`[{"agent_id":1001,"flag":"t"},{"agent_id":1002,"flag":"true","source":"own"}]`, 0, `{"agent_id":1001,"flag":"t","source":"/wfm"}`},
		{`[{"agent_id":1001,"flag":"t"},{"agent_id":1002,"flag":"true","source":"own"}]`, 1, `{"agent_id":1002,"flag":"true","source":"own"}`},
	} {
		for _, body := range []string{enveloped(test.data), packed(test.data)} {
			if got := Extract([]byte(body), test.index); !sameMembers(t, got, test.want) {
				t.Errorf("%s, item %d:\n got %s\nwant %s", body, test.index, got, test.want)
			}
		}
	}
	one := enveloped(`{"agent_id":"1001","flag":"true"}`)
	if got := Extract([]byte(one), 0); string(got) != one {
		t.Errorf("got %s, want the event as it is", got)
	}
}
