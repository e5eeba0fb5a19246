package status

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// Metrics counts the worker's events for Prometheus and the page. It is a worker.Observer. Its methods run in the event loop, so they
// look up labels in tables and never block.
type Metrics struct {
	registry  *prometheus.Registry
	changes   map[messages.Outcome]prometheus.Counter
	took      map[messages.Outcome]prometheus.Observer // endings only
	calls     [worker.Unsound + 1]prometheus.Counter
	retcodes  map[string]prometheus.Counter
	others    prometheus.Counter // retcodes that are not documented
	callTook  prometheus.Observer
	turns     map[string]prometheus.Counter
	conflicts prometheus.Counter

	gate    string // as of the last time, for the event loop alone
	results results
}

var _ worker.Observer = (*Metrics)(nil)

// The label values, which are all known in advance. Retcodes come from outside, hence the list.
var (
	outcomes      = messages.Outcomes()
	knownRetcodes = []string{
		"0", "000-000", "000-001", "000-002", "000-003", "000-004", "000-006", "000-007",
		"100-001", "100-006", "100-007", "100-008", "100-009",
	}
	gateStates = []string{"open", "slowed", "probing", "shut", "paused"}
	holdings   = []string{"rate", "in_flight", "paused", "lease", "retry_after", "breaker", "slowed", "ramp"}
)

const otherRetcode = "other"

// A call is a matter of milliseconds, a change can wait for a shift to begin.
var (
	callBuckets   = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	changeBuckets = []float64{.005, .025, .1, .25, 1, 2.5, 10, 30, 60, 180, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600}
)

// NewMetrics returns Metrics that have counted nothing. Give them to the Worker and to the Server of the same process.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.countChanges()
	m.countCalls()
	m.turns = m.countersOf("gate_transitions_total", "How often the gate came into a state.", "state", gateStates)
	m.conflicts = m.counter("ledger_conflicts_total",
		"Results that were refused or lost on their way to the server, so that the ledger was read again.")
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: prefix + "build_info", Help: "The running program; always 1.",
	}, []string{"version", "go_version"})
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(info)
	return m
}

const prefix = "idlepolicy_"

func (m *Metrics) countChanges() {
	m.changes = countersFor(m, "changes_total",
		"Results stored, by outcome; waiting and reapplied do not end a change.", "outcome", outcomes)
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "change_duration_seconds", Help: "Time from a change's publication to its ending.", Buckets: changeBuckets,
	}, []string{"outcome"})
	m.registry.MustRegister(took)
	m.took = map[messages.Outcome]prometheus.Observer{}
	for _, o := range outcomes {
		if o.Ends() {
			m.took[o] = took.WithLabelValues(string(o))
		}
	}
}

func (m *Metrics) countCalls() {
	var names []string
	for c := range m.calls {
		names = append(names, worker.Class(c).String())
	}
	byClass := m.countersOf("gateway_calls_total",
		"Calls to the gateway, by what the answer means; not_sent never left this process.", "class", names)
	for c, name := range names {
		m.calls[c] = byClass[name]
	}
	m.retcodes = m.countersOf("gateway_retcodes_total", "Answers of the gateway, by its retcode.",
		"retcode", append([]string{otherRetcode}, knownRetcodes...))
	m.others = m.retcodes[otherRetcode]
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: prefix + "gateway_call_duration_seconds", Help: "Time that a call to the gateway took.", Buckets: callBuckets,
	})
	m.registry.MustRegister(took)
	m.callTook = took
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) countersOf(name, help, label string, values []string) map[string]prometheus.Counter {
	return countersFor(m, name, help, label, values)
}

// countersFor makes a counter for each value of a label, so that all of them exist from the start and counting is a map access.
func countersFor[V ~string](m *Metrics, name, help, label string, values []V) map[V]prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{label})
	m.registry.MustRegister(vec)
	table := make(map[V]prometheus.Counter, len(values))
	for _, v := range values {
		table[v] = vec.WithLabelValues(string(v))
	}
	return table
}

// Ended counts a result that is stored.
func (m *Metrics) Ended(r *messages.Result) {
	if c := m.changes[r.Outcome]; c != nil {
		c.Inc()
	}
	if h := m.took[r.Outcome]; h != nil {
		h.Observe(max(0, r.FinishedAt.Sub(r.ReceivedAt).Seconds())) // the server's clock may be ahead of ours
	}
	m.results.add(r)
}

// Called counts a call to the gateway.
func (m *Metrics) Called(a *worker.Answer) {
	if int(a.Class) < len(m.calls) {
		m.calls[a.Class].Inc()
	}
	if a.Class == worker.NotSent {
		return
	}
	m.callTook.Observe(a.Took.Seconds())
	if a.Retcode == "" {
		return
	}
	if c := m.retcodes[a.Retcode]; c != nil {
		c.Inc()
	} else {
		m.others.Inc()
	}
}

// Gate counts the changes of the gate's state; what state it is in is asked for when somebody wants to know.
func (m *Metrics) Gate(state view.GateState) {
	if state.State == m.gate {
		return
	}
	m.gate = state.State
	if c := m.turns[state.State]; c != nil {
		c.Inc()
	}
}

// Conflict counts a result that could not be stored as it was.
func (m *Metrics) Conflict() { m.conflicts.Inc() }
