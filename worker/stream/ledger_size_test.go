package stream

import (
	"strings"
	"testing"
)

// The ledger in the header of a result must fit, whatever one message asks for: the server refuses it for ever.
func TestManyItemsOfOneAgentAndOneThatCannotBeUsed(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "guid-1001-x")
	s.signIn("1002", "guid-1002-x")
	const n = 9000
	s.publish(`{"flag":"true","changes":[` + strings.Repeat(`{"agent_id":1001},`, n) + `{"agent_id":1001,"flag":"yes"}]}`)
	s.publish(`{"agent_id":"1002","flag":"false","id":"b"}`)
	s.waitFinished()
	if got := len(s.results()); got != n+2 {
		t.Errorf("%d results of %d changes", got, n+2)
	}
}
