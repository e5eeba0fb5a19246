package desk_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

// events are change messages that come as CloudEvents, with the source of each change of agent 1002: the first is alone
// in its message, so that its letter is the event; the second is taken out of it; the third has its event in headers.
var events = []struct {
	source string
	msg    nats.Msg
}{
	{"/wfm", nats.Msg{
		Header: nats.Header{"Content-Type": {"application/cloudevents+json"}},
		Data:   []byte(`{"specversion":"1.0","id":"e-1","source":"/wfm","type":"shift","data":{"agent_id":"1002","flag":"true"}}`),
	}},
	{"own", nats.Msg{
		Data: []byte(`{"specversion":"1.0","id":"e-1","source":"/wfm","type":"shift","data":{"agent_ids":["1001","1002"],"flag":"true","source":"own"}}`),
	}},
	{"", nats.Msg{
		Header: nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"e-3"}, "ce-source": {"/wfm"}, "ce-type": {"shift"}},
		Data:   []byte(`{"agent_id":"1002","flag":"true","id":"c-3"}`),
	}},
}

// The worker, the dead letter and its replay agree about what is in an event.
func TestEventsAreChanges(t *testing.T) {
	srv := natstest.Start(t)
	d, js := siteAt(t, srv.ClientURL())
	startWorker(t, srv, refusing("1002"))
	for _, agent := range []string{"1001", "1002"} {
		if _, err := d.PutSession(t.Context(), agent, messages.Session{GUID: "guid-of-" + agent, SignedInAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range events {
		e.msg.Subject = names.Changes()
		ack, err := js.PublishMsg(t.Context(), &e.msg)
		if err != nil {
			t.Fatal(err)
		}
		l := letterOf(t, d, ack.Sequence)
		if l.Result.Source != e.source || l.Result.ChangeID == "e-1" {
			t.Errorf("event %d: the letter's result is %+v", i, l.Result)
		}
		plan, err := d.PlanReplay(t.Context(), l.Seq, false)
		if err != nil {
			t.Errorf("event %d: %v", i, err)
			continue
		}
		m := messages.Decode(plan.Body, "")
		if len(m.Changes) != 1 || m.Changes[0].AgentID != "1002" || m.Changes[0].Source != e.source {
			t.Errorf("event %d: the replay is %s", i, plan.Body)
		}
	}
	checkResultEvents(t, js)
}

// letterOf waits for the dead letter of a message.
func letterOf(t *testing.T, d *desk.Desk, seq uint64) (found desk.Letter) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	for found.Seq == 0 {
		if err := d.Dead(ctx, desk.DeadQuery{Agent: "1002"}, func(l desk.Letter) error {
			if l.Result.ChangeSeq == seq {
				found = l
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// checkResultEvents proves that source and id of the stored results tell any two of them apart.
func checkResultEvents(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	s, err := js.Stream(t.Context(), names.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := names.ParseResultSubject(m.Subject); !ok {
			continue
		}
		event := m.Header.Get("ce-source") + " " + m.Header.Get("ce-id")
		if m.Header.Get("ce-id") == "" || seen[event] {
			t.Errorf("event %q comes twice", event)
		}
		seen[event] = true
	}
	if len(seen) < len(events) {
		t.Errorf("saw %d results", len(seen))
	}
}
