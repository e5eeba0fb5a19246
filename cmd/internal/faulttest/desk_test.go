package faulttest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// desk is where agents sign in: it gives them sessions at the gateway and puts them into the registry.
type desk struct {
	site     *site
	sessions jetstream.KeyValue

	mu      sync.Mutex // guards signIns
	signIns map[string][]time.Time
}

// openDesk signs all agents in, as soon as a worker has made the registry.
func openDesk(s *site) *desk {
	s.t.Helper()
	d := &desk{site: s, signIns: map[string][]time.Time{}}
	s.try(s.t.Context(), "find the session registry", func(ctx context.Context) (err error) {
		d.sessions, err = s.js.KeyValue(ctx, names.SessionsBucket())
		return err
	})
	for _, agent := range s.agents {
		d.signIn(s.t.Context(), agent)
	}
	return d
}

func (d *desk) signIn(ctx context.Context, agent string) {
	at := time.Now()
	d.mu.Lock()
	d.signIns[agent] = append(d.signIns[agent], at)
	d.mu.Unlock()
	d.put(ctx, agent, d.site.gateway.SignIn(agent), at)
}

// rotate gives the agent's session another GUID. For a moment the registry does not know it yet.
func (d *desk) rotate(ctx context.Context, agent string, late time.Duration) {
	guid := d.site.gateway.Rotate(agent)
	time.Sleep(late)
	d.mu.Lock()
	all := d.signIns[agent]
	d.mu.Unlock()
	d.put(ctx, agent, guid, all[len(all)-1])
}

func (d *desk) put(ctx context.Context, agent, guid string, at time.Time) {
	session := messages.Session{GUID: guid, SignedInAt: at}
	if len(agent) > 0 && agent[len(agent)-1]%2 == 1 {
		session.GatewayURL = d.site.second.url()
	}
	record := messages.EncodeSession(session)
	d.site.try(ctx, "store a session", func(ctx context.Context) error {
		_, err := d.sessions.Put(ctx, agent, record)
		return err
	})
}

// run has agents sign in anew and sessions change until ctx ends.
func (d *desk) run(ctx context.Context, random *rand.Rand) {
	change := context.WithoutCancel(ctx) // what was begun is brought to its end
	for {
		select {
		case <-time.After(time.Duration(200+random.IntN(600)) * time.Millisecond):
		case <-ctx.Done():
			return
		}
		agent := d.site.agents[random.IntN(len(d.site.agents))]
		if random.IntN(3) == 0 {
			d.signIn(change, agent)
		} else {
			d.rotate(change, agent, time.Duration(random.IntN(200))*time.Millisecond)
		}
	}
}

// signedInSince tells whether the agent signed in between two moments.
func (d *desk) signedInSince(agent string, from, to time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, at := range d.signIns[agent] {
		if at.After(from) && at.Before(to) {
			return true
		}
	}
	return false
}
