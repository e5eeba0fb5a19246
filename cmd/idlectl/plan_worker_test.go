package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Applied through the real worker, each agent has at the gateway the flag that the schedule has now.
func TestPlanThroughTheWorker(t *testing.T) {
	p := newPlanSite(t)
	g := p.realWorker()
	p.write("map.yaml", "name: now\nformat: csv\nagent: agent\nstart: from\nend: to\nactivity: activity\nactivities: {phone: true, break: false}\n")
	r := rand.New(rand.NewPCG(9, 9))
	now := time.Now()
	var b strings.Builder
	b.WriteString("agent,from,to,activity\n")
	want := map[string]string{}
	for i := range 20 {
		agent := strconv.Itoa(1001 + i)
		p.run("session", "put", agent, "--guid", g.SignIn(agent)).want(t, statusFine)
		newest := time.Time{}
		for range 1 + r.IntN(4) {
			from := now.Add(-time.Duration(1+r.IntN(600)) * time.Minute).Truncate(time.Second)
			to := now.Add(time.Duration(r.IntN(600)-200)*time.Minute + 30*time.Minute).Truncate(time.Second)
			activity := []string{"phone", "break"}[r.IntN(2)]
			if !to.After(from) {
				continue
			}
			fmt.Fprintf(&b, "%s,%s,%s,%s\n", agent, from.Format(time.RFC3339), to.Format(time.RFC3339), activity)
			if to.After(now) && from.After(newest) {
				newest = from
				want[agent] = map[string]string{"phone": "true", "break": "false"}[activity]
			}
		}
	}
	file := p.write("roster.csv", b.String())
	begun := []string{"plan", file, "--map", filepath.Join(p.dir, "map.yaml"), "--until", "now", "--apply", "--wait", "--timeout", "5m"}
	p.run(begun...).want(t, statusFine, "applied as batch now-1-")
	for i := range 20 {
		agent := strconv.Itoa(1001 + i)
		flag, _ := g.Flag(agent)
		if calls := len(g.CallsOf(agent)); want[agent] == "" && calls > 0 || want[agent] != "" && flag != want[agent] {
			t.Errorf("agent %s has flag %q at the gateway after %d calls, want %q", agent, flag, calls, want[agent])
		}
	}
}
