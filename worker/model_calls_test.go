package worker

import (
	"slices"
	"time"

	"idlepolicy/messages"
)

// checkCalls looks at each call as the gateway saw it, with the endings known.
func (w *world) checkCalls(endings map[*item]*ending) {
	reapplied := map[string][]*seen{}
	for _, s := range w.backend.calls {
		it := w.itemOfCall(s)
		if it == nil {
			w.t.Errorf("a call for nothing: %s %s", s.AgentID, s.Flag)
			continue
		}
		wrong := func(why string, by *item) {
			w.t.Errorf("call of %d.%d at %v: %s %v", it.seq, it.Index, s.from, why, by)
		}
		e := endings[it]
		first := e == nil || !e.at.Before(s.from) // else what is in force is reapplied
		if !first {
			reapplied[s.AgentID] = append(reapplied[s.AgentID], s)
		}
		switch {
		case s.beside:
			wrong("another one for this agent is under way", nil)
		case s.Session.GUID == "":
			wrong("without a session", nil)
		case s.from.Add(w.ahead).Before(it.at):
			wrong("too early", nil)
		case !s.from.Before(it.until):
			wrong("too late", nil)
		case !first && e.Outcome != messages.Applied && !e.late:
			wrong("it has ended", nil)
		}
		lands := s.from
		if s.loose && s.success {
			lands = s.to
		}
		for _, o := range w.items {
			oe := endings[o]
			if o.AgentID != it.AgentID || oe == nil || oe.withdrawn() {
				continue
			}
			if first && o.before(it) && oe.at.After(s.from) {
				wrong("an older change's ending is not stored:", o)
			}
			if it.before(o) && w.acceptedBefore(o, lands) && (first || oe.Outcome == messages.Applied) {
				wrong("the gateway had accepted a newer one:", o)
			}
			if !first && !e.late && it.before(o) && !o.at.After(s.from) && oe.at.After(s.from) && o.asked.Before(s.from) {
				wrong("reapplied although a newer one waits:", o)
			}
		}
	}
	w.checkReapplied(endings)
}

// checkReapplied: reapplied for sign-ins only, at most once for each.
func (w *world) checkReapplied(endings map[*item]*ending) {
	told := map[string]int{}
	for _, rec := range w.journal.records {
		r := rec.Result
		if r.Outcome != messages.Reapplied {
			continue
		}
		told[r.AgentID]++
		it := w.itemOf(r.ChangeSeq, r.ChangeIndex)
		if it == nil || endings[it] == nil || endings[it].Outcome != messages.Applied {
			w.t.Errorf("reapplied, but never applied: %+v", r)
		}
	}
	for agent, n := range told {
		if n > w.ins[agent] {
			w.t.Errorf("agent %s: reapplied %d times, signed in %d times", agent, n, w.ins[agent])
		}
	}
}

func (w *world) itemOfCall(s *seen) *item {
	for _, it := range w.items {
		if it.AgentID == s.AgentID && it.Flag == s.Flag && !it.again && !it.rejected && !it.Cancel {
			return it
		}
	}
	return nil
}

func (w *world) callsOf(it *item) []*seen { return w.backend.of[it.AgentID+" "+it.Flag] }

func (w *world) acceptedBefore(it *item, t time.Time) bool {
	return slices.ContainsFunc(w.callsOf(it), func(s *seen) bool { return s.success && s.to.Before(t) })
}

// checkGateway: once everybody is signed in and the gateway is sound, it holds for each agent what is in force.
func (w *world) checkGateway() {
	applied := map[string]*item{}
	last := map[string]*item{}
	for _, rec := range w.journal.records {
		r := rec.Result
		if it := w.itemOf(r.ChangeSeq, r.ChangeIndex); r.Outcome == messages.Applied && it != nil {
			if old := applied[r.AgentID]; old == nil || old.before(it) {
				applied[r.AgentID] = it
			}
		}
	}
	for _, s := range w.backend.calls {
		if it := w.itemOfCall(s); s.success && it != nil {
			last[s.AgentID] = it
		}
	}
	for agent, it := range applied {
		if !it.until.After(time.Now()) {
			continue
		}
		if got := w.backend.holds[agent]; got != it.Flag {
			w.t.Errorf("agent %s: the gateway holds %q, in force is %q (%d.%d)", agent, got, it.Flag, it.seq, it.Index)
		}
		if last[agent] != it {
			w.t.Errorf("agent %s: the last call that was accepted is not for what is in force", agent)
		}
	}
}
