package tap

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/messages"
)

// memory is a Store, and the other taps that use the same one.
type memory struct {
	mu      sync.Mutex // guards what follows
	records map[string]Record
	rev     uint64
	away    bool
	writes  int
	taps    []*Registry
}

func newMemory() *memory { return &memory{records: map[string]Record{}} }

var errAway = errors.New("away")

func (m *memory) Get(_ context.Context, agent string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return Record{}, errAway
	}
	return m.records[agent], nil
}

func (m *memory) Put(_ context.Context, agent string, rec Record) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.away:
		return 0, errAway
	case m.records[agent].Rev != rec.Rev:
		return 0, ErrConflict
	}
	m.rev++
	m.writes++
	rec.Rev, rec.Written = m.rev, time.Now()
	m.records[agent] = rec
	return m.rev, nil
}

func (m *memory) Agents(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, errAway
	}
	return slices.Sorted(maps.Keys(m.records)), nil
}

func (m *memory) Ask(_ context.Context, agents []string) error {
	m.mu.Lock()
	taps, away := m.taps, m.away
	m.mu.Unlock()
	if away {
		return errAway
	}
	for _, other := range taps {
		seen := other.Silent(agents)
		for _, asker := range taps {
			asker.Heard(seen)
		}
	}
	return nil
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

// write is what somebody else writes: middleware, an operator.
func (m *memory) write(agent string, s messages.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rev++
	m.records[agent] = Record{Rev: m.rev, Session: s, Written: time.Now(), Gone: s.GUID == ""}
}

// writeAs is what a tap wrote that is gone.
func (m *memory) writeAs(agent string, rec Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rev++
	rec.Rev, rec.Written = m.rev, time.Now()
	m.records[agent] = rec
}

// want wants the agent's stored GUID; empty: no session.
func (m *memory) want(t *testing.T, agent, guid string) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	got := ""
	if rec := m.records[agent]; rec.live() {
		got = rec.Session.GUID
	}
	if got != guid {
		t.Errorf("%v: the GUID of %s is %q, want %q", time.Now().Format("15:04:05.000"), agent, got, guid)
	}
}

func (m *memory) session(agent string) messages.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[agent].Session
}

func (m *memory) numWrites() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

const silence = 2 * time.Minute

// bubble runs a test in virtual time, with as many taps on one store.
func bubble(t *testing.T, taps int, do func(t *testing.T, m *memory, taps []*Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range taps {
			m.add(&wg, ctx)
		}
		do(t, m, m.taps)
		stop()
		wg.Wait()
	})
}

func (m *memory) add(wg *sync.WaitGroup, ctx context.Context) *Registry { //nolint:revive // the group belongs to the caller
	r := NewRegistry(m, silence)
	m.mu.Lock()
	m.taps = append(m.taps, r)
	m.mu.Unlock()
	wg.Go(func() { r.Run(ctx) })
	return r
}

// signedIn is an answer to a sign-in.
func signedIn(agent, guid string, cookies ...string) Event {
	return Event{Kind: SignedIn, Agent: agent, GUID: guid, Cookies: cookies, Asked: time.Now()}
}

// polled is a good answer to a poll that was sent just now; gives is the new GUID that it brings.
func polled(agent, shows, gives string) Event {
	return Event{Kind: Answered, Agent: agent, Shown: shows, GUID: gives, Asked: time.Now(), Sent: []string{"node=of-" + agent}}
}

func refusedPoll(agent, shows string) Event {
	return Event{Kind: Refused, Agent: agent, Shown: shows, Asked: time.Now()}
}

func signedOut(agent, shows string) Event {
	return Event{Kind: SignedOut, Agent: agent, Shown: shows, Asked: time.Now()}
}
