package faulttest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// tally is what became of everything, seen from outside: what the stream had accepted, what results say, and what the
// gateway saw. All counts from missing to tooMany have to be 0.
type tally struct {
	accepted map[string]int // highest number by agent
	endings  map[string]map[int][]ending

	changes, results, calls int

	missing    int // changes without an ending
	second     int // endings after the first one
	wrongFlags int // agents whose flag is not that of their last change
	stale      int // older flags that took effect after newer ones
	foreign    int // endings that no change here can have, and of changes that nobody published
	disorder   int // endings of an agent in another order than its changes
	needless   int // calls for a change that had ended
	early      int // calls for a change while an older one of its agent had no ending yet
	tooMany    int // seconds with more calls than rate and burst allow

	late      int // older flags that took effect after newer ones because the gateway held them beyond its time-out
	lateFlags int // agents whose flag is wrong for that reason
	repeated  int // calls for a change that a worker which woke up had just ended
	busiest   int // most calls in any one second

	details []string
}

// ending is one result that ends a change.
type ending struct {
	outcome messages.Outcome
	seq     uint64 // in the stream of results
	at      time.Time
}

// count reads all results and the gateway's record.
func (s *site) count(accepted map[string]int) *tally {
	s.t.Helper()
	v := &tally{accepted: accepted, endings: map[string]map[int][]ending{}}
	s.try(s.t.Context(), "read the results", v.readResults(s.js))
	v.countEndings()
	calls := s.gateway.Calls()
	v.calls = len(calls)
	v.countStale(calls, s.setup.timeout)
	v.countNeedless(calls, s)
	v.countEarly(calls)
	v.countFlags(s.gateway, calls, s.setup.timeout)
	v.countRate(calls, s.setup, s.stalls)
	return v
}

// readResults reads the stream from its beginning to the end that it has now.
func (v *tally) readResults(js jetstream.JetStream) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		clear(v.endings)
		stream, err := js.Stream(ctx, names.ResultsStream())
		if err != nil {
			return err
		}
		last := stream.CachedInfo().State.LastSeq
		c, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{names.ResultsAll()}})
		if err != nil {
			return err
		}
		from, err := c.Messages()
		if err != nil {
			return err
		}
		defer from.Stop()
		for seq := uint64(0); seq < last; {
			m, err := from.Next(jetstream.NextMaxWait(5 * time.Second))
			if err != nil {
				return err
			}
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			seq = meta.Sequence.Stream
			if err := v.add(m.Data(), seq, meta.Timestamp); err != nil {
				return err
			}
		}
		return nil
	}
}

func (v *tally) add(text []byte, seq uint64, at time.Time) error {
	var r messages.Result
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	v.results++
	if !r.Outcome.Ends() {
		return nil
	}
	of := v.endings[r.AgentID]
	if of == nil {
		of = map[int][]ending{}
		v.endings[r.AgentID] = of
	}
	n := numberOf(r.Flag)
	of[n] = append(of[n], ending{r.Outcome, seq, at})
	return nil
}

func (v *tally) countEndings() {
	for agent, last := range v.accepted {
		v.changes += last
		before := uint64(0)
		for n := 1; n <= last; n++ {
			all := v.endings[agent][n]
			delete(v.endings[agent], n)
			if len(all) == 0 {
				v.find(&v.missing, "agent %s, change %d of %d: no ending", agent, n, last)
				continue
			}
			if len(all) > 1 {
				v.find(&v.second, "agent %s, change %d: endings %v", agent, n, all)
			}
			if e := all[0]; e.outcome != messages.Applied && (e.outcome != messages.Superseded || n == last) {
				v.find(&v.foreign, "agent %s, change %d of %d: %s", agent, n, last, e.outcome)
			}
			if all[0].seq < before {
				v.find(&v.disorder, "agent %s, change %d: its ending %d comes before %d, of an older change", agent, n, all[0].seq, before)
			}
			before = max(before, all[0].seq)
			v.endings[agent][n] = all
		}
		for n := range v.endings[agent] {
			if n < 1 || n > last {
				v.find(&v.foreign, "agent %s: ending of change %d, which nobody published", agent, n)
			}
		}
	}
}

// find counts something that must not be, and keeps the first few in words.
func (v *tally) find(count *int, format string, args ...any) {
	*count++
	if *count <= 5 {
		v.details = append(v.details, fmt.Sprintf(format, args...))
	}
}

// beyond tells whether the gateway held a call for so long that its client had given up: what it does then, nobody can
// keep it from.
func beyond(c gatewaytest.Call, timeout time.Duration) bool {
	return c.AppliedAt.Sub(c.At) > timeout*8/10
}

func (v *tally) countStale(calls gatewaytest.Record, timeout time.Duration) {
	for _, s := range calls.OutOfOrder(func(a, b gatewaytest.Call) int { return numberOf(a.Flag) - numberOf(b.Flag) }) {
		if beyond(s.Late, timeout) {
			v.late++
			continue
		}
		v.find(&v.stale, "agent %s: %s, called for at %s, took effect at %s, after %s at %s", s.Late.AgentID, s.Late.Flag,
			clock(s.Late.At), clock(s.Late.AppliedAt), s.After.Flag, clock(s.After.AppliedAt))
	}
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// arriving is how long a call may be on its way to this busy process.
const arriving = 250 * time.Millisecond

// wokeBefore tells whether a frozen worker had just gone on. What it had been answered before is still true, and it may
// store that where the new owner has stored nothing about the agent: the new owner finds out with its own result only.
func (s *site) wokeBefore(t time.Time) bool {
	return slices.ContainsFunc(s.woken, func(woke time.Time) bool { return t.After(woke) && t.Before(woke.Add(2*time.Second)) })
}

func (v *tally) countNeedless(calls gatewaytest.Record, s *site) {
	for _, c := range calls {
		all := v.endings[c.AgentID][numberOf(c.Flag)]
		if len(all) == 0 || c.At.Before(all[0].at.Add(arriving)) || s.desk.signedInSince(c.AgentID, all[0].at.Add(-10*time.Second), c.At) {
			continue // the last one is applied anew after a sign-in
		}
		if s.wokeBefore(all[0].at) {
			v.repeated++
			continue
		}
		v.find(&v.needless, "agent %s: call for %s at %s, though it had ended as %s at %s", c.AgentID, c.Flag, clock(c.At), all[0].outcome, clock(all[0].at))
	}
}

// countEarly looks whether the endings of all older changes of the agent were stored as the call came.
func (v *tally) countEarly(calls gatewaytest.Record) {
	older := map[string][]time.Time{} // by agent and number: when the last ending of an older change was stored
	for agent, last := range v.accepted {
		times := make([]time.Time, last+1)
		for n := 2; n <= last; n++ {
			times[n] = times[n-1]
			if all := v.endings[agent][n-1]; len(all) > 0 && all[0].at.After(times[n]) {
				times[n] = all[0].at
			}
		}
		older[agent] = times
	}
	for _, c := range calls {
		n, times := numberOf(c.Flag), older[c.AgentID]
		if n < len(times) && c.At.Before(times[n]) {
			v.find(&v.early, "agent %s: call for %s at %s, before an older change's ending at %s", c.AgentID, c.Flag, clock(c.At), clock(times[n]))
		}
	}
}

func (v *tally) countFlags(g *gatewaytest.Gateway, calls gatewaytest.Record, timeout time.Duration) {
	last := map[string]gatewaytest.Call{}
	for _, c := range calls.Applied() {
		last[c.AgentID] = c
	}
	for agent, n := range v.accepted {
		switch flag, _ := g.Flag(agent); {
		case n == 0 || flag == flagOf(n):
		case beyond(last[agent], timeout):
			v.lateFlags++
		default:
			v.find(&v.wrongFlags, "agent %s: flag %s, want %s; the last call that took effect came at %s", agent, flag, flagOf(n), clock(last[agent].At))
		}
	}
}

func (v *tally) countRate(calls gatewaytest.Record, c setup, st *Stalls) {
	v.busiest = calls.MaxInWindow(time.Second)
	for _, breach := range TooMany(calls, c.rate, c.burst, st) {
		v.find(&v.tooMany, "%s", breach)
	}
}

// faults are the counts that have to be 0, with their names.
func (v *tally) faults() map[string]int {
	return map[string]int{
		"missing endings": v.missing, "second endings": v.second, "wrong final flags": v.wrongFlags,
		"older landed after newer": v.stale, "endings that cannot be": v.foreign, "endings out of order": v.disorder,
		"calls after the ending": v.needless, "calls before an older ending": v.early, "seconds with too many calls": v.tooMany,
	}
}

func (v *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d changes of %d agents, %d results, %d calls\n", v.changes, len(v.accepted), v.results, v.calls)
	fmt.Fprintf(&b, "missing endings %d, second endings %d, wrong final flags %d, older landed after newer %d\n",
		v.missing, v.second, v.wrongFlags, v.stale)
	fmt.Fprintf(&b, "endings that cannot be %d, endings out of order %d, calls after the ending %d, calls before an older ending %d, "+
		"seconds with too many calls %d\n", v.foreign, v.disorder, v.needless, v.early, v.tooMany)
	fmt.Fprintf(&b, "most calls in one second %d; held by the gateway beyond its time-out: %d landed after newer ones, %d final flags; "+
		"calls repeated after a worker woke up %d", v.busiest, v.late, v.lateFlags, v.repeated)
	for _, d := range v.details {
		b.WriteString("\n  " + d)
	}
	return b.String()
}
