package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// site is one site on a real server, seen from outside.
type site struct {
	t     *testing.T
	url   string
	nc    *nats.Conn
	js    jetstream.JetStream
	names messages.Names
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := emptySite(t)
	s.setUp()
	return s
}

func (s *site) setUp() {
	s.t.Helper()
	layout := stream.Layout{Names: s.names, Retention: time.Hour, Takeover: 3 * time.Second}
	if _, err := layout.Ensure(s.t.Context(), s.js); err != nil {
		s.t.Fatal(err)
	}
}

// newSmallSite is a site on a server that takes messages of no more bytes than a worker needs.
func newSmallSite(t *testing.T) *site {
	t.Helper()
	s := siteAt(t, natstest.StartConfig(t, "jetstream { store_dir: STORE }\nmax_payload: 65536\nmax_pending: 1MB").ClientURL())
	s.setUp()
	return s
}

// emptySite is a server that no worker has set up.
func emptySite(t *testing.T) *site {
	t.Helper()
	return siteAt(t, natstest.Start(t).ClientURL())
}

func siteAt(t *testing.T, url string) *site {
	t.Helper()
	s := &site{t: t, url: url, names: messages.Names{Prefix: "idlepolicy"}}
	s.nc = natstest.Connect(t, s.url)
	s.js = natstest.JetStream(t, s.nc)
	return s
}

// outcome is how a run of the tool ended.
type outcome struct {
	status      int
	out, errout string
}

func (s *site) run(args ...string) outcome { return s.runWith(s.t.Context(), "", args...) }

func (s *site) runWith(ctx context.Context, stdin string, args ...string) outcome {
	s.t.Helper()
	var out, errout bytes.Buffer
	status := run(ctx, args, s.environment, strings.NewReader(stdin), &out, &errout)
	return outcome{status, out.String(), errout.String()}
}

func (s *site) environment() (config.Client, error) {
	return config.Client{NATSURLs: []string{s.url}, Prefix: s.names.Prefix}, nil
}

// want checks the exit status and that the output, of both kinds, holds each text.
func (o outcome) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	if o.status != status {
		t.Errorf("exit status %d, want %d", o.status, status)
	}
	for _, text := range texts {
		if !strings.Contains(o.out+o.errout, text) {
			t.Errorf("output has no %q", text)
		}
	}
	if t.Failed() {
		t.Fatalf("output:\n%s\nerrors:\n%s", o.out, o.errout)
	}
}

// serve stands in for the worker: each change ends as end says; nil: applied.
func (s *site) serve(end func(messages.Change) messages.Result) {
	s.t.Helper()
	c, err := s.js.CreateConsumer(s.t.Context(), s.names.ChangesStream(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		s.t.Fatal(err)
	}
	serving, err := c.Consume(func(m jetstream.Msg) {
		meta, _ := m.Metadata()
		decoded := messages.Decode(m.Data(), m.Headers().Get(nats.MsgIdHdr))
		for _, ch := range decoded.Changes {
			r := messages.Result{Outcome: messages.Applied, Retcode: "0", Message: "success", Attempts: 1}
			if end != nil {
				r = end(ch)
			}
			r.AgentID, r.Flag, r.ChangeID, r.BatchID = ch.AgentID, ch.Flag, ch.ID, ch.BatchID
			r.ChangeSeq, r.ChangeIndex, r.ReceivedAt, r.EffectiveAt = meta.Sequence.Stream, ch.Index, meta.Timestamp, meta.Timestamp
			s.result(r)
		}
		_ = m.Ack()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { serving.Stop(); <-serving.Closed() })
}

// result stores a result event.
func (s *site) result(r messages.Result) uint64 {
	s.t.Helper()
	if r.FinishedAt.IsZero() {
		r.FinishedAt = time.Now()
	}
	ack, err := s.js.Publish(context.Background(), s.names.Result(r.Outcome, r.AgentID), r.AppendJSON(nil))
	if err != nil {
		s.t.Errorf("store a result: %v", err)
		return 0
	}
	return ack.Sequence
}

// letter stores a dead letter.
func (s *site) letter(r messages.Result, body string) uint64 {
	s.t.Helper()
	m := nats.NewMsg(s.names.Dead(r.AgentID))
	m.Data = []byte(body)
	m.Header.Set(messages.ResultHeader, string(r.AppendJSON(nil)))
	m.Header.Set("Idle-Nats-Msg-Id", "original-1")
	ack, err := s.js.PublishMsg(s.t.Context(), m)
	if err != nil {
		s.t.Fatal(err)
	}
	return ack.Sequence
}

// service answers requests to the worker and remembers them.
type service struct {
	mu    sync.Mutex
	asked []string
}

func (v *service) questions() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

// answer has the worker's service give these replies, by verb; a reply of type error is one.
func (s *site) answer(replies map[string]any) *service {
	s.t.Helper()
	v := &service{}
	_, err := s.nc.Subscribe(s.names.Prefix+".ctl.*", func(m *nats.Msg) {
		verb := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
		v.mu.Lock()
		v.asked = append(v.asked, verb+" "+string(m.Data))
		v.mu.Unlock()
		reply := nats.NewMsg(m.Reply)
		if err, ok := replies[verb].(error); ok {
			reply.Header.Set("Nats-Service-Error-Code", "503")
			reply.Header.Set("Nats-Service-Error", err.Error())
		} else {
			reply.Data, _ = json.Marshal(replies[verb])
		}
		_ = m.RespondMsg(reply)
	})
	if err == nil {
		err = s.nc.Flush()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// changes reads back the bodies of what is in the stream of changes.
func (s *site) changes() []string {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), s.names.ChangesStream())
	if err != nil {
		s.t.Fatal(err)
	}
	var bodies []string
	state := st.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := st.GetMsg(s.t.Context(), seq)
		if err != nil {
			s.t.Fatal(err)
		}
		bodies = append(bodies, string(m.Data))
	}
	return bodies
}

// shift is a CSV file of n agents.
func shift(n int) string {
	var b strings.Builder
	b.WriteString("agent_id,flag,reason\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,false,late shift\n", 1001+i)
	}
	return b.String()
}
