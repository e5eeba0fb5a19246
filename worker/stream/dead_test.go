package stream

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
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
func TestUnwritableLettersHoldUpNothing(t *testing.T) {
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
	s.wait("the last change behind is called for", func() bool { return slices.Contains(s.gateway.made(), last) })
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

func TestHeadersThatLookLikeOursAreKeptEncoded(t *testing.T) {
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
	block, err := base64.StdEncoding.DecodeString(h.Get(messages.HeadersHeader))
	if err != nil || !strings.Contains(string(block), "idle-cut: true") || !strings.Contains(string(block), "Idle-Result: forged") {
		t.Errorf("the original block is kept as %q: %v", block, err)
	}
	if h[messages.CutHeader] != nil || h["idle-cut"] != nil || h.Get(messages.ResultHeader) == "forged" {
		t.Errorf("headers %v", h)
	}
}

// The letter of a change that the new owner has not read yet is made from the message itself, where that is still the one
// of the change: one that is gone had its letter, and after a restore another may have its place.
func TestDeadLetterOfAnUnreadChange(t *testing.T) {
	s := newSite(t)
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	j := s.rival(t)
	one, two := `{"agent_id":"1001","flag":"yes","id":"one"}`, `{"agent_ids":[1002,1003],"flag":"yes","id":"two"}`
	for i, test := range []struct {
		agent, body string
		index       int
		other, gone bool
		want        string
	}{
		{agent: "1001", body: one, want: one},
		{agent: "1003", body: two, index: 1, want: `{"agent_id":1003,"flag":"yes","id":"two"}`},
		{agent: "1004", body: one, gone: true},
		{agent: "1005", body: one, other: true},
	} {
		seq := s.publish(test.body)
		changes, err := s.js.Stream(t.Context(), s.layout.Names.ChangesStream())
		if err != nil {
			t.Fatal(err)
		}
		m, err := changes.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		r := messages.Result{Outcome: messages.Rejected, AgentID: test.agent, ChangeSeq: seq, ChangeIndex: test.index, ReceivedAt: m.Time}
		if test.other {
			r.ReceivedAt = m.Time.Add(-time.Hour)
		}
		pos := ledger.Position{Incarnation: 1, Seq: seq, Index: test.index}
		text, _ := (&ledger.Ledger{Done: pos}).AppendText(nil)
		stored := make(chan uint64, 1)
		j.Store(worker.Record{Result: r, Ledger: text, Pos: pos}, func(seq uint64, _ worker.Kept, err error) {
			if err != nil {
				t.Error(err)
			}
			stored <- seq
		})
		at := <-stored
		if test.gone {
			if err := changes.DeleteMsg(t.Context(), seq); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan struct{})
		j.Bury(worker.DeadLetter{Pos: pos, Agent: test.agent, Seq: at, Unread: true}, func(worker.Kept) { close(done) })
		<-done
		letters, err := s.js.Stream(t.Context(), s.layout.Names.DeadStream())
		if err != nil {
			t.Fatal(err)
		}
		letter, err := letters.GetLastMsgForSubject(t.Context(), s.layout.Names.Dead(test.agent))
		switch {
		case test.want == "" && !errors.Is(err, jetstream.ErrMsgNotFound):
			t.Errorf("%d: a letter of a message that is another's or gone: %v, %v", i, letter, err)
		case test.want != "" && (err != nil || string(letter.Data) != test.want):
			t.Errorf("%d: letter %v, want %s: %v", i, letter, test.want, err)
		}
	}
}
