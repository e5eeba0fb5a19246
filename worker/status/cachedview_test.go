package status

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/worker/view"
)

func TestCachedViewAsksOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o cachedView[int]
		asked := 0
		ask := func() *look[int] {
			return o.ask(time.Second, func(context.Context) (int, bool) {
				asked++
				n := asked
				time.Sleep(600 * time.Millisecond) // longer than an answer is fresh
				return n, true
			})
		}
		var all sync.WaitGroup
		for i := range 59 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				if l := ask(); l.found != 1 || !l.ok || l.late {
					t.Errorf("found %+v", l)
				}
			})
		}
		all.Wait()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		if l := ask(); l.found != 2 {
			t.Errorf("found %d long after", l.found)
		}
	})
}

func TestCachedViewDistinguishesLateFromUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var unknown, stuck cachedView[int]
		if l := unknown.ask(time.Second, func(context.Context) (int, bool) { return 0, false }); l.ok || l.late {
			t.Errorf("not known is taken for %+v", l)
		}
		began := time.Now()
		l := stuck.ask(time.Second, func(ctx context.Context) (int, bool) { <-ctx.Done(); return 0, false })
		if l.ok || !l.late || time.Since(began) != time.Second {
			t.Errorf("late is taken for %+v, after %v", l, time.Since(began))
		}
	})
}

func TestReplicasAreThisProcessWhereNoOthersAreKnown(t *testing.T) {
	s := newStage()
	s.set(func(s *stage) { s.replicas = nil })
	for range 2 {
		if all := s.server.replicas(); len(all) != 1 || all[0].Name != "w1" || all[0].Role != view.RoleOwner {
			t.Errorf("replicas %+v", all)
		}
		s.server.Replicas = nil
	}
}
