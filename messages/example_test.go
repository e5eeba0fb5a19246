package messages_test

import (
	"fmt"

	"idlepolicy/messages"
)

func ExampleDecode() {
	m := messages.Decode([]byte(`{
		"flag": "true", "id": "late-shift",
		"changes": [{"agent_id": "1001"}, {"agent_id": 1002, "flag": "false"}, {"agent_id": "1003", "flag": "yes"}]
	}`), "42")
	for _, c := range m.Changes {
		fmt.Println(c.Index, c.AgentID, c.Flag, c.ID)
	}
	for _, r := range m.Rejected {
		fmt.Println(r.Index, r.AgentID, r.Message)
	}
	// Output:
	// 0 1001 true late-shift
	// 1 1002 false late-shift
	// 2 1003 flag: "yes" looks like true, but the gateway takes it for wrap-up; want "true" or "false"
}

func ExampleExtract() {
	batch := []byte(`{"flag": "true", "id": "late-shift", "agent_ids": ["1001", "1002", "1001"]}`)
	fmt.Println(string(messages.Extract(batch, 2)))
	// Output: {"agent_id":"1001","flag":"true","id":"late-shift.2"}
}

func ExampleNames() {
	site := messages.Names{Prefix: "site-1"}
	fmt.Println(site.Changes())
	fmt.Println(site.Result(messages.Applied, "1001"))
	fmt.Println(site.ResultsStream())
	fmt.Println(site.SessionsBucket())
	// Output:
	// site-1.changes
	// site-1.result.applied.1001
	// SITE_1_RESULTS
	// site_1_sessions
}

func ExampleDecodeSession() {
	s, err := messages.DecodeSession([]byte(`{"guid": "JSESSIONID=3f2504e0-4f89-11d3.AgentGateway1", "signed_in_at": "2026-11-22T18:00:00+01:00"}`))
	fmt.Println(s, err)
	fmt.Println(messages.Fingerprint(s.GUID))
	_, err = messages.DecodeSession([]byte(`{"guid": "not a GUID"}`))
	fmt.Println(err)
	// Output:
	// session signed in 2026-11-22T17:00:00Z <nil>
	// 7fed243b
	// guid: byte 4 of 10 is not a visible ASCII character
}

func ExampleResult_AppendJSON() {
	r := messages.Result{Outcome: messages.Applied, AgentID: "1001", Retcode: "0", Message: "success", ChangeID: "c-17", ChangeSeq: 42, Attempts: 1}
	fmt.Println(string(r.AppendJSON(nil)))
	// Output: {"outcome":"applied","agent_id":"1001","retcode":"0","message":"success","change_id":"c-17","change_seq":42,"change_index":0,"attempts":1,"received_at":"0001-01-01T00:00:00Z","finished_at":"0001-01-01T00:00:00Z"}
}
