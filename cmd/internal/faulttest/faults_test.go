package faulttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// fault is one thing that is done to the site.
type fault struct {
	name string
	do   func(s *site, random *rand.Rand)
}

// faultsOf returns what can go wrong with a site.
func faultsOf(c setup) []fault {
	faults := []fault{
		{"kill owner", func(s *site, r *rand.Rand) { s.killOwner(r) }},
		{"freeze owner", func(s *site, r *rand.Rand) { s.freezeOwner(r) }},
		{"stop owner", func(s *site, r *rand.Rand) { s.stopOwner(r) }},
	}
	faults = append(faults, gatewayFaults()...)
	if c.servers > 1 {
		return append(faults,
			fault{"kill node", func(s *site, r *rand.Rand) { s.killServer(r, seconds(r, .3, 5)) }},
			fault{"kill node and owner", func(s *site, r *rand.Rand) { s.killBoth(r) }})
	}
	return append(faults,
		fault{"kill server", func(s *site, r *rand.Rand) { s.killServer(r, seconds(r, .1, 2)) }},
		fault{"kill server and owner", func(s *site, r *rand.Rand) { s.killBoth(r) }})
}

func seconds(r *rand.Rand, from, to float64) time.Duration {
	return time.Duration((from + r.Float64()*(to-from)) * float64(time.Second))
}

// storm does one fault after the other, each kind once before any comes again, until ctx ends.
func (s *site) storm(ctx context.Context, random *rand.Rand) (done map[string]int) {
	done = map[string]int{}
	var round []fault
	for {
		quiet := seconds(random, .3, 2)
		if random.IntN(3) == 0 { // much is well again by the next fault
			quiet = seconds(random, 2, s.setup.quiet.Seconds())
		}
		select {
		case <-time.After(quiet):
		case <-ctx.Done():
			return done
		}
		if len(round) == 0 {
			round = faultsOf(s.setup)
			random.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		}
		s.note("%s", round[0].name)
		round[0].do(s, random)
		s.note("%s: over", round[0].name)
		done[round[0].name]++
		round = round[1:]
	}
}

// note says what is done when, where the logs are kept.
func (s *site) note(format string, args ...any) {
	if *keepLogs != "" {
		s.t.Logf("%s %s", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	}
}

func (s *site) killOwner(random *rand.Rand) {
	r := s.ownerOr(random.IntN(len(s.replicas)))
	r.kill()
	time.Sleep(seconds(random, 0, 3))
	r.start()
}

// freezeOwner stops the owner where it stands, for so short that nobody notices, or for so long that a standby has gone
// far ahead when it wakes up and goes on where it stood.
func (s *site) freezeOwner(random *rand.Rand) {
	r := s.ownerOr(random.IntN(len(s.replicas)))
	long := (takeover + s.setup.timeout).Seconds() + 2
	if err := r.freeze(); err != nil {
		s.t.Error(err)
	}
	time.Sleep(seconds(random, .2, long))
	s.woken = append(s.woken, time.Now())
	if err := r.thaw(); err != nil {
		s.t.Error(err)
	}
}

func (s *site) stopOwner(random *rand.Rand) {
	r := s.ownerOr(random.IntN(len(s.replicas)))
	if status, took := r.stop(); status != 0 {
		s.t.Errorf("%s ended with status %d after %v when it was asked to stop:\n%s", r.name, status, took, tail(r.proc.Output()))
	}
	time.Sleep(seconds(random, 0, 2))
	r.start()
}

// tail is the end of a text.
func tail(text string) string { return text[max(0, len(text)-4000):] }

// killServer kills the only server, or one of the cluster, and waits until it has come back. Two of three at once would
// be another promise.
func (s *site) killServer(random *rand.Rand, away time.Duration) {
	srv := s.servers[random.IntN(len(s.servers))]
	srv.proc.Kill()
	time.Sleep(away)
	s.startServer(srv)
	if !srv.healthyWithin(healWithin) {
		s.t.Errorf("%s was not well within %v:\n%s", srv.name, healWithin, tail(srv.proc.Output()))
	}
}

// killBoth kills a server while a worker is dead.
func (s *site) killBoth(random *rand.Rand) {
	r := s.ownerOr(random.IntN(len(s.replicas)))
	r.kill()
	s.killServer(random, seconds(random, .1, 2))
	r.start()
}
