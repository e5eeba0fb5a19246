package taptest

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

var (
	held   = flag.Int("polls", 2000, "how many polls are held at once in BenchmarkHeldPolls")
	rounds = flag.Int("rounds", 5, "rounds of each proxy in BenchmarkBesideBareProxy")
)

// The test binary is also the proxy to compare with: a bare ReverseProxy in a process of its own.
const (
	bareGateway = "TAPTEST_BARE_GATEWAY"
	bareAddr    = "TAPTEST_BARE_ADDR"
)

func bare(gateway, addr string) int {
	at, err := url.Parse(gateway)
	if err != nil {
		return 1
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 1<<16
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }}
	return map[bool]int{true: 0, false: 1}[http.ListenAndServe(addr, proxy) == nil] //nolint:gosec // for a benchmark
}

// proxy is one of the two.
type proxy struct {
	name, at string
	pid      int
	took     []time.Duration
	cpu      time.Duration
	idle     time.Duration // of processor in a second in which nothing happens
	rss      int           // KiB
}

// startProxies starts both before a gateway without TLS, so that what is measured is theirs.
func startProxies(b *testing.B) (*gatewaytest.Gateway, []*proxy) {
	b.Helper()
	g, err := gatewaytest.Start(gatewaytest.Options{PlainHTTP: true, ForgetCalls: true, OldGUIDFor: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(g.Close)
	nats := "127.0.0.1:" + freePort(b)
	spawn(b, nats, built.server, []string{"-js", "-a", "127.0.0.1", "-p", nats[len("127.0.0.1:"):], "-sd", b.TempDir()}, nil)
	env := []string{"IDLE_NATS_URL=nats://" + nats, "IDLE_GATEWAY_URL=" + g.URL(), "IDLE_GATEWAY_INSECURE=true"}
	page := "127.0.0.1:" + freePort(b)
	spawn(b, page, built.worker, nil, append(env, "IDLE_HTTP_ADDR="+page))
	bareProxy := &proxy{name: "bare", at: "127.0.0.1:" + freePort(b)}
	bareProxy.pid = spawn(b, bareProxy.at, os.Args[0], nil, []string{bareGateway + "=" + g.URL(), bareAddr + "=" + bareProxy.at})
	tapProxy := &proxy{name: "tap", at: "127.0.0.1:" + freePort(b)}
	tapProxy.pid = spawn(b, tapProxy.at, built.tap, nil, append(env, "IDLE_TAP_ADDR="+tapProxy.at, "IDLE_HTTP_ADDR=", "IDLE_LOG_LEVEL=error",
		"IDLE_TAP_SILENCE=1h")) // a poll that is held for minutes is no silence
	return g, []*proxy{bareProxy, tapProxy}
}

// spawn starts a program and waits until it listens.
func spawn(b *testing.B, at, program string, args, env []string) (pid int) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), program, args...)
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", at); err == nil {
			_ = conn.Close()
			return cmd.Process.Pid
		}
		if time.Now().After(end) {
			b.Fatalf("%s does not listen", program)
		}
	}
}

// usage returns the processor time and the memory of a process.
func usage(b *testing.B, pid int) (cpu time.Duration, rss int) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip("no /proc here") // Linux alone says what a process used
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	pages, _ := strconv.Atoi(fields[21])
	return time.Duration(user+system) * 10 * time.Millisecond, pages * os.Getpagesize() / 1024
}

func percentile(took []time.Duration, p float64) time.Duration {
	slices.Sort(took)
	return took[int(p*float64(len(took)-1))]
}

func signInAll(b *testing.B, at string, n int, client *http.Client) (all []*gatewaytest.Desktop) {
	b.Helper()
	for i := range n {
		d := &gatewaytest.Desktop{Agent: strconv.Itoa(1001 + i), URL: "http://" + at, Client: client}
		if r, err := d.SignIn(b.Context(), true, ""); err != nil || r.Retcode != "0" {
			b.Fatalf("%+v, %v", r, err)
		}
		all = append(all, d)
	}
	return all
}

// BenchmarkBesideBareProxy sends heartbeats of 64 desktops through both, in turns, at 2,000 a second.
func BenchmarkBesideBareProxy(b *testing.B) {
	_, proxies := startProxies(b)
	const desktops, perSecond = 64, 2000
	transport := &http.Transport{MaxIdleConnsPerHost: 4 * desktops}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for round := range *rounds + 1 {
		for _, p := range proxies {
			all := signInAll(b, p.at, desktops, client)
			before, _ := usage(b, p.pid)
			took := heartbeats(b, all, max(b.N, 2000), perSecond)
			after, _ := usage(b, p.pid)
			if round > 0 { // the first one warms up
				p.cpu += after - before
				p.took = append(p.took, took...)
			}
		}
	}
	bareProxy, tapProxy := proxies[0], proxies[1]
	for _, p := range proxies {
		b.Logf("%s: p50 %v, p99 %v, %.1f µs of processor for each of %d requests", p.name, percentile(p.took, .5), percentile(p.took, .99),
			float64(p.cpu.Microseconds())/float64(len(p.took)), len(p.took))
	}
	ratio := func(a, of time.Duration) float64 { return float64(a) / float64(max(1, of)) }
	b.ReportMetric(ratio(percentile(tapProxy.took, .5), percentile(bareProxy.took, .5)), "p50-ratio")
	b.ReportMetric(ratio(percentile(tapProxy.took, .99), percentile(bareProxy.took, .99)), "p99-ratio")
	b.ReportMetric(ratio(tapProxy.cpu, bareProxy.cpu), "cpu-ratio")
}

func heartbeats(b *testing.B, all []*gatewaytest.Desktop, n, perSecond int) (took []time.Duration) {
	b.Helper()
	var mu sync.Mutex
	var work sync.WaitGroup
	apart := time.Second / time.Duration(perSecond) * time.Duration(len(all))
	for i, d := range all {
		work.Go(func() {
			var own []time.Duration
			next := time.Now().Add(apart * time.Duration(i) / time.Duration(len(all)))
			for range n / len(all) {
				time.Sleep(time.Until(next))
				next = next.Add(apart)
				began := time.Now()
				if r, err := d.Handshake(context.WithoutCancel(b.Context())); err != nil || r.Retcode != "0" {
					b.Errorf("%+v, %v", r, err)
					return
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, own...)
		})
	}
	work.Wait()
	return took
}

// BenchmarkHeldPolls holds polls through both, and reports memory for each and the processor time of a second.
func BenchmarkHeldPolls(b *testing.B) {
	g, proxies := startProxies(b)
	g.SetTraffic(gatewaytest.Traffic{PollFor: time.Hour})
	for _, p := range proxies {
		transport := &http.Transport{MaxIdleConnsPerHost: 100}
		client := &http.Client{Transport: transport}
		all := signInAll(b, p.at, *held, client)
		_, before := usage(b, p.pid)
		ctx, stop := context.WithCancel(b.Context())
		var polling sync.WaitGroup
		for i, d := range all {
			polling.Go(func() { _, _ = d.Poll(ctx) })
			if i%100 == 0 {
				time.Sleep(20 * time.Millisecond) // listeners have a queue of their own length
			}
		}
		time.Sleep(3 * time.Second)
		from, after := usage(b, p.pid)
		time.Sleep(5 * time.Second)
		to, _ := usage(b, p.pid)
		p.rss, p.idle = after-before, (to-from)/5
		stop()
		polling.Wait()
		transport.CloseIdleConnections()
		b.Logf("%s: %d polls held, %.1f KiB for each, idle processor %v a second", p.name, *held, float64(p.rss)/float64(*held), p.idle)
	}
	b.ReportMetric(float64(proxies[1].rss)/float64(cmp.Or(proxies[0].rss, 1)), "memory-ratio")
}
