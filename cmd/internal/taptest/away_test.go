package taptest

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

// While NATS is away no desktop notices, and once it is back the registry is soon what the gateway knows.
func TestNATSAway(t *testing.T) {
	s := newSite(t)
	s.gateway.SetTraffic(gatewaytest.Traffic{PollFor: time.Second, RotateEvery: rotation, Cookie: true})
	s.startWorker()
	a, b := s.newTap(), s.newTap()
	front := startBalancer(t, a.at, b.at)
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * *desktops}
	defer transport.CloseIdleConnections()
	start := func(first, n int, every time.Duration) *gatewaytest.Desktops {
		d := &gatewaytest.Desktops{URL: "http://" + front.Addr().String(), Client: &http.Client{Transport: transport}, Every: every}
		for i := range n {
			d.Agents = append(d.Agents, strconv.Itoa(first+i))
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatalf("%v\n%s\n%s", err, a.proc.Output(), b.proc.Output())
		}
		return d
	}
	polling := start(1001, *desktops, 0)
	pushed := start(500_001, min(*desktops, 40), 50*time.Millisecond) // their requests are answered at once
	everybody := slices.Concat(polling.Agents, pushed.Agents)
	s.follow()
	s.untilCorrect(everybody)

	lap := func() (took []time.Duration) {
		pushed.Lap()
		time.Sleep(*away)
		return pushed.Tally().Took
	}
	before := lap()
	s.nats.Kill()
	during := lap()
	s.startNATS()
	s.until("NATS is back", func() bool {
		_, err := s.conn.Request("$JS.API.STREAM.INFO.KV_"+s.names.SessionsBucket(), nil, time.Second)
		return err == nil
	})
	back := time.Now()
	s.followSessions() // the one from before may take longer to notice
	s.untilCorrect(everybody)
	settled := time.Since(back)
	polling.Stop()
	pushed.Stop()
	s.until("the registry is the gateway's own table", func() bool { return s.differences() == "" })
	for _, d := range []*gatewaytest.Desktops{polling, pushed} {
		tally := d.Tally()
		if tally.Failed > 0 {
			t.Errorf("%d of %d requests failed: %v", tally.Failed, tally.Requests, tally.Errors)
		}
		for code := range tally.Retcodes {
			if code != "0" {
				t.Errorf("desktops were answered %v", tally.Retcodes)
			}
		}
	}
	ratio := float64(percentile(during, .99)) / float64(max(1, percentile(before, .99)))
	t.Logf("NATS away for %v: p50 %v before and %v meanwhile, p99 %v and %v (%.2f times), %d and %d requests; the registry was correct %v after NATS was back",
		*away, percentile(before, .5), percentile(during, .5), percentile(before, .99), percentile(during, .99), ratio, len(before), len(during),
		settled.Round(time.Millisecond))
	if *strict && (ratio > 1.2 || settled > 2*time.Second) {
		t.Error("that is above the goal of 1.2 times and 2 s")
	}
}
