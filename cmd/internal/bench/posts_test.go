package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/natstest"
)

const (
	postConnections = 50
	postToken       = "token-of-the-benchmark"
	postAgents      = 5000
)

// TestPosts publishes single changes over HTTP, and as many through JetStream, from as many connections. Each waits until its change
// is stored before it publishes the next one, and a worker works the changes off meanwhile.
func TestPosts(t *testing.T) {
	n := sized(20000, 200)
	publishers := filepath.Join(t.TempDir(), "publishers")
	if err := os.WriteFile(publishers, []byte("bench "+postToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := newArena(t, postAgents)
	w := a.begin(ours, 50, "IDLE_HTTP_PUBLISHERS_FILE="+publishers)
	a.until("was the worker ready", func() bool {
		answer, err := http.Get("http://" + w.ready + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	overHTTP, overNATS := a.poster("http://"+w.ready), a.natsPublisher()
	got := map[bool][]float64{}
	var cpu time.Duration
	for round := range sized(*rounds, 1) {
		used := w.cpu()
		got[true] = append(got[true], rateOf(n, overHTTP, round))
		cpu += w.cpu() - used
		got[false] = append(got[false], rateOf(n, overNATS, round+*rounds))
		t.Logf("%.0f posts/s, %.0f publishes/s", got[true][round], got[false][round])
	}
	share := median(got[true]) / median(got[false])
	if !*full {
		return
	}
	fmt.Printf("\n%d single changes from %d connections: %.0f posts/s, %.0f JetStream publishes/s, ratio %.2f; the worker took %.2f CPU seconds per 1,000 posts\n",
		n, postConnections, median(got[true]), median(got[false]), share, cpu.Seconds()*1000/float64(n**rounds))
	if share < 0.5 {
		t.Errorf("posts reach %.2f of the rate of JetStream publishes, want 0.5 at least", share)
	}
}

// rateOf has each connection publish one change after the other, and returns how many there were per second.
func rateOf(n int, publish func(connection int, id, body string), round int) float64 {
	next := make(chan int)
	var all sync.WaitGroup
	began := time.Now()
	for c := range postConnections {
		all.Go(func() {
			for i := range next {
				publish(c, fmt.Sprintf("%d-%d", round, i), change(i%postAgents, i/postAgents, ""))
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// poster publishes over HTTP.
func (a *arena) poster(page string) func(connection int, id, body string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: postConnections, MaxConnsPerHost: postConnections}}
	a.tb.Cleanup(client.CloseIdleConnections)
	return func(_ int, id, body string) {
		r, err := http.NewRequestWithContext(a.tb.Context(), http.MethodPost, page+"/api/changes", strings.NewReader(body))
		if err != nil {
			a.tb.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+postToken)
		r.Header.Set("Idempotency-Key", id)
		answer, err := client.Do(r)
		if err != nil {
			a.tb.Error(err)
			return
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusAccepted {
			a.tb.Errorf("post %s: %s, %v", id, answer.Status, err)
		}
	}
}

// natsPublisher publishes synchronously through JetStream, over as many connections as clients of HTTP have.
func (a *arena) natsPublisher() func(connection int, id, body string) {
	a.tb.Helper()
	var all []jetstream.JetStream
	for range postConnections {
		all = append(all, natstest.JetStream(a.tb, natstest.Connect(a.tb, a.server.ready)))
	}
	return func(connection int, id, body string) {
		if _, err := all[connection].Publish(a.tb.Context(), names.Changes(), []byte(body), jetstream.WithMsgID(id)); err != nil {
			a.tb.Error(err)
		}
	}
}
