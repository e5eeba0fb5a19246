package desk_test

import (
	"encoding/base64"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

// No header block that a server stores stops a reader, or is taken for a word of the server or of ours.
func TestNoHeaderStopsAReader(t *testing.T) {
	srv := natstest.Start(t)
	d, js := siteAt(t, srv.ClientURL())
	raw := natstest.DialRaw(t, srv.ClientURL())
	applied := messages.Result{Outcome: messages.Applied, AgentID: "1001", ChangeID: "c", FinishedAt: time.Now()}
	blocks := natstest.Blocks()
	for i, b := range blocks {
		agent := strconv.Itoa(2001 + i)
		raw.Publish(names.Dead(agent), b.Text, "")
		raw.Publish(names.Dead(agent), b.Text, `{"agent_id":"1001","flag":"true"}`)
		raw.Publish(names.Result(messages.Applied, agent), b.Text, string(applied.AppendJSON(nil)))
		raw.Publish("$KV."+names.SessionsBucket()+"."+agent, b.Text, "guid-"+agent)
		raw.Publish(names.Batch("b"+agent), b.Text, `{"batch_id":"b"}`)
	}
	if _, err := js.Stream(t.Context(), names.DeadStream()); err != nil {
		t.Fatal(err)
	}

	letters := map[uint64]bool{}
	if err := d.Dead(t.Context(), desk.DeadQuery{}, func(l desk.Letter) error { letters[l.Seq] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	stored := state(t, js, names.DeadStream()).Msgs
	if uint64(len(letters)) != stored || stored == 0 {
		t.Errorf("%d letters are listed of %d", len(letters), stored)
	}
	results := 0
	if err := d.Results(t.Context(), desk.Query{All: true}, func(e desk.Event) error { results++; return nil }); err != nil || results == 0 {
		t.Fatalf("%d results, %v", results, err)
	}
	if err := d.Results(t.Context(), desk.Query{Last: 3}, func(desk.Event) error { return nil }); err != nil {
		t.Fatal(err)
	}
	sessions := 0
	if err := d.Sessions(t.Context(), func(desk.SessionEntry) error { sessions++; return nil }); err != nil || sessions == 0 {
		t.Fatalf("%d sessions, %v", sessions, err)
	}
	for i := range blocks {
		agent := strconv.Itoa(2001 + i)
		if _, err := d.Batch(t.Context(), "b"+agent, func() {}, func(messages.BatchProgress) {}); state(t, js, names.ResultsStream()).Subjects[names.Batch("b"+agent)] > 0 && err != nil {
			t.Errorf("%s: batch: %v", blocks[i].Name, err)
		}
		if _, err := d.InForce(t.Context(), agent); err != nil {
			t.Errorf("%s: in force: %v", blocks[i].Name, err)
		}
	}
	var seqs []uint64
	for seq := range letters {
		if _, err := d.Letter(t.Context(), seq); err != nil {
			t.Errorf("letter %d: %v", seq, err)
		}
		if _, err := d.PlanReplay(t.Context(), seq, false); err == nil {
			t.Errorf("letter %d, of a stranger, can be replayed", seq)
		}
		seqs = append(seqs, seq)
	}
	if n, err := d.Purge(t.Context(), seqs); err != nil || n != len(seqs) {
		t.Errorf("%d of %d letters deleted, %v", n, len(seqs), err)
	}
}

const aTraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// A replay takes over the trace context of the original, and nothing else of its headers.
func TestReplayTakesOverTheTraceContextOnly(t *testing.T) {
	now := time.Now()
	result := messages.Result{Outcome: messages.Failed, AgentID: "1001", ChangeID: "c", ReceivedAt: now, EffectiveAt: now, FinishedAt: now}
	block := "NATS/1.0\r\nStatus: active\r\nno colon\r\nNats-Pin-Id: x\r\nIdle-Result: {}\r\ntraceparent: " + aTraceParent + "\r\n\r\n"
	for name, header := range map[string]nats.Header{
		"kept": {
			"traceparent": {aTraceParent}, "tracestate": {"a=b"}, "Idle-Nats-Msg-Id": {"m"}, "ce-specversion": {"1.0"},
			"Idle-Idle-Result": {"{}"}, "Idle-Nats-Schedule": {"@every 1s"},
		},
		"encoded":  {messages.HeadersHeader: {base64.StdEncoding.EncodeToString([]byte(block))}},
		"unusable": {"traceparent": {"x\r\ny"}, "tracestate": {"a=b"}},
		"damaged":  {messages.HeadersHeader: {"no base64"}, "traceparent": {aTraceParent}},
	} {
		t.Run(name, func(t *testing.T) {
			d, js := newSite(t)
			m := nats.NewMsg(names.Dead("1001"))
			m.Data = []byte(`{"agent_id":"1001","flag":"true"}`)
			m.Header = header
			m.Header.Set(messages.ResultHeader, string(result.AppendJSON(nil)))
			ack, err := js.PublishMsg(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := d.PlanReplay(t.Context(), ack.Sequence, false)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Replay(t.Context(), &plan); err != nil {
				t.Fatal(err)
			}
			s, err := js.Stream(t.Context(), names.ChangesStream())
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.GetMsg(t.Context(), plan.Seq)
			if err != nil {
				t.Fatal(err)
			}
			for name := range got.Header {
				if name != "Nats-Msg-Id" && name != "traceparent" && name != "tracestate" {
					t.Errorf("the replay has the header %s", name)
				}
			}
			want := aTraceParent
			if name == "unusable" {
				want = ""
			}
			if got.Header.Get("traceparent") != want {
				t.Errorf("traceparent %q, want %q", got.Header.Get("traceparent"), want)
			}
		})
	}
}
