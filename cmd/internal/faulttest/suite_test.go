package faulttest

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	faultsFor = flag.Duration("faults.for", 0, "how long faults go on in the long form; 0: the short form")
	replicas  = flag.Int("faults.replicas", 1, "servers in the long form: 1, or 3 for a cluster")
	seed      = flag.Uint64("faults.seed", 0, "seed; 0: always the same one in the short form, another one each time in the long form")
	ruleOff   = flag.String("faults.off", "", "rules that the long form turns off, joined by +, to see that something is found then")
	keepLogs  = flag.String("faults.logs", "", "folder for the logs of the workers")
)

// built are the programs as they are; TestMain builds them once.
var built programs

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "faulttest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if built.server, err = Build(filepath.Join(dir, "server"), ServerProgram); err == nil {
		built.worker, err = Build(filepath.Join(dir, "worker"), WorkerProgram)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// TestFaults is the suite: in its short form with a single server and with a cluster at once, in its long form with
// what the flags ask for.
func TestFaults(t *testing.T) {
	t.Parallel()
	if *faultsFor > 0 {
		long(t)
		return
	}
	for _, servers := range []int{1, 3} {
		t.Run(fmt.Sprintf("servers=%d", servers), func(t *testing.T) {
			t.Parallel()
			setup{
				servers: servers, workers: 2, agents: 40, rate: 150, burst: 15, timeout: 3 * time.Second, pause: 25 * time.Millisecond,
				faultFor: time.Duration(13-servers) * time.Second, quiet: 2 * time.Second,
				seed: cmp.Or(*seed, 2), // with 2, nearly every fault is among those few
			}.play(t, built)
		})
	}
}

func long(t *testing.T) {
	t.Helper()
	c := setup{
		servers: *replicas, workers: 3, agents: 150, rate: 150, burst: 15, timeout: 6 * time.Second, pause: 20 * time.Millisecond,
		faultFor: *faultsFor, quiet: 15 * time.Second, seed: *seed, off: *ruleOff,
	}
	if c.seed == 0 {
		c.seed = uint64(time.Now().UnixNano())
	}
	if c.off == "" {
		c.play(t, built)
		return
	}
	for _, n := range c.play(t, without(t, c.off)).faults() {
		if n > 0 {
			return
		}
	}
	t.Errorf("nothing was found with the rule %s turned off", c.off)
}

// play has faults happen to a site for a while, lets it come to rest and counts.
func (c setup) play(t *testing.T, p programs) *tally {
	t.Helper()
	t.Logf("seed %d, servers %d, faults for %v", c.seed, c.servers, c.faultFor)
	s := startSite(t, c, p)
	publishing, stop := context.WithTimeout(t.Context(), c.faultFor)
	defer stop()
	pub := &publisher{site: s, accepted: map[string]int{}}
	pub.run(publishing, c.seed)
	var others sync.WaitGroup
	others.Go(func() { s.desk.run(publishing, rand.New(rand.NewPCG(c.seed, 1<<32))) })
	done := s.storm(publishing, rand.New(rand.NewPCG(c.seed, 1<<33)))
	s.note("no more faults")
	pub.wg.Wait()
	others.Wait()
	s.note("no more changes")
	s.rest(pub.accepted)
	s.note("at rest")
	v := s.count(pub.accepted)
	t.Logf("faults: %v; %d messages, %d of their publishings had to be tried again\n%v", done, pub.messages, pub.again, v)
	if c.off != "" {
		return v
	}
	for what, n := range v.faults() {
		if n > 0 {
			t.Errorf("%s: %d, want 0", what, n)
		}
	}
	return v
}

// flagsWithin is how long to wait for what may never come, as a rule is turned off.
const flagsWithin = 15 * time.Second

// rest waits until nothing is unfinished and every agent has the flag of its last change. What does not come about is
// found by counting.
func (s *site) rest(accepted map[string]int) {
	patience := healWithin
	if s.setup.off != "" {
		patience = flagsWithin
	}
	waitUntil(patience, s.finished)
	s.note("nothing is unfinished")
	waitUntil(patience, func() bool { return s.flagsRight(accepted) })
}

// waitUntil looks again and again, and gives up after a while.
func waitUntil(patience time.Duration, holds func() bool) {
	for end := time.Now().Add(patience); time.Now().Before(end) && !holds(); {
		time.Sleep(50 * time.Millisecond)
	}
}

// finished tells whether the stream of changes holds nothing any more.
func (s *site) finished() bool {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
	defer cancel()
	stream, err := s.js.Stream(ctx, names.ChangesStream())
	return err == nil && stream.CachedInfo().State.Msgs == 0
}

// flagsRight tells whether all agents have the flags of their last changes, save those that will never have because the
// gateway held an older call for too long.
func (s *site) flagsRight(accepted map[string]int) bool {
	for agent, n := range accepted {
		if flag, _ := s.gateway.Flag(agent); flag == flagOf(n) {
			continue
		}
		if held := s.gateway.CallsOf(agent).Applied(); len(held) == 0 || !beyond(held[len(held)-1], s.setup.timeout) {
			return false
		}
	}
	return true
}
