package daytest

import (
	"context"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// Every GUID changes all the time while a whole site changes its shift, and the old one is good for nothing at once: no
// change fails, and none waits for longer than it takes the next GUID to come.
func TestRotationDuringAShiftChange(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	all := agents(scaled(150, 5000))
	every := time.Second // stands for 60
	s.config.Rate, s.config.Burst = float64(len(all))/3, 10
	desktops := &desktops{site: s, sessions: map[string]messages.Session{}}
	for _, agent := range all {
		desktops.sessions[agent] = s.signIn(agent)
	}
	s.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { desktops.rotate(ctx, all, every) })
	s.settled()

	seq := s.publish(item{Agents: all, Flag: "false", ID: "shift"})
	s.waitFinished()
	cancel()
	wg.Wait()
	if n := len(s.results.pick(seq, messages.Applied)); n != len(all) {
		t.Errorf("%d applied, want %d", n, len(all))
	}
	began := map[string]time.Time{}
	for _, e := range s.results.pick(seq, messages.Waiting) {
		began[e.AgentID] = e.FinishedAt
	}
	var longest time.Duration
	for _, e := range s.results.pick(seq, messages.Applied) {
		if at, waited := began[e.AgentID]; waited {
			longest = max(longest, e.FinishedAt.Sub(at))
		}
	}
	t.Logf("%d GUIDs made in all, %d of %d changes waited for one, %v at most", desktops.made, len(began), len(all), longest.Round(time.Millisecond))
	if *full && longest > desktops.slowest {
		t.Errorf("a change waited %v for a GUID, want one rotation at most (%v)", longest, desktops.slowest)
	}
	if most := 3 * len(all); s.gateway.NumCalls() > most {
		t.Errorf("%d calls for %d changes", s.gateway.NumCalls(), len(all))
	}
}

// desktops rotate GUIDs, agent after agent.
type desktops struct {
	site     *site
	sessions map[string]messages.Session
	made     int
	slowest  time.Duration // that all agents took to get new GUIDs
}

func (d *desktops) rotate(ctx context.Context, all []string, every time.Duration) {
	ticks := max(1, int(every/(10*time.Millisecond)))
	slice := (len(all) + ticks - 1) / ticks
	tick := time.NewTicker(every * time.Duration(slice) / time.Duration(len(all)))
	defer tick.Stop()
	began := time.Now()
	for next := 0; ; {
		select {
		case <-ctx.Done():
			d.slowest = max(d.slowest, every)
			return
		case <-tick.C:
		}
		for range slice {
			agent := all[next]
			session := d.sessions[agent]
			session.GUID = d.site.gateway.Rotate(agent)
			d.sessions[agent] = session
			d.site.guids.add(session.GUID)
			if _, err := d.site.js.PublishAsync(d.site.key(agent), messages.EncodeSession(session)); err != nil {
				return
			}
			d.made++
			if next = (next + 1) % len(all); next == 0 {
				d.slowest = max(d.slowest, time.Since(began))
				began = time.Now()
			}
		}
	}
}
