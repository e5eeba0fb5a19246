package faulttest

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

var posts = flag.Int("faults.posts", 1000, "changes that are posted over HTTP while a worker is killed, 10000 in the long form")

const (
	postConnections = 50
	postToken       = "token-of-those-who-post"
)

// TestPosts has many clients post single changes to both workers, each to one and then the other, while the owner is killed.
// Nobody learns what became of a request that the dead worker had taken, so each one that failed is repeated with its
// Idempotency-Key. Each change is stored once and ends once.
func TestPosts(t *testing.T) {
	t.Parallel()
	c := setup{servers: 1, workers: 2, agents: *posts, rate: 2000, burst: 200, timeout: 3 * time.Second}
	c.publishers = filepath.Join(t.TempDir(), "publishers")
	if err := os.WriteFile(c.publishers, []byte("crowd "+postToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSite(t, c, built)
	s.gateway.ClearRules()
	s.gateway.On("", gatewaytest.Rule{Latency: 5 * time.Millisecond})
	s.wantSoon("a worker is the owner, and both serve HTTP", func() bool {
		return s.ownerOr(0).owner.Load() && s.replicas[0].page.Load() != nil && s.replicas[1].page.Load() != nil
	})
	knocks := s.countKnocks()
	before := s.lastChange()
	crowd := &crowd{site: s, client: &http.Client{
		Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: postConnections, MaxConnsPerHost: postConnections},
	}}
	defer crowd.client.CloseIdleConnections()
	began := time.Now()
	crowd.post(func() { s.ownerOr(0).kill() })
	took := time.Since(began)

	accepted := map[string]int{}
	for _, agent := range s.agents {
		accepted[agent] = 1
	}
	s.wantSoon("all changes have ended", s.finished)
	stored := int(s.lastChange()-before) - int(knocks.Load())
	v := s.count(accepted)
	t.Logf("%d changes from %d connections in %v, %d requests repeated, %d of them failed before\n%v", *posts, postConnections,
		took.Round(time.Millisecond), crowd.again.Load(), crowd.failed.Load(), v)
	if stored != *posts {
		t.Errorf("the stream stored %d messages for %d changes", stored, *posts)
	}
	if crowd.failed.Load() == 0 {
		t.Error("no request failed: nobody noticed that a worker was killed")
	}
	for what, n := range v.faults() {
		if n > 0 {
			t.Errorf("%s: %d, want 0", what, n)
		}
	}
}

// lastChange is the sequence of the last message that the stream of changes has stored.
func (s *site) lastChange() (seq uint64) {
	s.t.Helper()
	s.try(s.t.Context(), "look at the stream of changes", func(ctx context.Context) error {
		changes, err := s.js.Stream(ctx, names.ChangesStream())
		if err == nil {
			seq = changes.CachedInfo().State.LastSeq
		}
		return err
	})
	return seq
}

// countKnocks counts from now on what workers publish to become the owner: those messages have no ID.
func (s *site) countKnocks() *atomic.Int64 {
	s.t.Helper()
	n := &atomic.Int64{}
	_, err := s.conn.Subscribe(names.Changes(), func(m *nats.Msg) {
		if m.Header.Get(messages.MsgIDHeader) == "" {
			n.Add(1)
		}
	})
	if err == nil {
		err = s.conn.Flush()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// crowd are those who post.
type crowd struct {
	site   *site
	client *http.Client
	again  atomic.Int64 // requests that were repeated
	failed atomic.Int64 // of them, because they failed
}

// post posts one change for each agent, and calls meanwhile after a third of them.
func (c *crowd) post(meanwhile func()) {
	next := make(chan int)
	var all sync.WaitGroup
	for range postConnections {
		all.Go(func() {
			for i := range next {
				c.one(i)
			}
		})
	}
	for i := range c.site.agents {
		if i == len(c.site.agents)/3 {
			all.Go(meanwhile)
		}
		next <- i
	}
	close(next)
	all.Wait()
}

// one posts until a worker has answered that the stream stored the change. Every tenth answer is taken for lost.
func (c *crowd) one(i int) {
	body := fmt.Sprintf(`{"agent_id":%q,"flag":%q}`, c.site.agents[i], flagOf(1))
	var problem string
	for try, end := 0, time.Now().Add(healWithin); time.Now().Before(end); try++ {
		if try > 0 {
			c.again.Add(1)
			if problem != "" {
				c.failed.Add(1)
			}
			time.Sleep(20 * time.Millisecond) // asking at once again would only load the other worker
		}
		to := c.site.replicas[(i+try)%len(c.site.replicas)]
		if problem = c.send(*to.page.Load(), body, fmt.Sprintf("post-%d", i)); problem == "" && (try > 0 || i%10 > 0) {
			return
		}
	}
	c.site.t.Errorf("change %d was not accepted within %v: %s", i, healWithin, problem)
}

// send posts once, and says what was wrong.
func (c *crowd) send(page, body, key string) (problem string) {
	r, err := http.NewRequestWithContext(c.site.t.Context(), http.MethodPost, page+"/api/changes", strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+postToken)
	r.Header.Set("Idempotency-Key", key)
	answer, err := c.client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if answer.StatusCode == http.StatusAccepted && err == nil {
		return ""
	}
	return answer.Status + " " + string(text)
}
