package daytest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/view"
)

// TestCoverageThroughAShiftChange takes all agents through a shift: most get the policy, some never sign in, some are refused, some
// come too late. At each halt the API, the page, its CSV, the metric and idlectl say what a naive count over the results and the
// sessions says.
func TestCoverageThroughAShiftChange(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.config.HTTPAddr = "127.0.0.1:0"
	s.config.GatewayTimeout = 30 * time.Second                          // no machine is so slow that a call is given up
	s.config.BackoffInitial, s.config.BackoffMax = time.Hour, time.Hour // whoever is tried again is so until the end
	idlectl, err := faulttest.Build(t.TempDir(), "idlepolicy/cmd/idlectl")
	if err != nil {
		t.Fatal(err)
	}
	stop := s.start()
	c := &census{site: s, idlectl: idlectl, newest: map[string]item{}, groups: map[string][]string{}}
	for i, agent := range agents(scaled(400, 5000)) {
		name := []string{"stays", "stays", "stays", "leaves", "returns", "late", "never", "refused", "retried", "expired"}[i%10]
		c.groups[name] = append(c.groups[name], agent)
	}
	for _, agent := range c.groups["refused"] {
		s.gateway.On(agent, gatewaytest.Rule{Retcode: "000-002", Message: "invalid parameter"})
	}
	for _, agent := range c.groups["retried"] {
		s.gateway.On(agent, gatewaytest.Rule{Retcode: "100-007", Message: "the agent operation failed"})
	}
	c.signIn("stays", "leaves", "returns", "refused", "retried")
	c.publish(item{Flag: "false", ID: "shift", Batch: "shift"}, "stays", "leaves", "returns", "late", "never", "refused", "retried")
	c.publish(item{Flag: "false", ID: "short", Until: time.Now().Add(time.Second)}, "expired")
	c.halt("after the shift change", map[string]view.CoverState{
		"stays": view.CoverInForce, "leaves": view.CoverInForce, "returns": view.CoverInForce, "late": view.CoverNotSignedIn,
		"never": view.CoverNotSignedIn, "refused": view.CoverFailed, "retried": view.CoverRetrying, "expired": view.CoverExpired,
	})

	for _, agent := range c.groups["leaves"] {
		s.signOut(agent)
	}
	c.signIn("returns", "late")
	c.halt("after people came and went", map[string]view.CoverState{
		"stays": view.CoverInForce, "leaves": view.CoverNotSignedIn, "returns": view.CoverInForce, "late": view.CoverInForce,
		"never": view.CoverNotSignedIn, "refused": view.CoverFailed, "retried": view.CoverRetrying, "expired": view.CoverExpired,
	})

	if _, err := s.desk.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.publish(item{Flag: "true", ID: "break", Until: time.Now().Add(time.Hour)}, "stays", "expired")
	c.halt("while the calls are paused", map[string]view.CoverState{
		"stays": view.CoverDue, "late": view.CoverInForce, "expired": view.CoverNotSignedIn, "retried": view.CoverRetrying,
	})
	stop()
	s.page.Store(nil)
	c.since = time.Now() // the next owner knows nothing of attempts before, and makes none now
	s.start()
	c.halt("at the next owner", map[string]view.CoverState{
		"stays": view.CoverDue, "leaves": view.CoverNotSignedIn, "returns": view.CoverInForce, "late": view.CoverInForce,
		"never": view.CoverNotSignedIn, "refused": view.CoverFailed, "retried": view.CoverDue, "expired": view.CoverNotSignedIn,
	})
	if _, err := s.desk.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.signIn("expired")
	c.halt("at the end", map[string]view.CoverState{
		"stays": view.CoverInForce, "returns": view.CoverInForce, "late": view.CoverInForce, "never": view.CoverNotSignedIn,
		"refused": view.CoverFailed, "retried": view.CoverRetrying, "expired": view.CoverInForce,
	})
}

// census counts agents from outside.
type census struct {
	*site
	idlectl string
	groups  map[string][]string
	newest  map[string]item // by agent
	since   time.Time       // calls before count no more
}

func (c *census) signIn(groups ...string) {
	c.t.Helper()
	for _, group := range groups {
		for _, agent := range c.groups[group] {
			c.site.signIn(agent)
		}
	}
}

func (c *census) publish(it item, groups ...string) {
	c.t.Helper()
	for _, group := range groups {
		for _, agent := range c.groups[group] {
			c.newest[agent] = it
		}
		for part := range slices.Chunk(c.groups[group], 100) {
			it.Agents = part
			c.site.publish(it)
		}
	}
}

// halt waits until everybody says the same as the naive count, and these groups stand as they should.
func (c *census) halt(when string, want map[string]view.CoverState) {
	c.t.Helper()
	var counted view.Coverage
	c.wait("coverage "+when, func() bool {
		states := c.count()
		for group, state := range want {
			for _, agent := range c.groups[group] {
				if states[agent] != state {
					return false
				}
			}
		}
		counted = view.Coverage{}
		for _, state := range states {
			counted.Add(state, 1)
		}
		return c.api() == counted
	})
	for name, ask := range map[string]func() view.Coverage{"page": c.onPage, "CSV": c.inCSV, "metric": c.metric, "idlectl": c.inTerminal} {
		var got view.Coverage
		said := fmt.Sprintf("%s: the %s says what the naive count says", when, name)
		c.wait(said, func() bool { got = ask(); return got == counted })
	}
	c.t.Logf("%s: %+v, %d agents", when, counted, counted.Agents())
}

// count finds out how each agent stands from the results and the sessions alone. The gateway knows whether one without an
// ending was called already.
func (c *census) count() map[string]view.CoverState {
	c.t.Helper()
	ending, applied := map[string]event{}, map[string]event{}
	c.results.mu.Lock()
	for _, e := range c.results.all {
		if e.ChangeID != c.newest[e.AgentID].ID {
			continue
		}
		if e.Outcome.Ends() {
			ending[e.AgentID] = e
		}
		if e.Outcome == messages.Applied || e.Outcome == messages.Reapplied {
			applied[e.AgentID] = e
		}
	}
	c.results.mu.Unlock()
	sessions, called := c.sessions(), map[string]bool{}
	for _, call := range c.gateway.Calls() {
		if call.At.After(c.since) {
			called[call.AgentID+" "+call.Flag] = true
		}
	}
	states := map[string]view.CoverState{}
	for agent, it := range c.newest {
		session, signedIn := sessions[agent]
		switch e := ending[agent]; {
		case e.Outcome == messages.Failed:
			states[agent] = view.CoverFailed
		case e.Outcome == messages.Expired:
			states[agent] = view.CoverExpired
		case e.Outcome == messages.Applied && !applied[agent].ValidUntil.After(time.Now()):
			states[agent] = view.NotCounted
		case !signedIn:
			states[agent] = view.CoverNotSignedIn
		case e.Outcome == messages.Applied && applied[agent].FinishedAt.After(session.SignedInAt):
			states[agent] = view.CoverInForce
		case e.Outcome == "" && called[agent+" "+it.Flag]:
			states[agent] = view.CoverRetrying
		default:
			states[agent] = view.CoverDue
		}
	}
	return states
}

func (c *census) sessions() map[string]messages.Session {
	c.t.Helper()
	kv, err := c.js.KeyValue(c.t.Context(), c.names.SessionsBucket())
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[string]messages.Session{}
	watch, err := kv.WatchAll(c.t.Context(), jetstream.IgnoreDeletes())
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = watch.Stop() }()
	for entry := range watch.Updates() {
		if entry == nil { // that is all there is
			break
		}
		session, err := messages.DecodeSession(entry.Value())
		if err != nil {
			c.t.Fatal(err)
		}
		all[entry.Key()] = session
	}
	return all
}

func (c *census) get(path string) []byte {
	c.t.Helper()
	c.wait("the worker serves HTTP", func() bool { return c.page.Load() != nil })
	answer, err := http.Get("http://" + *c.page.Load() + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return body
}

// status is what the API and idlectl say alike.
type status struct {
	View *view.View `json:"view"`
}

func (c *census) said(text []byte) view.Coverage {
	c.t.Helper()
	var s status
	if err := json.Unmarshal(text, &s); err != nil {
		c.t.Fatalf("%v: %s", err, text)
	}
	if s.View == nil {
		return view.Coverage{}
	}
	return s.View.Coverage
}

func (c *census) api() view.Coverage { c.t.Helper(); return c.said(c.get("/api/status")) }

func (c *census) inTerminal() view.Coverage {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.idlectl, "status", "--json", "--server", c.nats.ClientURL(), "--prefix", c.names.Prefix)
	cmd.Env = []string{"HOME=" + os.Getenv("HOME")}
	text, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("idlectl status: %v", err)
	}
	return c.said(text)
}

// numbers adds up what an expression finds: a state, and how many agents are in it.
func numbers(all [][]string) (sum view.Coverage) {
	for _, m := range all {
		if state, ok := view.ParseCoverState(m[1]); ok {
			n, _ := strconv.Atoi(strings.ReplaceAll(m[2], ",", "")) // the expressions find nothing but digits
			sum.Add(state, n)
		}
	}
	return sum
}

var (
	legend   = regexp.MustCompile(`</svg> <a class="agent" href="coverage\?state=([a-z_]+)">([0-9,]+) `)
	coverage = regexp.MustCompile(`idlepolicy_coverage_agents\{state="([a-z_]+)"\} ([0-9]+)`)
)

func (c *census) onPage() view.Coverage {
	c.t.Helper()
	return numbers(legend.FindAllStringSubmatch(string(c.get("/")), -1))
}

func (c *census) metric() view.Coverage {
	c.t.Helper()
	return numbers(coverage.FindAllStringSubmatch(string(c.get("/metrics")), -1))
}

func (c *census) inCSV() (sum view.Coverage) {
	c.t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(c.get("/coverage.csv"))).ReadAll()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, row := range rows[1:] {
		state, _ := view.ParseCoverState(row[1])
		sum.Add(state, 1)
	}
	return sum
}
