package sheet_test

import (
	"fmt"
	"strings"
	"testing"

	"idlepolicy/cmd/internal/sheet"
	"idlepolicy/messages"
)

func Example() {
	s, err := sheet.Read("late-shift.csv", "", []byte("agent_id,flag\n1001,false\n99,true\n1003,yes\n"), sheet.Stamp{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range s.Problems {
		fmt.Println(p.In(s.Name))
	}
	// Output:
	// late-shift.csv:3: column agent_id: "99" names no agent; want 101 to 999999, digits only
	// late-shift.csv:4: column flag: "yes" looks like true, but the gateway takes it for wrap-up; want "true" or "false"
}

func TestLoad(t *testing.T) {
	s, err := sheet.Load("-", "", strings.NewReader(`{"agent_ids":[1001,1002,1001],"flag":true}`), sheet.Stamp{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Messages) != 1 || s.Changes() != 3 || len(s.Messages[0].Agents) != 2 || s.Name != "standard input" {
		t.Errorf("read %+v", s)
	}
	for p := range s.Publications("run") {
		if !strings.HasPrefix(p.ID, "run-1-") || len(p.Agents) != 2 {
			t.Errorf("publication %+v", p)
		}
	}
	if err := s.Fits(1 << 20); err != nil {
		t.Error(err)
	}
	if err := s.Fits(1 << 10); err == nil || !strings.Contains(err.Error(), "standard input:1: ") {
		t.Errorf("a message that is too large: %v", err)
	}
	if _, err := sheet.Load("no such file.csv", "", nil, sheet.Stamp{}); err == nil {
		t.Error("a file that is not there can be read")
	}
}

// What stands beside the data of an event is the envelope's, so that a batch cannot be put there.
func TestBatchOfAnEvent(t *testing.T) {
	event := `{"specversion":"1.0","id":"1","source":"/w","type":"t","data":{"agent_id":1001,"flag":true}}`
	for _, format := range []string{sheet.JSON, sheet.JSONL} {
		s, err := sheet.Read("e", format, []byte(event), sheet.Stamp{Batch: "late-7"})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Message, "CloudEvent") || !strings.Contains(s.Problems[0].Message, "batch_total in its data") {
			t.Errorf("%s: problems %v", format, s.Problems)
		}
	}
}

func TestFormatIsFoundOut(t *testing.T) {
	for _, test := range []struct {
		name, text string
		messages   int
	}{
		{"a.csv", "agent_id,flag\n1001,true\n", 1},
		{"a.TSV", "agent_id\tflag\n1001\ttrue\n", 1},
		{"a.jsonl", "{\"agent_id\":1001,\"flag\":true}\n", 1},
		{"a.ndjson", "{\"agent_id\":1001,\"flag\":true}\n\n{\"agent_id\":1002,\"flag\":true}", 2},
		{"a.json", "[\n{\"agent_id\":1001,\"flag\":true}]", 1},
		{"a", "{\"agent_id\":1001,\"flag\":true}\n{\"agent_id\":1002,\"flag\":true}\n", 2},
		{"a", "\ufeffagent_id;flag\r\n1001;true\r\n", 1},
	} {
		s, err := sheet.Read(test.name, "", []byte(test.text), sheet.Stamp{})
		if err != nil || len(s.Problems) > 0 || len(s.Messages) != test.messages {
			t.Errorf("%s %q: %+v, %v", test.name, test.text, s, err)
		}
	}
}

// FuzzRead: nothing panics, and a file without problems is published as changes that the worker can use, all of them.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"agent_id,flag,reason\n1001,true,\"a \"\"b\"\"\"\n", "agent_id;flag\n1001;wrap\n", "{\"agent_id\":1001,\"flag\":true}\nx\n",
		`[{"agent_id":1001,"flag":true},{"agent_id":7}]`, `{"flag":"true","changes":[{"agent_id":"1001"}]}`, "", "\ufeff", "agent_id,flag",
		`{"agent_id":1001,"cancel":true,"id":"x"}`, `{"agent_ids":[1001],"flag":"a","batch_id":"b","batch_total":2}`,
	} {
		for _, format := range []string{"", sheet.CSV, sheet.JSONL, sheet.JSON} {
			f.Add([]byte(text), format, "", false)
			f.Add([]byte(text), format, "late-7", format == sheet.CSV)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, format, batch string, bulk bool) {
		if batch != "" {
			batch = "late-7" // whoever calls has checked it
		}
		s, err := sheet.Read("x", format, data, sheet.Stamp{Batch: batch, Bulk: bulk})
		if err != nil {
			return
		}
		for _, p := range s.Problems {
			if p.Line < 1 || p.Message == "" {
				t.Errorf("problem %+v", p)
			}
		}
		if len(s.Problems) > 0 {
			return
		}
		changes := 0
		for _, m := range s.Messages {
			decoded := messages.Decode(m.Body, "x")
			if len(decoded.Rejected) > 0 {
				t.Errorf("the worker would reject %s: %+v", m.Body, decoded.Rejected)
			}
			for _, c := range decoded.Changes {
				if !c.Cancel {
					changes++
				}
				if batch != "" && !c.Cancel && (c.BatchID != batch || c.BatchTotal != s.Changes()) {
					t.Errorf("change %+v is not of the batch", c)
				}
			}
		}
		if changes != s.Changes() || len(s.Messages) == 0 {
			t.Errorf("%d changes in %d messages, said to be %d", changes, len(s.Messages), s.Changes())
		}
	})
}
