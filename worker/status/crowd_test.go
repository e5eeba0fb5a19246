package status

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// crowded fills every list as far as it goes, as on a site of 20,000 agents in a shift change that goes badly.
func (s *stage) crowded() *stage {
	now := time.Now()
	s.worker.set(func(a *actor) {
		v := &a.view
		v.Agents, v.Due, v.NotSignedIn, v.Later = 20_000, 4_321, 11_000, 3_000
		v.Gate.Until = now.Add(42 * time.Second)
		for i := range 200 {
			agent := strconv.Itoa(100_000 + i)
			w := view.Wait{AgentID: agent, Change: view.ChangeView{
				ID: "c-" + agent, Flag: "false", EffectiveAt: now.Add(-time.Minute), ValidUntil: now.Add(12 * time.Hour),
				Attempts: 2, WaitsFor: view.SignIn,
			}}
			if i < 10 {
				w.Change.WaitsFor, w.Change.Retcode, w.Change.Message = view.Retry, "100-007", "agent operation failed"
				w.Change.Next = now.Add(time.Duration(i) * time.Second)
			}
			v.Waits = append(v.Waits, w)
		}
		for i := range 100 {
			v.Batches = append(v.Batches, view.BatchView{ID: fmt.Sprintf("late-shift-%02d", i), Progress: messages.BatchSummary{
				Total: 400, Applied: 3 * i, Superseded: i / 2, Failed: i / 30, StartedAt: now.Add(-time.Minute),
			}})
		}
		a.agents = map[string]view.AgentView{"1001": {
			AgentID: "1001", SignedIn: true, SignedAt: now.Add(-time.Hour),
			InForce: &messages.Result{Outcome: messages.Applied, Flag: "true", ChangeID: "c-1", ValidUntil: now.Add(time.Hour), FinishedAt: now},
			Live:    &v.Waits[0].Change,
			Later:   []view.ChangeView{{ID: "c-9", Flag: "true", EffectiveAt: now.Add(time.Hour), ValidUntil: now.Add(9 * time.Hour)}},
		}}
	})
	for i := range 300 {
		r := result(messages.Applied, strconv.Itoa(2000+i), fmt.Sprint("c-", i), now.Add(-time.Duration(300-i)*time.Second))
		r.Retcode, r.Message, r.BatchID, r.Attempts = "0", "success", "late-shift-7", 1
		switch i % 4 {
		case 1:
			r.Outcome, r.Retcode, r.Message, r.Attempts = messages.Failed, "100-007", "agent operation failed: "+strings.Repeat("resource unreachable ", 5), 8
		case 2:
			r.Outcome, r.Retcode, r.Message = messages.Rejected, "", "flag: want true, false or a short word, got a number"
		}
		s.server.Metrics.Ended(&r)
	}
	at := now.Add(-15 * time.Minute)
	for i := range keptPoints + 1 {
		x := float64(i) / keptPoints
		s.server.history.add(at.Add(time.Duration(i)*sampleEvery), view.View{
			Since: at, Called: uint64(50 * 5 * (float64(i) + 4*math.Sin(9*x))), Ended: uint64(47 * 5 * float64(i)),
			Due: int(4000 * x * (1.2 - x)),
		}, i < 60 || i > 70)
	}
	return s
}
