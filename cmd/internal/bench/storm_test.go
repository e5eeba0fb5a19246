package bench

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// TestStorm shows what sessions cost that nothing has to be done for: all agents sign in within a minute, and each gets a
// new GUID every minute. What the worker costs that does nothing is measured before, for as long.
func TestStorm(t *testing.T) {
	if *full {
		built(t, "idleworker")
	}
	agents, minute, rounds := sized(20000, 20), sized(time.Minute, 100*time.Millisecond), 2
	a := newArena(t, 0)
	p := a.beginProgram(ours, 50)
	a.store(names.Changes(), change(agents, 1, "")) // waits for the one who signs in after all others
	a.stored()
	a.results(1)
	used := p.cpu()
	time.Sleep(time.Duration(rounds) * minute) // what is measured is that nothing happens
	idle := p.cpu() - used
	before, _ := p.memory()
	used, began := p.cpu(), time.Now()
	a.storm(agents, rounds, minute)
	a.until("was the last session used", func() bool { return a.countCalls() > 0 })
	cost, took := p.cpu()-used, time.Since(began)
	rss, peak := p.memory()
	if *full {
		writes := agents * rounds
		fmt.Printf("\n%d sessions, %d writes in %.1f s: %.2f CPU seconds (%.2f where nothing happens for as long), %.0f µs each; "+
			"resident %.1f MiB (before %.1f, at most %.1f)\n", agents, writes, took.Seconds(), cost.Seconds(), idle.Seconds(),
			float64((cost-idle).Microseconds())/float64(writes), float64(rss)/(1<<20), float64(before)/(1<<20), float64(peak)/(1<<20))
	}
}

// storm signs all agents in during the first minute and gives each of them a new GUID in every further one, evenly; then
// it signs one more in.
func (a *arena) storm(agents, minutes int, minute time.Duration) {
	a.tb.Helper()
	guids := a.gateway.ask(order{Do: "sign in", N: agents + 1}).Texts
	at := time.Now().UTC().Format(time.RFC3339Nano)
	key := func(i int) string { return "$KV." + names.SessionsBucket() + "." + strconv.Itoa(firstAgent+i) }
	began := time.Now()
	for n := range agents * minutes {
		time.Sleep(time.Until(began.Add(time.Duration(n) * minute / time.Duration(agents))))
		i := n % agents
		a.store(key(i), fmt.Sprintf(`{"guid":"%s-%d","signed_in_at":%q}`, guids[i], n/agents, at))
	}
	a.store(key(agents), guids[agents])
	a.stored()
}
