package faulttest

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

var rollingChanges = flag.Int("faults.rolling", 1500, "changes that flow while all workers are replaced, 5000 in the long form")

// gapAtMost is how long calls may pause in the long form, which runs alone. Beside other tests there is more of everything.
const gapAtMost = 2 * time.Second

// TestRollingUpdate replaces three workers in turn while the changes of a shift flow, as a rolling update does: the next
// one only when the new one has taken its place. Every change ends once, and calls go on.
//
//	go test ./cmd/internal/faulttest -v -run TestRollingUpdate -faults.rolling=5000
func TestRollingUpdate(t *testing.T) {
	t.Parallel()
	c := setup{servers: 1, workers: 3, agents: *rollingChanges, rate: *rollingChanges / 8, burst: 20, timeout: 5 * time.Second}
	s := startSite(t, c, built)
	s.gateway.ClearRules()
	s.gateway.On("", gatewaytest.Rule{Latency: 20 * time.Millisecond})
	accepted, longest, old := map[string]int{}, time.Duration(0), slices.Clone(s.replicas)
	for agents := range slices.Chunk(s.agents, (len(s.agents)+len(old)-1)/len(old)) {
		wave := s.publishWave(agents, accepted)
		i := max(0, slices.IndexFunc(old, func(r *replica) bool { return r.owner.Load() })) // the owner, while it is an old one
		s.replaceIn(wave, old[i])
		old = slices.Delete(old, i, i+1)
		s.wantSoon("the wave has ended", s.finished)
		longest = max(longest, wave.gap(t))
	}
	v := s.count(accepted)
	t.Logf("longest gap between two calls while workers were replaced: %v\n%v", longest.Round(time.Millisecond), v)
	most := gapAtMost
	if *rollingChanges < 5000 {
		most *= 3
	}
	if longest > most {
		t.Errorf("nobody called for %v, want %v at most", longest, most)
	}
	for what, n := range v.faults() {
		if n > 0 {
			t.Errorf("%s: %d, want 0", what, n)
		}
	}
}

// wave is the part of the changes during which one worker is replaced: there is something to call all the time.
type wave struct {
	site   *site
	began  time.Time
	before int // calls made until then
}

func (s *site) publishWave(agents []string, accepted map[string]int) wave {
	s.t.Helper()
	w := wave{site: s, began: time.Now(), before: s.gateway.NumCalls()}
	for list := range slices.Chunk(agents, 100) {
		text := fmt.Sprintf(`{"flag":%q,"agent_ids":["%s"]}`, flagOf(1), strings.Join(list, `","`))
		s.try(s.t.Context(), "publish a change", func(ctx context.Context) error {
			_, err := s.js.Publish(ctx, names.Changes(), []byte(text))
			return err
		})
		for _, agent := range list {
			accepted[agent] = 1
		}
	}
	return w
}

// replaceIn stops a worker in the middle of a wave, starts another in its place and waits until that takes part.
func (s *site) replaceIn(w wave, r *replica) {
	s.t.Helper()
	s.wantSoon("calls go out", func() bool { return s.gateway.NumCalls() > w.before })
	owned := r.owner.Load()
	status, took := r.stop()
	if status != 0 {
		s.t.Errorf("%s ended with status %d:\n%s", r.name, status, r.proc.Output())
	}
	s.t.Logf("%s stopped in %v, was the owner: %v", r.name, took.Round(time.Millisecond), owned)
	r.start()
	s.wantSoon("the new worker takes part", func() bool { return strings.Contains(r.proc.Output(), `"msg":"ownership"`) })
}

// gap is the longest time without a call between the publishing of a wave and its last call.
func (w wave) gap(t *testing.T) time.Duration {
	t.Helper()
	last, longest := w.began, time.Duration(0)
	for _, c := range w.site.gateway.Calls()[w.before:] {
		longest, last = max(longest, c.At.Sub(last)), c.At
	}
	return longest
}

func (s *site) wantSoon(what string, holds func() bool) {
	s.t.Helper()
	if waitUntil(healWithin, holds); !holds() {
		s.t.Fatalf("never came true: %s", what)
	}
}
