package stream

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

// Whoever may publish can write any header. Each of these blocks is on all that is unfinished when somebody wants to
// become the owner.
func TestOwnerIsPickedWhateverTheUnfinishedChangesCarry(t *testing.T) {
	t.Parallel()
	for _, b := range natstest.Blocks() {
		if !strings.Contains(b.Name, "pin") && !strings.Contains(b.Name, "Status 4") &&
			!slices.Contains([]string{"a line without a colon", "garbage", "one byte", "no end"}, b.Name) {
			continue
		}
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			a := s.startOwner("a")
			s.waitFinished()
			raw := natstest.DialRaw(t, s.server.ClientURL())
			for i := range 3 {
				raw.Publish(s.layout.Names.Changes(), b.Text, fmt.Sprintf(`{"agent_id":"%d","flag":"true","id":"c"}`, 1001+i))
			}
			s.wait("they wait", func() bool { return s.stored() == 3 })
			a.finish()
			next := s.startOwner("b")
			s.restartServer()
			s.wait("it is the owner again", func() bool { return next.owner.State().Role == view.RoleOwner && next.owner.Lease.Check() == nil })
			for i := range 3 {
				s.signIn(strconv.Itoa(1001+i), "g")
			}
			s.waitFinished()
		})
	}
}

// hostile is a site to which strangers send headers of all kinds wherever they can: on changes that apply, that are
// rejected, that fail and that wait, on sessions, results, summaries and dead letters. In each hundred of the agents of a
// hundred, each agent has one block.
type hostile struct {
	*site
	raw    *natstest.Raw
	blocks []natstest.Block
}

const (
	applying  = 10_000
	rejecting = 20_000
	failing   = 30_000
	awaiting  = 40_000
	bystander = "999999" // has nothing to do with all this
)

func newHostile(t *testing.T) *hostile {
	t.Helper()
	s := newSite(t)
	s.gateway.answer = func(c worker.Call) worker.Answer {
		if n, err := strconv.Atoi(c.AgentID); err == nil && n >= failing && n < awaiting {
			return worker.Answer{Class: worker.Refused, Retcode: "000-002", Message: "no"}
		}
		return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
	}
	if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
		t.Fatal(err)
	}
	return &hostile{s, natstest.DialRaw(t, s.server.ClientURL()), natstest.Blocks()}
}

func agentOf(kind, i int) string { return strconv.Itoa(kind + i) }

// litter publishes each block wherever results, summaries and letters are.
func (h *hostile) litter() {
	n := h.layout.Names
	for i, b := range h.blocks {
		for _, subject := range []string{
			n.Result(messages.Applied, agentOf(applying, i)), n.Prefix + ".result.other." + agentOf(applying, i),
			n.Result(messages.Failed, agentOf(failing, i)), n.Result(messages.Rejected, agentOf(rejecting, i)),
			n.Result(messages.Waiting, agentOf(awaiting, i)), n.Result(messages.Applied, "nobody"), n.Prefix + ".result.a.b.c",
			n.Batch("b"), n.BatchProgress("b"), n.Dead(agentOf(failing, i)), n.Dead(agentOf(rejecting, i)),
		} {
			h.raw.Publish(subject, b.Text, `{"outcome":`)
			h.raw.Publish(subject, b.Text, "")
		}
	}
}

func (h *hostile) signAllIn(kind int) {
	for i, b := range h.blocks {
		h.raw.Publish("$KV."+h.layout.Names.SessionsBucket()+"."+agentOf(kind, i), b.Text, "g")
	}
}

func (h *hostile) change(kind int, flag, id string) {
	for i, b := range h.blocks {
		h.raw.Publish(h.layout.Names.Changes(), b.Text,
			fmt.Sprintf(`{"agent_id":"%s","flag":"%s","id":"%s","batch_id":"b"}`, agentOf(kind, i), flag, id))
	}
}

// isApplied waits until a change of somebody who has nothing to do with all this is applied.
func (h *hostile) isApplied(id string) {
	h.t.Helper()
	h.publish(fmt.Sprintf(`{"agent_id":"%s","flag":"true","id":"%s"}`, bystander, id))
	h.wait("the bystander's change "+id+" is applied", func() bool {
		m, err := GetLastMsg(h.t.Context(), h.js, h.layout.Names.ResultsStream(), h.layout.Names.Result(messages.Applied, bystander))
		return err == nil && strings.Contains(string(m.Data), `"`+id+`"`)
	})
}

// outcomes counts the endings of an agent's change.
func (h *hostile) outcomes() map[string][]messages.Outcome {
	h.t.Helper()
	of := map[string][]messages.Outcome{}
	for _, m := range h.all(h.layout.Names.ResultsStream(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{h.layout.Names.ResultsAll()}}) {
		var r messages.Result
		if m.Header.Get(ledgerHeader) != "" && json.Unmarshal(m.Data, &r) == nil && r.Outcome.Ends() {
			of[r.AgentID+" "+r.ChangeID] = append(of[r.AgentID+" "+r.ChangeID], r.Outcome)
		}
	}
	return of
}

func TestAnyHeaderBlockAnywhere(t *testing.T) {
	h := newHostile(t)
	a := h.startOwner("a")
	h.signIn(bystander, "g")
	h.signAllIn(applying)
	h.signAllIn(failing)
	h.change(applying, "true", "one")
	h.change(rejecting, "yes", "one")
	h.change(failing, "true", "one")
	h.change(awaiting, "true", "one")
	h.isApplied("first")
	h.litter()
	h.isApplied("littered")
	h.wait("the others wait", func() bool { return h.unfinished() == uint64(len(h.blocks)) })

	a.finish()
	b := h.startOwner("b")
	h.isApplied("after a stop")
	h.litter()
	h.restartServer()
	h.raw = natstest.DialRaw(t, h.server.ClientURL())
	h.isApplied("after a restart of the server")
	h.change(applying, "false", "two")
	h.change(rejecting, "no!", "two")
	h.change(failing, "false", "two")
	b.owner.Conn.Close() // as good as dead
	h.startOwner("c")
	h.isApplied("after a crash")
	h.signAllIn(awaiting)
	h.waitFinished()

	of := h.outcomes()
	for i, block := range h.blocks {
		for _, want := range []struct {
			kind    int
			id      string
			outcome messages.Outcome
		}{
			{applying, "one", messages.Applied},
			{rejecting, "one", messages.Rejected},
			{failing, "one", messages.Failed},
			{awaiting, "one", messages.Applied},
			{applying, "two", messages.Applied},
			{rejecting, "two", messages.Rejected},
			{failing, "two", messages.Failed},
		} {
			if got := of[agentOf(want.kind, i)+" "+want.id]; len(got) != 1 || got[0] != want.outcome {
				t.Errorf("%s: change %s of the agents at %d has the endings %v, want %s", block.Name, want.id, want.kind, got, want.outcome)
			}
		}
	}
	h.wantLetters()
}

// The same with workers in processes of their own, which are killed as they are: all that is unfinished carries a block.
func TestAnyHeaderBlockAfterAKill(t *testing.T) {
	h := newHostile(t)
	board := newSwitchboard(t, 0)
	a := h.spawn(t, "a", board)
	h.change(awaiting, "true", "one")
	h.change(rejecting, "yes", "one")
	h.wait("they wait", func() bool { return h.unfinished() == uint64(len(h.blocks)) })
	a.kill()
	h.litter()
	h.signAllIn(awaiting)
	h.spawn(t, "b", board)
	h.waitFinished()
	of := h.outcomes()
	for i, block := range h.blocks {
		if got := of[agentOf(awaiting, i)+" one"]; len(got) != 1 || got[0] != messages.Applied {
			t.Errorf("%s: the change has the endings %v", block.Name, got)
		}
		if got := of[agentOf(rejecting, i)+" one"]; len(got) != 1 || got[0] != messages.Rejected {
			t.Errorf("%s: what is rejected has the endings %v", block.Name, got)
		}
	}
	if n := board.by("b"); n != len(h.blocks) {
		t.Errorf("%d calls of the second worker for %d agents", n, len(h.blocks))
	}
}

// wantLetters wants a letter for each change that was rejected or failed, once, with the block of its change.
func (h *hostile) wantLetters() {
	h.t.Helper()
	n := h.layout.Names
	letters := map[string]int{}
	for _, m := range h.all(n.DeadStream(), jetstream.OrderedConsumerConfig{}) {
		var r messages.Result
		if json.Unmarshal([]byte(m.Header.Get(messages.ResultHeader)), &r) != nil || r.AgentID == "" {
			continue // of a stranger
		}
		letters[r.AgentID+" "+r.ChangeID]++
		agent, err := strconv.Atoi(r.AgentID)
		if err != nil {
			h.t.Fatal(err)
		}
		block := h.blocks[agent%rejecting%failing%applying]
		got, err := GetMsg(h.t.Context(), h.js, n.DeadStream(), m.Seq)
		if err != nil {
			h.t.Fatal(err)
		}
		if !strings.Contains(string(got.Data), `"flag"`) || m.Undecoded {
			h.t.Errorf("%s: the letter has the body %q, undecoded %v", block.Name, got.Data, m.Undecoded)
		}
		if m.Header.Get("Status") != "" || m.Header.Get("Description") != "" || m.Header.Get("Nats-Pin-Id") != "" {
			h.t.Errorf("%s: the letter has the headers %v", block.Name, m.Header)
		}
		kept, err := base64.StdEncoding.DecodeString(m.Header.Get(messages.HeadersHeader))
		if err != nil || (len(kept) > 0 && !strings.HasPrefix(statuses.ReplaceAllString(block.Text, "NATS/1.0\r"), string(kept))) {
			h.t.Errorf("%s: the letter keeps the block %.60q: %v", block.Name, kept, err)
		}
		for name, values := range ParseHeader([]byte(block.Text)) {
			if len(kept) == 0 && m.Header.Get(messages.CutHeader) == "" && !slices.Equal(trimmed(m.Header[deadName(name)]), trimmed(values)) {
				h.t.Errorf("%s: the letter lost the header %q: %q, not %q", block.Name, name, m.Header[deadName(name)], values)
			}
		}
	}
	for i, block := range h.blocks {
		for _, kind := range []int{rejecting, failing} {
			for _, id := range []string{"one", "two"} {
				if got := letters[agentOf(kind, i)+" "+id]; got != 1 {
					h.t.Errorf("%s: %d letters of change %s of agent %s", block.Name, got, id, agentOf(kind, i))
				}
			}
		}
	}
}

func trimmed(all []string) []string {
	all = slices.Clone(all)
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}

// A session record with any block is one: the agent is signed in, and all that sign in later are heard of at once.
func TestSessionsWithAnyHeaderBlock(t *testing.T) {
	h := newHostile(t)
	sessions := h.startOwner("a").owner.Worker.Sessions
	for i, b := range h.blocks {
		h.raw.Publish("$KV."+h.layout.Names.SessionsBucket()+"."+agentOf(awaiting, i), b.Text, "")
	}
	h.signAllIn(applying)
	h.signIn(bystander, "g")
	h.wait("all are signed in", func() bool { return sessions.Len() == len(h.blocks)+1 })
	next := h.start("b").owner.Worker.Sessions
	h.wait("a replica that is started later hears of all", func() bool { return next.Len() == len(h.blocks)+1 })
}

// A follower whose server says nothing any more says so, and begins again.
func TestFollowerWithoutPermissionReportsIt(t *testing.T) {
	s := newSite(t)
	s.proxy = newProxy(t, s.server.ClientURL())
	a := s.startOwner("a")
	resume := s.proxy.stall()
	s.wait("it is said", func() bool { return strings.Contains(a.owner.State().Trouble, "sign-ins are not heard of") })
	resume()
	s.wait("it is over", func() bool { return a.owner.State().Trouble == "" })
}
