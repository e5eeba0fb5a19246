package status

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"idlepolicy/worker/view"
)

// gauges are read from one view of the worker at each scrape. A standby has no view and reports only what does not depend on being the
// owner, so a sum over all replicas is the owner's value.
type gauges struct{ server *Server }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

// What every process reports.
var (
	ownerDesc     = desc("owner", "Whether this process is the owner, the one that calls the gateway.")
	connectedDesc = desc("nats_connected", "Whether this process is connected to NATS.")
	sessionsDesc  = desc("sessions", "Agents that are signed in.")
	signInDesc    = desc("sessions_last_sign_in_timestamp_seconds",
		"When the last of the agents that are signed in did so; absent where no record says so.")
)

// What only the owner reports.
var (
	gateOpenDesc   = desc("gate_open", "Whether the gate lets calls through at a rate; not while it is paused, shut or probing.")
	gateStateDesc  = desc("gate_state", "The gate's state: 1 for the one it is in.", "state")
	rateDesc       = desc("gate_rate", "Calls per second that the gate lets through now, or with which it continues; 0: no limit.")
	limitDesc      = desc("gate_limit", "Calls per second that operators allow; 0: no limit.")
	holdingDesc    = desc("gate_holding", "What keeps back what is due: 1 for that, all 0 for nothing.", "reason")
	reachDesc      = desc("gate_reach", "Calls per second that are possible at the gateway's speed with so many in flight; 0: not known.")
	inFlightDesc   = desc("gate_in_flight", "Calls to the gateway that are under way.")
	backlogDesc    = desc("backlog_changes", "Changes that have not ended, by what they wait for.", "state")
	unfinishedDesc = desc("unfinished_messages", "Messages read from the stream of changes that are not acknowledged.")
	oldestDesc     = desc("oldest_unfinished_age_seconds", "Age of the oldest message of changes that is not acknowledged; 0: there is none.")
	oldestDueDesc  = desc("oldest_due_age_seconds", "Time since the oldest change that is ready for a call took effect; 0: there is none.")
	agentsDesc     = desc("agents", "Agents that results or changes tell of.")
	batchesDesc    = desc("batches", "Batches that are under way.")
	coverageDesc   = desc("coverage_agents", "Agents with a desired policy, by how they stand with it.", "state")
	endDesc        = desc("estimate_end_seconds", "Time until what is due now will have been applied; absent when not known.")
	missedDesc     = desc("estimate_missed", "Changes that are due and whose valid_until will have passed before their turn.")
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		ownerDesc, connectedDesc, sessionsDesc, signInDesc, gateOpenDesc, gateStateDesc, rateDesc, limitDesc, holdingDesc, reachDesc,
		inFlightDesc, backlogDesc, unfinishedDesc, oldestDesc, oldestDueDesc, agentsDesc, batchesDesc, coverageDesc, endDesc, missedDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It takes viewTimeout at most.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := g.server
	set(ownerDesc, one(s.Role().Role == view.RoleOwner))
	set(connectedDesc, one(s.Connected()))
	if in := s.signIns(); in.Known {
		set(sessionsDesc, float64(in.Count))
		if !in.Last.IsZero() {
			set(signInDesc, float64(in.Last.UnixMilli())/1000)
		}
	}
	if l := s.view(); l.ok {
		collectGate(set, &l.found)
		collectWork(set, l.found)
		collectEstimate(set, l.found.Estimate)
	}
}

type setter func(d *prometheus.Desc, v float64, labels ...string)

func collectGate(set setter, v *view.View) {
	gate, held := v.Gate, heldBy(v)
	set(gateOpenDesc, one(gate.State == "open" || gate.State == "slowed"))
	for _, state := range gateStates {
		set(gateStateDesc, one(gate.State == state), state)
	}
	for _, reason := range holdings {
		set(holdingDesc, one(held == reason), reason)
	}
	set(rateDesc, gate.Rate)
	set(reachDesc, gate.Reach)
	set(limitDesc, gate.Limit)
	set(inFlightDesc, float64(gate.InFlight))
}

func collectWork(set setter, v view.View) {
	set(backlogDesc, float64(v.Due), "due")
	set(backlogDesc, float64(v.Held), "held")
	set(backlogDesc, float64(v.InFlight), "in_flight")
	set(backlogDesc, float64(v.Later), "later")
	set(backlogDesc, float64(v.NotSignedIn), "not_signed_in")
	set(backlogDesc, float64(v.Retrying), "retrying")
	set(backlogDesc, float64(v.Storing), "storing")
	set(unfinishedDesc, float64(v.Unfinished))
	set(oldestDesc, secondsSince(v.Oldest))
	set(oldestDueDesc, secondsSince(v.OldestDue))
	set(agentsDesc, float64(v.Agents))
	for _, state := range view.CoverStates() {
		set(coverageDesc, float64(v.Coverage.Of(state)), state.String())
	}
	set(batchesDesc, float64(len(v.Batches)+v.MoreBatches))
}

func collectEstimate(set setter, e view.Estimate) {
	if !e.End.IsZero() {
		set(endDesc, max(0, time.Until(e.End).Seconds()))
	} else if e.Due == 0 {
		set(endDesc, 0)
	}
	set(missedDesc, float64(e.Missed))
}

// secondsSince returns the seconds since a time. It is never below 0, although the server's clock may be ahead of ours.
func secondsSince(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, time.Since(at).Seconds())
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// watch makes the gauges read from s until the returned function is called.
func (m *Metrics) watch(s *Server) (end func()) {
	g := gauges{s}
	m.registry.MustRegister(g)
	return func() { m.registry.Unregister(g) }
}
