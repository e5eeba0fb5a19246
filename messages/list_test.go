package messages

import (
	"fmt"
	"strings"
	"testing"
)

// brief tells what became of each item: its place, agent, flag and id, or the first word of the rejection.
func brief(m Message) string {
	items := make([]string, m.Items)
	for _, c := range m.Changes {
		what := c.Flag
		if c.Cancel {
			what = "cancel"
		}
		items[c.Index] += fmt.Sprintf("%s=%s %s", c.AgentID, what, c.ID)
	}
	for _, r := range m.Rejected {
		field, _, _ := strings.Cut(r.Message, ":")
		items[r.Index] += fmt.Sprintf("%s!%s %s", r.AgentID, field, r.ID)
	}
	return strings.Join(items, ", ")
}

func TestDecodeLists(t *testing.T) {
	long := strings.Repeat("x", 128)
	for _, test := range []struct{ name, body, want string }{
		{"one change for many", `{"agent_ids":["1001",1002],"flag":"true","id":"o"}`, "1001=true o, 1002=true o"},
		{"a bad agent among good ones", `{"agent_ids":["1001","7",{},1002],"flag":true}`, "1001=true m-1, unknown!agent_id m-1, unknown!agent_id m-1, 1002=true m-1"},
		{"an agent twice", `{"agent_ids":["1001","1002","1001","1001"],"flag":true,"id":"o"}`, "1001=true o, 1002=true o, 1001=true o.2, 1001=true o.3"},
		{"a bad default", `{"agent_ids":["1001","1001"],"flag":1}`, "1001!flag m-1, 1001!flag m-1.2"},
		{"defaults and what overrides them", `{"flag":"true","changes":[{"agent_id":1001},{"agent_id":1002,"flag":"false","id":"own"}]}`, "1001=true m-1, 1002=false own"},
		{"a bad default rejects only those that inherit it", `{"flag":"yes","changes":[{"agent_id":1001},{"agent_id":1002,"flag":"false"}]}`, "1001!flag m-1, 1002=false m-1"},
		{"a null flag overrides", `{"flag":"true","changes":[{"agent_id":1001,"flag":null}]}`, "1001!flag m-1"},
		{"a null id does not", `{"flag":"true","id":"o","changes":[{"agent_id":1001,"id":null}]}`, "1001=true o"},
		{"a bad outer id", `{"flag":"true","id":7,"changes":[{"agent_id":1001},{"agent_id":1002,"id":"own"}]}`, "1001!id m-1, 1002=true own"},
		{"a bad own id keeps the outer one and is numbered", `{"flag":"true","id":"o","changes":[{"agent_id":1001},{"agent_id":1001,"id":""}]}`, "1001=true o, 1001!id o.2"},
		{"own ids are not numbered but counted", `{"flag":"true","changes":[{"agent_id":1001,"id":"a"},{"agent_id":1001},{"agent_id":1001,"id":"a"}]}`, "1001=true a, 1001=true m-1.2, 1001=true a"},
		{"rejected ones count", `[{"agent_id":1001,"flag":"y"},{"agent_id":1001,"flag":"true"}]`, "1001!flag m-1, 1001=true m-1.2"},
		{"cancels do not count", `{"id":"o","flag":"true","changes":[{"agent_id":1001,"cancel":true},{"agent_id":1001},{"agent_id":1001,"cancel":true}]}`, "1001=cancel o, 1001=true o, 1001=cancel o"},
		{"cancel is a default, too", `{"id":"o","cancel":true,"changes":[{"agent_id":1001},{"agent_id":1001,"cancel":false,"flag":"true"},{"agent_id":1002,"id":"x"}]}`, "1001=cancel o, 1001=true o, 1002=cancel x"},
		{"cancel for many", `{"id":"o","cancel":true,"agent_ids":["1001","1002","1001"]}`, "1001=cancel o, 1002=cancel o, 1001=cancel o"},
		{"a cancel without an id", `[{"agent_id":1001,"cancel":true},{"agent_id":1001,"cancel":true,"id":"a"}]`, "1001!id m-1, 1001=cancel a"},
		{"a bad cancel is not a cancel", `[{"agent_id":1001,"cancel":"yes","id":"a"},{"agent_id":1001,"flag":"true"}]`, "1001!cancel a, 1001=true m-1.2"},
		{"items that are none", `[null,{"agent_id":1001,"flag":"true"},"x",[],{}]`, "unknown!message m-1, 1001=true m-1, unknown!message m-1, unknown!message m-1, unknown!agent_id m-1"},
		{"items of arrays have no defaults", `[{"agent_id":1001,"flag":"true"},{"agent_id":1002}]`, "1001=true m-1, 1002!flag m-1"},
		{"an item with a list", `{"flag":"true","changes":[{"agent_ids":["1001"]},{"agent_id":1001,"changes":[]},{"agent_id":1002,"agent_ids":null}]}`, "unknown!agent_ids m-1, 1001!changes m-1, 1002=true m-1"},
		{"inherited instants", `{"flag":"true","effective_at":"2026-01-01T00:00:00Z","changes":[{"agent_id":1001,"valid_until":"2025-01-01T00:00:00Z"},{"agent_id":1002,"valid_until":"2027-01-01T00:00:00Z"}]}`, "1001!valid_until m-1, 1002=true m-1"},
		{"a bad instant overridden", `{"flag":"true","valid_until":"x","changes":[{"agent_id":1001},{"agent_id":1002,"valid_until":"2027-01-01T00:00:00Z"},{"agent_id":1003,"valid_until":null}]}`, "1001!valid_until m-1, 1002=true m-1, 1003!valid_until m-1"},
		{"a total without its batch", `{"flag":"true","batch_total":"x","changes":[{"agent_id":1001},{"agent_id":1002,"batch_id":"b"},{"agent_id":1003,"batch_id":"b","batch_total":2}]}`, "1001=true m-1, 1002!batch_total m-1, 1003=true m-1"},
		{"a long id", `{"flag":"true","id":"` + long + `","agent_ids":["1001","1001"]}`, "1001=true " + long + ", 1001=true " + long + ".2"},
		{"a long id that is numbered already", `{"flag":"true","id":"` + long + `.3","agent_ids":["1001","1001"]}`, "1001=true " + long + ".3, 1001!id " + long + ".3"},
		{"outer agents in an array's item", `[[{"agent_id":1001,"flag":"true"}]]`, "unknown!message m-1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := Decode([]byte(test.body), defaultName)
			checkSchema(t, "change", []byte(test.body), len(m.Rejected) == 0)
			if got := brief(m); got != test.want {
				t.Errorf("%s\n got %s\nwant %s", test.body, got, test.want)
			}
		})
	}
}

func TestDecodeInherits(t *testing.T) {
	m := Decode([]byte(`{"batch_id":"b","batch_total":9,"flag":"true","id":"o","reason":"r","source":"s",`+
		`"effective_at":"2026-01-01T00:00:00Z","valid_until":"2027-01-01T00:00:00Z","changes":[{"agent_id":1001},`+
		`{"agent_id":1002,"batch_id":"c","batch_total":1,"flag":"false","id":"i","reason":"","source":"t","effective_at":"2026-02-01T00:00:00Z","valid_until":"2027-02-01T00:00:00Z"}]}`), defaultName)
	want := []Change{
		{AgentID: "1001", Flag: "true", ID: "o", BatchID: "b", BatchTotal: 9, EffectiveAt: at("2026-01-01T00:00:00Z"), ValidUntil: at("2027-01-01T00:00:00Z"), Reason: "r", Source: "s"},
		{AgentID: "1002", Flag: "false", ID: "i", BatchID: "c", BatchTotal: 1, EffectiveAt: at("2026-02-01T00:00:00Z"), ValidUntil: at("2027-02-01T00:00:00Z"), Source: "t", Index: 1},
	}
	if len(m.Changes) != 2 || m.Changes[0] != want[0] || m.Changes[1] != want[1] {
		t.Errorf("got %+v\nwant %+v", m.Changes, want)
	}
}

func TestDecodeTakesTheMostItems(t *testing.T) {
	m := Decode([]byte(`{"agent_ids":[1001`+strings.Repeat(",1001", MaxItems-1)+`],"flag":"true"}`), defaultName)
	if m.Items != MaxItems || len(m.Changes) != MaxItems || m.Changes[MaxItems-1].ID != defaultName+".100000" {
		t.Errorf("got %d items and %d changes", m.Items, len(m.Changes))
	}
}
