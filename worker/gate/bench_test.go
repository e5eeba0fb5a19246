package gate

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// figure is one number of a scene with its goal.
type figure struct {
	name   string
	value  func(s *sim) float64
	within func(v float64) bool
	goal   string
}

func atMost(goal float64) (func(float64) bool, string) {
	return func(v float64) bool { return v <= goal }, fmt.Sprintf("<= %.4g", goal)
}

func atLeast(goal float64) (func(float64) bool, string) {
	return func(v float64) bool { return v >= goal }, fmt.Sprintf(">= %.4g", goal)
}

func fig(name string, value func(s *sim) float64, within func(float64) bool, goal string) figure {
	return figure{name, value, within, goal}
}

// scene is one kind of trouble.
type scene struct {
	name    string
	sim     func() *sim // a fresh one each time
	figures []figure
}

func upTo(name string, value func(s *sim) float64, goal float64) figure {
	w, g := atMost(goal)
	return fig(name, value, w, g)
}

func from(name string, value func(s *sim) float64, goal float64) figure {
	w, g := atLeast(goal)
	return fig(name, value, w, g)
}

// goodput is the ideal time until 90 % are applied by the time that it took.
func goodput(ideal float64, counts func(int) bool) func(*sim) float64 {
	return func(s *sim) float64 { return ideal / s.applied(0.9, counts) }
}

func refusedShare(s *sim) float64 {
	return float64(s.count(0, time.Hour, Busy)) / float64(len(s.calls))
}

// underNoise is fault R of the list of faults: 800 changes at 300/s.
func underNoise(name string, share, goal float64, gateway func() func(*arrival) reply) scene {
	return scene{name, func() *sim {
		return &sim{config: Config{Rate: 300, Burst: 30}, changes: 800, gateway: gateway()}
	}, []figure{from("goodput", goodput(0.9*800/(1-share)/300, nil), goal)}}
}

func underLimit(name string, takes float64, goal, refused float64, gateway func() func(*arrival) reply) scene {
	return scene{name, func() *sim {
		return &sim{config: Config{Rate: 500, Burst: 50}, changes: 1000, gateway: gateway()}
	}, []figure{
		from("goodput", goodput(0.9*1000/takes, nil), goal),
		upTo("refused", refusedShare, refused),
	}}
}

func outage(name string, from, down time.Duration, calls float64, fault func(*arrival) reply, more ...figure) scene {
	return scene{name, func() *sim {
		return &sim{config: Config{Rate: 500, Burst: 50}, changes: 3000, gateway: during(from, from+down, fault, sound)}
	}, append([]figure{
		upTo("calls into it", func(s *sim) float64 { return float64(s.count(from, from+down)) }, calls),
	}, more...)}
}

func recovers(end time.Duration) []figure {
	return []figure{
		upTo("first success, s", func(s *sim) float64 { return s.first(end) }, 0.3),
		upTo("80 % of the rate, s", func(s *sim) float64 { return s.full(end, 400) }, 1),
	}
}

// halfDown is fault U: 600 agents, every other one behind an address that is down, at 200/s.
func halfDown(name string, fault func(*arrival) reply) scene {
	return scene{name, func() *sim {
		return &sim{
			config: Config{Rate: 200, Burst: 20}, changes: 600, end: 20 * time.Second,
			address: func(agent int) string { return []string{"", "node2:8043"}[agent%2] },
			gateway: agents(odd, fault, sound),
		}
	}, []figure{from("goodput", healthy, 0.9)}}
}

// healthy is the time that the healthy half needs for 95 % if it is alone, by the time it took.
func healthy(s *sim) float64 { return 0.95 * 300 / 200 / s.applied(0.95, even) }

// nodeDown is the same behind one address.
func nodeDown(name string, goal float64, gateway func() func(*arrival) reply) scene {
	return scene{name, func() *sim {
		return &sim{config: Config{Rate: 200, Burst: 20}, changes: 600, end: 30 * time.Second, gateway: gateway()}
	}, []figure{from("goodput", func(s *sim) float64 { return 0.9 * 600 / 200 / s.applied(0.9, nil) }, goal)}}
}

func scenes() []scene {
	var all []scene
	for _, fault := range []struct {
		name   string
		of     func(*arrival) reply
		bursts float64
	}{{"503", busy, 0.7}, {"500", internal, 0.95}, {"cut", cut, 0.95}} {
		for _, n := range []struct{ share, goal float64 }{{0.02, 0.95}, {0.1, 0.9}, {0.3, 0.85}} {
			all = append(all, underNoise(fmt.Sprintf("%.0f %% %s at random", 100*n.share, fault.name), n.share, n.goal,
				func() func(*arrival) reply { return noise(n.share, fault.of) }))
		}
		all = append(all, underNoise("every second, 100 ms of nothing but "+fault.name, 0.1, fault.bursts, func() func(*arrival) reply {
			return func(a *arrival) reply {
				if a.since%time.Second > 900*ms {
					return fault.of(a)
				}
				return sound(a)
			}
		}))
	}
	all = append(all,
		underLimit("takes 150 in any second", 150, 0.9, 0.03, func() func(*arrival) reply { return sliding(150, 0) }),
		underLimit("the same, Retry-After: 1", 150, 0.9, 0.03, func() func(*arrival) reply { return sliding(150, time.Second) }),
		underLimit("takes 150 in each second", 150, 0.9, 0.03, func() func(*arrival) reply { return fixed(150, 0) }),
		underLimit("the same, Retry-After: 1", 150, 0.9, 0.03, func() func(*arrival) reply { return fixed(150, time.Second) }),
		underLimit("takes 150/s, bucket of 15", 150, 0.9, 0.03, func() func(*arrival) reply { return tokens(steady(150), 15, 0) }),
		underLimit("takes 150/s, bucket of 1", 150, 0.65, 0.04, func() func(*arrival) reply { return tokens(steady(150), 1, 0) }),
		underLimit("takes 150/s, bucket of 150", 150, 0.9, 0.03, func() func(*arrival) reply { return tokens(steady(150), 150, 0) }),
		underLimit("the same, Retry-After: 1", 150, 0.9, 0.03, func() func(*arrival) reply { return tokens(steady(150), 150, time.Second) }),
		underLimit("takes 400/s, bucket of 40", 400, 0.85, 0.05, func() func(*arrival) reply { return tokens(steady(400), 40, 0) }),
		underLimit("takes 150/s and 10 % 503", 150, 0.8, 0.27, func() func(*arrival) reply {
			limited := tokens(steady(150), 15, 0)
			return func(a *arrival) reply {
				if a.random.Float64() < 0.1 {
					return busy(a)
				}
				return limited(a)
			}
		}),
		underLimit("takes 4 at once, 20 ms each", 200, 0.8, 0.05, func() func(*arrival) reply { return crowd(4, 20*ms) }),
		scene{"takes 400, then 100, then all", func() *sim {
			return &sim{config: Config{Rate: 500, Burst: 50}, changes: 8000, gateway: tokens(func(since time.Duration) float64 {
				switch {
				case since < 5*time.Second:
					return 400
				case since < 10*time.Second:
					return 100
				default:
					return 1000
				}
			}, 20, 0)}
		}, []figure{
			from("goodput in the first 10 s", func(s *sim) float64 {
				return float64(s.count(0, 10*time.Second, Answered)) / 2500
			}, 0.85),
			upTo("refused", refusedShare, 0.03),
			upTo("80 % of the rate, s", func(s *sim) float64 { return s.full(10*time.Second, 400) }, 25),
		}},
	)
	all = append(all,
		outage("outage of 2 s, 503", 2*time.Second, 2*time.Second, 20, busy, recovers(4*time.Second)...),
		outage("outage of 2 s, 500", 2*time.Second, 2*time.Second, 20, internal, recovers(4*time.Second)...),
		outage("outage of 2 s, cut", 2*time.Second, 2*time.Second, 20, cut, recovers(4*time.Second)...),
		outage("outage of 60 s, 503", 2*time.Second, 30*time.Second, 60, busy),
		outage("hang of 2 s", 2*time.Second, 2*time.Second, 15, hung, upTo("first success, s", func(s *sim) float64 { return s.first(4 * time.Second) }, 0.7)),
		outage("hang of 2 s from the start", 0, 2*time.Second, 15, hung),
		outage("pause of 50 ms", 2*time.Second, 2050*ms, 1e4, func(a *arrival) reply {
			return reply{kind: Answered, took: max(0, 2050*ms-a.since) + 10*ms}
		}, from("calls in the second after it", func(s *sim) float64 { return float64(s.count(2050*ms, 3050*ms)) }, 475)),
		halfDown("one of two addresses: 503", busy),
		halfDown("one of two addresses: cut", cut),
		halfDown("one of two addresses: hangs", hung),
		nodeDown("half of the calls: 503", 0.45, func() func(*arrival) reply { return noise(0.5, busy) }),
		nodeDown("half of the calls: cut", 0.45, func() func(*arrival) reply { return noise(0.5, cut) }),
	)
	for _, half := range []struct {
		name string
		is   func(int) bool
		goal float64
	}{{"every other agent", odd, 0.9}, {"the first half of the agents", func(a int) bool { return a < 1301 }, 0.8}} {
		for _, fault := range []struct {
			name string
			of   func(*arrival) reply
		}{{"503", busy}, {"cut", cut}} {
			all = append(all, scene{half.name + ": " + fault.name, func() *sim {
				return &sim{config: Config{Rate: 200, Burst: 20}, changes: 600, end: 30 * time.Second, gateway: agents(half.is, fault.of, sound)}
			}, []figure{from("goodput of the others", func(s *sim) float64 {
				return 0.9 * 600 / 200 / s.applied(0.9, func(a int) bool { return !half.is(a) })
			}, half.goal)}})
		}
	}
	all = append(all,
		scene{"a tenth of the agents take 2 s", func() *sim {
			return &sim{config: Config{Rate: 200, Burst: 20}, changes: 600, gateway: slow(func(a int) bool { return a%10 == 0 }, 2*time.Second)}
		}, []figure{from("goodput", func(s *sim) float64 { return 0.9 * 600 / 200 / s.applied(0.9, nil) }, 0.5)}},
		scene{"well", func() *sim {
			return &sim{config: Config{Rate: 500, Burst: 50}, changes: 5000, wakeUps: 2 * ms, gateway: sound}
		}, []figure{
			from("achieved", func(s *sim) float64 { return float64(s.count(time.Second, 9*time.Second)) / 8 }, 495),
			upTo("most in a second", func(s *sim) float64 { return float64(s.most()) }, 550),
		}},
	)
	return all
}

// TestGoals plays every scene with several seeds and compares the median of each figure with its goal. With -v it
// prints the table, with the plain loop's figure beside each.
func TestGoals(t *testing.T) {
	const seeds = 7
	t.Logf("%-45s %-28s %9s %9s  %s", "scene", "figure", "gate", "by hand", "goal")
	for _, sc := range scenes() {
		var ours, theirs []*sim
		for seed := range uint64(seeds) {
			s := sc.sim()
			s.seed = seed
			ours = append(ours, s.run())
			if s = sc.sim(); seed < 3 {
				s.seed, s.plain = seed, true
				theirs = append(theirs, s.run())
			}
		}
		for _, f := range sc.figures {
			v := median(ours, f.value)
			missed := ""
			if !f.within(v) {
				missed = "  MISSED"
				t.Errorf("%s: %s is %.4g, want %s", sc.name, f.name, v, f.goal)
			}
			t.Logf("%-45s %-28s %9.4g %9.4g  %s%s", sc.name, f.name, v, median(theirs, f.value), f.goal, missed)
		}
	}
}

func median(sims []*sim, value func(*sim) float64) float64 {
	values := make([]float64, 0, len(sims))
	for _, s := range sims {
		values = append(values, value(s))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return math.NaN()
	}
	return values[len(values)/2]
}
