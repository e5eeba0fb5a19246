package taptest

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// rotation is a minute of the real gateway.
const rotation = 2 * time.Second

func TestDesktopsThroughTwoTaps(t *testing.T) {
	s := newSite(t)
	s.gateway.SetTraffic(gatewaytest.Traffic{PollFor: time.Second, RotateEvery: rotation, Cookie: true})
	s.startWorker()
	a, b := s.newTap(), s.newTap()
	front := startBalancer(t, a.at, b.at)
	var agents []string
	for n := range *desktops {
		agents = append(agents, strconv.Itoa(1001+n))
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * *desktops}
	defer transport.CloseIdleConnections()
	all := &gatewaytest.Desktops{Agents: agents, URL: "http://" + front.Addr().String(), Client: &http.Client{Transport: transport}}
	if err := all.Start(t.Context()); err != nil {
		t.Fatalf("%v\n%s\n%s", err, a.proc.Output(), b.proc.Output())
	}
	s.follow()
	s.untilCorrect(agents)
	half := len(agents) / 2
	s.publish(agents[:half])
	time.Sleep(*span)

	before := all.Tally().Failed
	if before > 0 {
		t.Errorf("before any fault %d requests failed: %v", before, all.Tally().Errors)
	}
	a.proc.Kill()
	s.until("desktops go on", func() bool {
		_, n := s.gateway.Sessions()
		time.Sleep(200 * time.Millisecond)
		_, m := s.gateway.Sessions()
		return m > n
	})
	time.Sleep(*span)
	broken := all.Tally().Failed
	if broken > *desktops {
		t.Errorf("one tap of two was killed, and %d requests of %d desktops failed", broken, *desktops)
	}
	s.startTap(a)
	s.publish(agents[half:])
	time.Sleep(*span)
	s.roll(b, a, front)
	time.Sleep(*span)
	s.nats.Kill()
	time.Sleep(*span)
	s.startNATS()
	time.Sleep(*span)
	s.roll(a, b, front)
	time.Sleep(*span)

	s.until("every change is applied", func() bool { n, _ := s.number(messages.Applied); return n == len(agents) })
	all.Stop()
	stopped := time.Now()
	differs := ""
	s.until("the registry is the gateway's own table", func() bool {
		now := s.differences()
		if now != differs {
			t.Log("the registry differs: " + now)
		}
		differs = now
		return now == ""
	})
	settled := time.Since(stopped)
	tally := all.Tally()
	if tally.Failed > broken {
		t.Errorf("%d requests failed although no tap was killed: %v", tally.Failed-broken, tally.Errors)
	}
	for code := range tally.Retcodes {
		if code != "0" {
			t.Errorf("desktops were answered %v", tally.Retcodes)
		}
	}
	if _, n := s.number(messages.Reapplied); n > 0 {
		t.Errorf("%d policies were reapplied, and nobody signed in again", n)
	}
	again := agents[:3]
	for _, agent := range again {
		if _, err := all.Desktop(agent).SignIn(t.Context(), true, ""); err != nil {
			t.Fatal(err)
		}
	}
	s.until("three policies are reapplied", func() bool { n, _ := s.number(messages.Reapplied); return n == len(again) })
	if _, n := s.number(messages.Reapplied); n != len(again) {
		t.Errorf("%d policies were reapplied, want %d", n, len(again))
	}
	signIns, rotations := s.gateway.Sessions()
	s.mu.Lock()
	t.Logf("%d desktops: %d requests, %d of them on connections of the killed tap failed, %d sign-ins, %d rotations; the longest wait for a sign-in was %v; settled %v after the last request",
		*desktops, tally.Requests, broken, signIns, rotations, s.longest.Round(time.Millisecond), settled.Round(time.Millisecond))
	if s.records > 2 || *strict && (s.records > 1 || s.longest > rotation) { // on a busy machine another rotation may come before the result is stored
		t.Errorf("a change waited for %v, while %d sessions of its agent were stored", s.longest, s.records)
	}
	s.mu.Unlock()
	for _, p := range []*tap{a, b} {
		wantNoSecrets(t, p.proc.Output(), all)
	}
}

func wantNoSecrets(t *testing.T, log string, all *gatewaytest.Desktops) {
	t.Helper()
	secrets := []string{gatewaytest.DesktopPassword, "JSESSIONID", "AgentGateway", "node="}
	for _, agent := range all.Agents {
		secrets = append(secrets, all.Desktop(agent).GUID())
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Fatalf("the log of a tap shows %q", secret)
		}
	}
}
