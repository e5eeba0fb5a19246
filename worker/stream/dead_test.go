package stream

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// Each item of a long message gets a letter of its own, and what comes behind it is not kept waiting for long.
func TestManyDeadLettersOfOneMessage(t *testing.T) {
	s := newSite(t)
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	r := s.start("a")
	defer r.finish()
	s.signIn("1001", "guid-1001")
	agents := make([]string, 5000)
	for i := range agents {
		agents[i] = strconv.Itoa(200000 + i)
	}
	s.publish(`{"agent_ids":[` + strings.Join(agents, ",") + `],"flag":"yes","id":"all"}`)
	s.publish(`{"agent_id":"1001","flag":"false"}`)
	s.wait("the change behind is applied", func() bool { return len(s.desk.made()) == 1 })
	s.wait("all letters are written", func() bool {
		st, err := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
		return err == nil && st.CachedInfo().State.Msgs == uint64(len(agents))
	})
}

func TestHeadersThatLookLikeOursAreRenamed(t *testing.T) {
	s := newSite(t)
	r := s.start("a")
	defer r.finish()
	m := nats.NewMsg(s.layout.Names.Changes())
	m.Data = []byte(`{"agent_id":"1001","flag":"yes"}`)
	m.Header["idle-cut"], m.Header["Idle-Result"] = []string{"true"}, []string{"forged"}
	s.publishMsg(m)
	st, err := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
	if err != nil {
		t.Fatal(err)
	}
	var h nats.Header
	s.wait("the letter is written", func() bool {
		letter, err := st.GetLastMsgForSubject(t.Context(), s.layout.Names.Dead("1001"))
		if err == nil {
			h = letter.Header
		}
		return err == nil
	})
	if h["Idle-idle-cut"] == nil || h[messages.CutHeader] != nil || h["idle-cut"] != nil || h.Get(messages.ResultHeader) == "forged" {
		t.Errorf("headers %v", h)
	}
}
