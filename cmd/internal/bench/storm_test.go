package bench

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// TestStorm shows what sessions cost that nothing has to be done for: all agents sign in at once, and then each gets a
// new GUID five times. It goes as fast as the server
// stores them, in a contact centre it would take six minutes: what is overwritten before it is read costs nothing here.
func TestStorm(t *testing.T) {
	if *full {
		built(t, "idleworker")
	}
	agents, rounds := sized(20000, 20), 6
	a := newArena(t, 0)
	p := a.beginProgram(ours, 50)
	a.store(names.Changes(), change(agents, 1, "")) // waits for the one who signs in after all others
	a.stored()
	a.results(1)
	before, _ := p.memory()
	used, began := p.cpu(), time.Now()
	a.storm(agents, rounds)
	a.until("was the last session used", func() bool { return a.countCalls() > 0 })
	cost, took := p.cpu()-used, time.Since(began)
	rss, peak := p.memory()
	if *full {
		updates := agents * rounds
		fmt.Printf("\n%d sessions, %d updates in %.1f s: %.2f CPU seconds, %.0f µs each, resident %.1f MiB (before %.1f, at most %.1f)\n",
			agents, updates, took.Seconds(), cost.Seconds(), float64(cost.Microseconds())/float64(updates),
			float64(rss)/(1<<20), float64(before)/(1<<20), float64(peak)/(1<<20))
	}
}

// storm signs all agents in and gives each of them new GUIDs, then signs one more in.
func (a *arena) storm(agents, rounds int) {
	a.tb.Helper()
	guids := a.gateway.ask(order{Do: "sign in", N: agents + 1}).Texts
	at := time.Now().UTC().Format(time.RFC3339Nano)
	key := func(i int) string { return "$KV." + names.SessionsBucket() + "." + strconv.Itoa(firstAgent+i) }
	for round := range rounds {
		for i, guid := range guids[:agents] {
			a.store(key(i), fmt.Sprintf(`{"guid":"%s-%d","signed_in_at":%q}`, guid, round, at))
		}
	}
	a.store(key(agents), guids[agents])
	a.stored()
}
