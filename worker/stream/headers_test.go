package stream

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// The server takes 64 KiB of headers. What a publisher puts into them must not keep results or dead letters from being
// stored: they would be tried again for ever, and hold up the site.

const aTraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceStateThatFillsTheHeaders(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g")
	var ids []string
	for i := range 2100 { // more than may be under way between the stream and its results
		ids = append(ids, strconv.Itoa(2000+i))
	}
	m := nats.NewMsg(s.layout.Names.Changes())
	m.Data = []byte(`{"agent_ids":[` + strings.Join(ids, ",") + `,1001],"flag":"f","id":"a"}`)
	m.Header.Set(messages.TraceParentHeader, aTraceParent)
	m.Header.Set(messages.TraceStateHeader, "a="+strings.Repeat("x", 65000))
	s.publishMsg(m)
	s.publish(`{"agent_id":"1001","flag":"g","id":"b"}`)
	s.wait("the last change is applied", func() bool { return s.inForce("1001") == "b" })
	s.wait("all others wait", func() bool { return s.stored() == len(ids)+2 })
	st, err := s.js.Stream(t.Context(), s.layout.Names.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	r, err := st.GetLastMsgForSubject(t.Context(), s.layout.Names.AgentResults("2000"))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header; h.Get(messages.TraceParentHeader) != aTraceParent || h[messages.TraceStateHeader] != nil {
		t.Errorf("the result has the trace headers %q and %d bytes of state", h.Get(messages.TraceParentHeader), len(h.Get(messages.TraceStateHeader)))
	}
}

func TestTraceParentThatFillsTheHeaders(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	s.signIn("1001", "g")
	m := nats.NewMsg(s.layout.Names.Changes())
	m.Data = []byte(`{"agent_id":"1001","flag":"f","id":"a"}`)
	m.Header.Set(messages.TraceParentHeader, strings.Repeat("x", 65400))
	s.publishMsg(m)
	s.waitFinished()
	s.wantResults("applied 1001 a")
}

// Many lines of a header cost more than what is in them, and most of them are renamed in a letter.
func TestDeadLetterOfManyHeaderLines(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	m := nats.NewMsg(s.layout.Names.Changes())
	m.Data = []byte(`{"agent_id":"1001","flag":"yes","reason":"` + strings.Repeat(`\u0001`, 1024) + `"}`)
	m.Header["Nats-A"], m.Header["B"] = make([]string, 5000), []string{"kept"}
	s.publishMsg(m)
	s.waitFinished()
	st, err := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
	if err != nil {
		t.Fatal(err)
	}
	letter, err := st.GetLastMsgForSubject(t.Context(), s.layout.Names.Dead("1001"))
	if err != nil {
		t.Fatal(err)
	}
	if h := letter.Header; h["Idle-Nats-A"] != nil || h.Get("B") != "kept" || h.Get(messages.CutHeader) != "true" || h.Get(messages.ResultHeader) == "" {
		t.Errorf("the letter has %d lines of the long header, B %q, cut %q", len(h["Idle-Nats-A"]), h.Get("B"), h.Get(messages.CutHeader))
	}
}
