package bench

import (
	"fmt"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
)

// TestSites shows what sites cost that do nothing: two workers each, all on one NATS server, and no agent has anything to be done.
func TestSites(t *testing.T) {
	n := sized(20, 2)
	if *full {
		built(t, "idleworker")
	}
	a := newArena(t, 0)
	var workers []*process
	for i := range n {
		for range 2 {
			environment := append(a.environment(50), fmt.Sprintf("IDLE_PREFIX=site%02d", i+1))
			if *full {
				workers = append(workers, program(t, "idleworker", environment...))
			} else {
				workers = append(workers, start(t, string(ours), environment...))
			}
		}
	}
	operator, err := desk.Open(t.Context(), stream.Options{URLs: []string{a.server.ready}, Name: "bench"}, messages.Names{Prefix: "site01"})
	a.must(err)
	t.Cleanup(operator.Close)
	a.until("did all sites have an owner and a standby", func() bool {
		sites, err := operator.Sites(t.Context())
		ready := 0
		for _, s := range sites {
			if s.Ready && s.Replicas == 2 {
				ready++
			}
		}
		return err == nil && ready == n
	})
	time.Sleep(sized(20*time.Second, 0)) // their start is over
	cpu := func() (all time.Duration) {
		for _, w := range workers {
			all += w.cpu()
		}
		return all
	}
	from, workersUsed, serverUsed, messagesSeen := time.Now(), cpu(), a.server.cpu(), a.server.ask(order{Do: "messages"}).Count
	time.Sleep(sized(time.Minute, 200*time.Millisecond)) // what is measured is that nothing happens
	took := time.Since(from).Seconds()
	workersUsed, serverUsed = cpu()-workersUsed, a.server.cpu()-serverUsed
	messagesSeen = a.server.ask(order{Do: "messages"}).Count - messagesSeen
	var held int64
	for _, w := range workers {
		rss, _ := w.memory()
		held += rss
	}
	serverHeld, _ := a.server.memory()
	if messagesSeen == 0 {
		t.Error("no worker asked the server for anything: what is counted is not what they do")
	}
	if *full {
		each := float64(n)
		fmt.Printf("\n%d sites with two workers each, idle for %.0f s; each site: workers %.2f %% of a processor and %.1f MiB, "+
			"NATS server %.2f %% and %.1f MiB, %.1f messages/s to the server\n", n, took,
			100*workersUsed.Seconds()/took/each, float64(held)/(1<<20)/each, 100*serverUsed.Seconds()/took/each,
			float64(serverHeld)/(1<<20)/each, float64(messagesSeen)/took/each)
	}
}
