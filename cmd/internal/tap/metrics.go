package tap

import (
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics counts what passes and what is learned. Every label value is known beforehand.
type Metrics struct {
	registry *prometheus.Registry
	open     prometheus.Gauge
	requests [kinds][classes]prometheus.Counter
	failures prometheus.Counter
	added    prometheus.Observer
	happened [happenings]prometheus.Counter
}

// class is a class of statuses.
type class int

// classes: no answer of the gateway's and the statuses from 1xx to 5xx.
const classes = 6

func classOf(status int) class {
	if c := status / 100; c > 0 && c < classes {
		return class(c)
	}
	return 0
}

func (c class) String() string {
	if c == 0 {
		return "gone"
	}
	return strconv.Itoa(int(c)) + "xx"
}

const metricsPrefix = "idlepolicy_tap_"

// NewMetrics returns Metrics that have counted nothing.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricsPrefix + "requests_total",
		Help: "Requests of desktops, by what they are and the class of the status that they were answered with; gone: the desktop went away first.",
	}, []string{"kind", "class"})
	for k := range m.requests {
		for c := range m.requests[k] {
			m.requests[k][c] = requests.WithLabelValues(kind(k).String(), class(c).String())
		}
	}
	m.open = prometheus.NewGauge(prometheus.GaugeOpts{Name: metricsPrefix + "requests_open", Help: "Requests that are under way."})
	m.failures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: metricsPrefix + "gateway_unreachable_total", Help: "Requests that the tap answered itself, because the gateway could not be reached.",
	})
	added := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: metricsPrefix + "added_seconds", Help: "Time that the tap itself added to a request and the beginning of its answer.",
		Buckets: []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .01, .1},
	})
	m.added = added
	m.registry.MustRegister(requests, m.open, m.failures, added)
	m.countHappenings()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: metricsPrefix + "build_info", Help: "The running program; always 1.",
	}, []string{"version", "go_version"})
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(info)
	return m
}

func (m *Metrics) countHappenings() {
	plain := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: metricsPrefix + name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	m.happened[SignIns] = plain("sign_ins_total", "Sign-ins of agents.")
	m.happened[Rotations] = plain("rotations_total", "GUIDs that were replaced within a session.")
	m.happened[Adoptions] = plain("adoptions_total", "Sessions from before this process was started.")
	ends := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: metricsPrefix + "sign_outs_total", Help: "Sessions that ended, by why: the desktop signed out, fell silent, or the gateway refused it for long.",
	}, []string{"reason"})
	m.registry.MustRegister(ends)
	m.happened[SignOuts], m.happened[Silences] = ends.WithLabelValues("desktop"), ends.WithLabelValues("silence")
	m.happened[Overs] = ends.WithLabelValues("refused")
	m.happened[Writes] = plain("writes_total", "Session records stored or deleted.")
	m.happened[Conflicts] = plain("write_conflicts_total", "Writes that met a record of another writer, and were decided anew.")
	m.happened[Failures] = plain("writes_failed_total", "Writes and reads of session records that failed; each is tried again.")
}

// watch adds what is asked for when somebody scrapes.
func (m *Metrics) watch(r *Registry, connected func() bool) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: metricsPrefix + name, Help: help}, value))
	}
	gauge("sessions", "Agents that are signed in, as far as this process knows.", func() float64 {
		n, _ := r.Signed()
		return float64(n)
	})
	gauge("writes_waiting", "Agents whose record is not stored yet.", func() float64 {
		_, n := r.Signed()
		return float64(n)
	})
	gauge("nats_connected", "Whether this process is connected to NATS.", func() float64 {
		if connected() {
			return 1
		}
		return 0
	})
}

// Happened counts for the Registry.
func (m *Metrics) Happened(h Happening) { m.happened[h].Inc() }

func (m *Metrics) passed(k kind, status int, added time.Duration) {
	m.requests[k][classOf(status)].Inc()
	if added > 0 {
		m.added.Observe(added.Seconds())
	}
}

func (m *Metrics) gone(k kind) { m.requests[k][0].Inc() }

func (m *Metrics) unreachable() { m.failures.Inc() }
