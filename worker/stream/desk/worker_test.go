package desk_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

// refusing is a gateway that knows every agent but one.
type refusing string

func (r refusing) Set(_ context.Context, c worker.Call) worker.Answer {
	if c.AgentID == string(r) {
		return worker.Answer{Class: worker.Refused, Retcode: "000-002", Message: "no such agent"}
	}
	return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
}

// startWorker runs the real worker of the site until the test is over.
func startWorker(t *testing.T, srv *server.Server, gateway worker.Gateway) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	nc, err := stream.Connect(t.Context(), stream.Options{URLs: []string{srv.ClientURL()}, Name: "worker", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	layout := stream.Layout{Names: names, Retention: time.Hour, Takeover: 3 * time.Second}
	sessions := worker.NewSessions()
	owner := &stream.Owner{
		Conn: nc, Layout: layout, Lease: stream.NewLease(layout), Name: "host-a", Hold: time.Millisecond, Log: log,
		Worker: &worker.Worker{Gateway: gateway, Sessions: sessions, Log: log},
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() { owner.FollowSessions(ctx) })
	wg.Go(func() {
		if err := owner.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait(); nc.Close() })
}

// What the desk writes is what the real worker reads, and the other way round.
func TestDeskWithTheRealWorker(t *testing.T) {
	srv := natstest.Start(t)
	d, _ := siteAt(t, srv.ClientURL())
	startWorker(t, srv, refusing("1002"))
	for _, agent := range []string{"1001", "1002", "1003"} {
		if _, err := d.PutSession(t.Context(), agent, messages.Session{GUID: "guid-of-" + agent, SignedInAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	expected := desk.Expected{}
	err := d.Publish(t.Context(), func(yield func(desk.Publication) bool) {
		for i, agent := range []string{"1001", "1002", "1003"} {
			body := fmt.Appendf(nil, `{"agent_id":%q,"flag":"true","batch_id":"b","batch_total":3,"id":"c-%s"}`, agent, agent)
			if !yield(desk.Publication{ID: fmt.Sprint("m", i), Body: body, Agents: []string{agent}}) {
				return
			}
		}
	}, func(s desk.Stored) { expected[s.Seq] = 1 })
	if err != nil {
		t.Fatal(err)
	}
	ended := map[string]messages.Outcome{}
	if err := d.Endings(t.Context(), expected, desk.Since{}, func(e desk.Event) error {
		ended[e.AgentID] = e.Outcome
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(ended) != "map[1001:applied 1002:failed 1003:applied]" {
		t.Errorf("ended %v", ended)
	}
	sum, err := d.Batch(t.Context(), "b", func() {}, func(messages.BatchProgress) {})
	if err != nil || sum.Applied != 2 || sum.Failed != 1 || sum.Total != 3 {
		t.Errorf("summary %+v, %v", sum, err)
	}
	replay(t, d)
	o, err := d.Overview(t.Context())
	if err != nil || o.Owner.Name != "host-a" || o.Owner.Released || o.Sessions != 3 {
		t.Errorf("overview %+v, %v", o, err)
	}
}

// replay publishes the one dead letter again; the gateway refuses it again.
func replay(t *testing.T, d *desk.Desk) {
	t.Helper()
	var seqs []uint64
	for len(seqs) == 0 { // the letter is stored after its result
		if err := d.Dead(t.Context(), desk.DeadQuery{Agent: "1002", Batch: "b"}, func(l desk.Letter) error {
			seqs = append(seqs, l.Seq)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := d.PlanReplay(t.Context(), seqs[0], false)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Replay(t.Context(), &plan); err != nil {
		t.Fatal(err)
	}
	if err := d.Endings(t.Context(), desk.Expected{plan.Seq: 1}, desk.Since{}, func(e desk.Event) error {
		if e.Outcome != messages.Failed || e.ChangeID != fmt.Sprintf("replay-%d-of-c-1002", seqs[0]) || e.BatchID != "" {
			t.Errorf("the replay ended as %+v", e.Result)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
