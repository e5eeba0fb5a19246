package stream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// Each item of a long message gets a letter of its own, for which the message is read back once by each that writes
// letters, and not for each.
func TestManyDeadLettersOfOneMessage(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	reads := make(chan *nats.Msg, 8192)
	for _, api := range []string{"$JS.API.STREAM.MSG.GET.", "$JS.API.STREAM.INFO.", "$JS.API.DIRECT.GET."} {
		if _, err := s.nc.ChanSubscribe(api+s.layout.Names.ChangesStream(), reads); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	const n = 1000
	s.publish(unusable(n))
	s.wait("all letters are written", func() bool {
		st, err := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
		return err == nil && st.CachedInfo().State.Msgs == n
	})
	// Something else asks for the stream once in a while.
	if got := len(reads); got == 0 || got > n/20 {
		t.Errorf("the stream of changes was asked %d times for %d letters", got, n)
	}
}

// Letters that cannot be written keep no message waiting, however many there are of one message.
func TestLettersThatCannotBeWrittenHoldUpNothing(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	full := s.layout.dead()
	full.MaxBytes, full.Discard = 1, jetstream.DiscardNew
	if _, err := s.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	s.signIn("1001", "g")
	s.publish(unusable(3000))      // more than may wait of what is usable
	for i := range pullMany + 50 { // more than one pull brings
		m := nats.NewMsg(s.layout.Names.Changes())
		m.Data = fmt.Appendf(nil, `{"agent_id":"1001","flag":"f%d"}`, i)
		if err := s.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	last := fmt.Sprintf("1001 f%d g", pullMany+49)
	s.wait("the last change behind is called for", func() bool { return slices.Contains(s.desk.made(), last) })
	if _, err := s.js.UpdateStream(t.Context(), s.layout.dead()); err != nil {
		t.Fatal(err)
	}
	s.waitFinished()
}

func unusable(n int) string {
	agents := make([]string, n)
	for i := range agents {
		agents[i] = strconv.Itoa(200000 + i)
	}
	return `{"agent_ids":[` + strings.Join(agents, ",") + `],"flag":"yes","id":"all"}`
}

func TestHeadersThatLookLikeOursAreRenamed(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
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
