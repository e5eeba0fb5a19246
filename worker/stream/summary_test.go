package stream

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
)

// The first worker is cut off from the server in the middle of both batches; the second one counts them to their end.
func TestBatchSummary(t *testing.T) {
	s, p := throughProxy(t)
	s.startOwner("a")
	s.proxy = nil
	b := s.start("b")
	s.signIn("1001", "g1")
	s.publish(`{"batch_id":"b1","flag":"f","changes":[{"agent_id":"1001"},{"agent_id":"1002"},{"agent_id":"1003","flag":"yes"}]}`)
	s.wait("the first agent's has ended", func() bool { return s.ended("1001") == 1 })
	s.publish(`{"batch_id":"b2","batch_total":3,"flag":"f","agent_ids":["1001","1002"]}`)
	s.wait("its second one has, too", func() bool { return s.ended("1001") == 2 })
	p.setDown(true)
	s.waitOwner(b)
	p.setDown(false) // it comes back as a standby
	s.publish(`{"batch_id":"b2","batch_total":3,"flag":"f","agent_id":"1001"}`)
	s.signIn("1002", "g2")
	s.waitFinished()
	s.wantSummary("b1", messages.BatchSummary{Total: 3, Applied: 1, Superseded: 1, Rejected: 1})
	s.wantSummary("b2", messages.BatchSummary{Total: 3, Applied: 3})
}

// Two generations of one ID overlap, and the first one has more changes than it should; the worker is cut off in between.
func TestSummariesOfGenerations(t *testing.T) {
	s, p := throughProxy(t)
	s.startOwner("a")
	s.proxy = nil
	b := s.start("b")
	for _, agent := range []string{"1001", "1002", "1003"} {
		s.signIn(agent, "g")
	}
	const batch = `,"batch_id":"b","batch_total":3,"flag":"f"}`
	s.publish(`{"agent_ids":["1001","1002"]` + batch)
	s.publish(`{"agent_ids":["1003","1004"]` + batch)
	s.publish(`{"agent_ids":["1001","1005"]` + batch)
	s.wait("what can be called for has ended", func() bool { return s.ended("1001") == 2 && s.ended("1002") == 1 && s.ended("1003") == 1 })
	p.setDown(true)
	s.waitOwner(b)
	p.setDown(false)
	s.publish(`{"agent_id":"1002"` + batch)
	s.wait("its change has ended", func() bool { return s.ended("1002") == 2 })
	s.signIn("1004", "g")
	s.wait("the first generation is summed up", func() bool { return len(s.summariesOf("b")) == 1 })
	s.signIn("1005", "g")
	s.waitFinished()
	all := s.summariesOf("b")
	if len(all) != 2 || all[0].Total != 4 || all[0].Ended() != 4 || all[1].Total != 3 || all[1].Ended() != 3 {
		t.Errorf("summaries %+v", all)
	}
	if from := all[0].StartedAt; !all[1].StartedAt.After(from) || all[1].StartedAt.After(all[0].FinishedAt) {
		t.Errorf("the generations began at %v and %v", from, all[1].StartedAt)
	}
}

// The first progress of a batch over several messages tells how many changes it shall have.
func TestFirstProgressHasTheTotal(t *testing.T) {
	s := newSite(t)
	s.startOwner("a")
	first := make(chan *nats.Msg, 16)
	if _, err := s.nc.ChanSubscribe(s.layout.Names.BatchProgress("b"), first); err != nil {
		t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	s.publish(`{"agent_id":"1001","flag":"f","batch_id":"b","batch_total":3}`)
	var p messages.BatchProgress
	if err := json.Unmarshal((<-first).Data, &p); err != nil || p.Total != 3 || p.StartedAt.IsZero() {
		t.Errorf("progress %+v, %v", p, err)
	}
}

// Batches of one message with the same ID are summed up at the same time, each once, and nobody is alarmed.
func TestSameBatchIDAtTheSameTime(t *testing.T) {
	s := newSite(t)
	log := &notebook{}
	s.log = slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})
	s.startOwner("a")
	const n = 60
	for i := range n {
		s.signIn(strconv.Itoa(1001+i), "g")
	}
	for i := range n {
		m := nats.NewMsg(s.layout.Names.Changes())
		m.Data = fmt.Appendf(nil, `{"agent_id":"%d","flag":"f","batch_id":"b"}`, 1001+i)
		if err := s.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	s.wait("all are summed up", func() bool { return len(s.summariesOf("b")) == n })
	if said := log.lines("summary"); len(said) > 0 {
		t.Errorf("said %q", said)
	}
}

// One reading of the results is for all batches that are in doubt after a takeover.
func TestManyBatchesInDoubtAreCountedTogether(t *testing.T) {
	s, p := throughProxy(t)
	s.startOwner("a")
	s.proxy = nil
	s.signIn("1001", "g")
	const n = 40
	for i := range n {
		s.publish(fmt.Sprintf(`{"agent_ids":["1001","%d"],"flag":"f","batch_id":"b%d"}`, 2000+i, i))
	}
	s.wait("one agent's have ended", func() bool { return s.ended("1001") == n })
	p.setDown(true)
	made := make(chan *nats.Msg, 10*n)
	if _, err := s.nc.ChanSubscribe("$JS.API.CONSUMER.CREATE."+s.layout.Names.ResultsStream()+".>", made); err != nil {
		t.Fatal(err)
	}
	if err := s.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	s.startOwner("b")
	for i := range n {
		s.signIn(strconv.Itoa(2000+i), "g")
	}
	s.waitFinished()
	for i := range n {
		if all := s.summariesOf(fmt.Sprintf("b%d", i)); len(all) != 1 || all[0].Total != 2 || all[0].Ended() != 2 {
			t.Errorf("summaries %+v", all)
		}
	}
	own := 0 // summaries reads with consumers, too
	for range len(made) {
		if !strings.Contains((<-made).Subject, ".batch.") {
			own++
		}
	}
	if own > n/4 {
		t.Errorf("%d readings of the results for %d batches", own, n)
	}
}

// A message whose batch was summed up long ago still waits for another of its changes when a new owner reads it.
func TestBatchIDThatIsUsedOftenHasOneSummaryForEachUse(t *testing.T) {
	s := newSite(t)
	r := s.startOwner("a")
	s.signIn("1001", "g")
	s.publish(`{"changes":[{"agent_id":"1001","flag":"f","batch_id":"b"},{"agent_id":"2001","flag":"f"}]}`)
	s.wait("the first use is summed up", func() bool { return len(s.summariesOf("b")) == 1 })
	const uses = keepClosed + 6
	for i := range uses {
		s.publish(fmt.Sprintf(`{"agent_id":"1001","flag":"f","batch_id":"b","id":"c%d"}`, i))
	}
	s.wait("all are summed up", func() bool { return len(s.summariesOf("b")) == 1+uses })
	r.finish()
	s.startOwner("b")
	s.signIn("2001", "g")
	s.waitFinished()
	if n := len(s.summariesOf("b")); n != 1+uses {
		t.Errorf("%d summaries of %d uses", n, 1+uses)
	}
}
