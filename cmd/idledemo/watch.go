package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/view"
)

const (
	lookEvery  = 100 * time.Millisecond
	answersIn  = 300 * time.Millisecond
	sayFirst   = time.Second // and later less and less often: a tenth of the time so far
	barWidth   = 30
	breakAfter = 3 // with the sample, the gateway goes down when one of so many changes has ended
	outageFor  = 1500 * time.Millisecond
)

// watcher shows how the policy reaches the agents, and brings back the gateway.
type watcher struct {
	*show
	gate string // its state, as last said
	said time.Time
}

// watch looks again and again until ctx ends. The gateway is up when it returns.
func (d *show) watch(ctx context.Context) {
	w := &watcher{show: d, gate: "open"}
	var back <-chan time.Time
	for {
		select {
		case <-d.down:
			back = time.After(outageFor)
		case <-back:
			back = nil
			d.restore() //nolint:contextcheck // an outage ends at once
		case <-time.After(lookEvery):
			w.look(ctx)
		case <-ctx.Done():
			if back != nil {
				d.restore() //nolint:contextcheck // an outage ends at once
			}
			return
		}
	}
}

// breakDown takes the gateway away once, when a part of the sample has ended, so that one sees the worker hold and recover.
func (d *show) breakDown() {
	if !d.plan.sample || d.broke || breakAfter*(len(d.tally.all)-len(d.tally.open)) < len(d.tally.all) {
		return
	}
	d.broke = true
	d.event("the gateway goes down: it takes connections and answers nothing")
	_ = d.gateway.SetOutage(gatewaytest.Hanging) // only an outage that gives the port away can fail
	d.down <- struct{}{}
}

func (d *show) restore() {
	_ = d.gateway.SetOutage(gatewaytest.NoOutage)
	d.event("the gateway is back")
}

func (w *watcher) look(ctx context.Context) {
	asking, stop := context.WithTimeout(ctx, answersIn)
	defer stop()
	s, err := w.desk.Status(asking)
	if err != nil || s.View == nil {
		return // on a busy machine
	}
	if g := s.View.Gate; g.State != w.gate {
		w.gate = g.State
		w.event("%s", gateText(g))
	}
	n, now := s.View.Coverage.Agents(), time.Now()
	if n == 0 || now.Sub(w.said) < max(sayFirst, now.Sub(w.began)/10) {
		return
	}
	w.said = now
	full := barWidth * s.View.Coverage.InForce / n
	w.event("%s%s %s", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), terminal.Coverage(s.View.Coverage))
}

// gateText says what the gate does, by its state.
func gateText(g view.GateState) string {
	switch g.State {
	case "probing":
		return "the worker holds everything back, sends single probes, and fails no change"
	case "shut":
		return "the gateway asked for a pause (Retry-After), and the worker keeps to it"
	case "slowed":
		return fmt.Sprintf("the gateway takes fewer calls, so the worker makes %.0f per second", g.Rate)
	case "paused":
		return "an operator has paused the calls"
	default:
		return "the worker calls at its full rate again"
	}
}

// event says what happened, and when.
func (d *show) event(format string, a ...any) {
	d.say("%5.1f s  "+format, append([]any{time.Since(d.began).Seconds()}, a...)...)
}
