package messages

import "testing"

func TestExtract(t *testing.T) {
	for _, test := range []struct {
		body  string
		index int
		want  string
	}{
		{`{"agent_id":"1001","flag":"true"}`, 0, `{"agent_id":"1001","flag":"true"}`},
		{`no JSON`, 0, `no JSON`},
		{`{"agent_id":"1001","agent_ids":[1002],"flag":"true"}`, 0, `{"agent_id":"1001","agent_ids":[1002],"flag":"true"}`},
		{`{"agent_ids":7,"flag":"true"}`, 0, `{"agent_ids":7,"flag":"true"}`},
		{`{"agent_ids":["1001", 1002],"flag":"true","x":1}`, 1, `{"agent_id":1002,"flag":"true"}`},
		{`{"agent_ids":["1001",{}],"flag":"t"}`, 1, `{"agent_id":{},"flag":"t"}`},
		{`{"agent_ids":["1001","1001"],"flag":"true","id":"o"}`, 1, `{"agent_id":"1001","flag":"true","id":"o.2"}`},
		{`{"agent_ids":["1001","1001"],"flag":"true","id":"o"}`, 2, `{"agent_ids":["1001","1001"],"flag":"true","id":"o"}`},
		{`{"agent_ids":["1001"],"flag":"true"}`, -1, `{"agent_ids":["1001"],"flag":"true"}`},
		{
			`{"flag":"true","id":"o","batch_id":"b","valid_until":"x","changes":[{"agent_id":1001},{ "agent_id":1001, "note":[1], "reason":null}]}`, 1,
			`{ "agent_id":1001, "note":[1], "reason":null,"id":"o.2","flag":"true","batch_id":"b","valid_until":"x"}`,
		},
		{`{"flag":"true","id":"o","changes":[{"agent_id":1001,"flag":"false","id":"i"}]}`, 0, `{"agent_id":1001,"flag":"false","id":"i"}`},
		{`{"flag":"true","id":"o","changes":[{"agent_id":1001,"flag":null,"id":null}]}`, 0, `{"agent_id":1001,"flag":null,"id":null,"id":"o"}`},
		{`{"flag":"true","id":7,"changes":[{"agent_id":1001},{}]}`, 1, `{"flag":"true","id":7}`},
		{`{"changes":[{ }]}`, 0, `{ }`},
		{`{"flag":"true","changes":[7]}`, 0, `7`},
		{`[{"agent_id":1001,"flag":"true"},{"agent_id":1001,"flag":"y"}]`, 1, `{"agent_id":1001,"flag":"y"}`},
		{`[null]`, 0, `null`},
	} {
		got := Extract([]byte(test.body), test.index)
		if !sameMembers(t, got, test.want) {
			t.Errorf("%s, item %d:\n got %s\nwant %s", test.body, test.index, got, test.want)
		}
	}
}
