package status

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/view"
)

// waitingSessions are not known yet.
type waitingSessions struct{}

func (waitingSessions) Len() int                         { return 0 }
func (waitingSessions) SignIns() (first, last time.Time) { return first, last }
func (waitingSessions) Ready() <-chan struct{}           { return nil }

// busy plays a site in which everything happens, so that every metric is there.
func (s *stage) busy() *stage {
	now := time.Now()
	s.worker.set(func(a *actor) {
		a.view = view.View{
			Gate: view.GateState{
				State: "slowed", Why: "the gateway could not take 50 calls per second", Rate: 25, Limit: 50, InFlight: 3,
				Holding: "in_flight", Latency: 0.1, Reach: 30,
			},
			Agents: 20, Unfinished: 19, Due: 7, InFlight: 3, Later: 4, NotSignedIn: 5, Retrying: 2, Held: 6, Storing: 1, MoreBatches: 2,
			Estimate: view.Estimate{Due: 10, Rate: 25, End: now.Add(time.Minute), Missed: 1},
			Oldest:   now.Add(-time.Hour), OldestDue: now.Add(-time.Minute), Since: now.Add(-2 * time.Hour),
			Batches: []view.BatchView{{ID: "late-7", Progress: messages.BatchSummary{Total: 40, Applied: 10, Failed: 1, StartedAt: now}}},
		}
	})
	s.sessions.Put("1001", messages.Session{GUID: "not-for-others", SignedInAt: now}, 1)
	m := s.server.Metrics
	for _, o := range messages.Outcomes() {
		r := result(o, "1001", "c-"+string(o), now)
		r.BatchID = "late-7"
		m.Ended(&r)
	}
	for c := worker.NotSent; c <= worker.Unsound; c++ {
		m.Called(&worker.Answer{Class: c, Took: time.Millisecond})
	}
	m.Called(&worker.Answer{Class: worker.Success, Retcode: "0", Took: time.Millisecond})
	m.Called(&worker.Answer{Class: worker.Passing, Retcode: "999-made-up", Took: time.Millisecond})
	m.Gate(view.GateState{State: "open"})
	m.Gate(view.GateState{State: "slowed"})
	m.Gate(view.GateState{State: "slowed"})
	m.Conflict()
	return s
}

func TestMetrics(t *testing.T) {
	s := newStage().busy().open(t)
	_, _, body := s.get(t, "/metrics")
	for _, line := range []string{
		`idlepolicy_owner 1`,
		`idlepolicy_nats_connected 1`,
		`idlepolicy_sessions 1`,
		`idlepolicy_gate_open 1`,
		`idlepolicy_gate_state{state="slowed"} 1`,
		`idlepolicy_gate_state{state="open"} 0`,
		`idlepolicy_gate_rate 25`,
		`idlepolicy_gate_limit 50`,
		`idlepolicy_gate_reach 30`,
		`idlepolicy_gate_holding{reason="in_flight"} 1`,
		`idlepolicy_gate_holding{reason="rate"} 0`,
		`idlepolicy_gate_in_flight 3`,
		`idlepolicy_gate_transitions_total{state="slowed"} 1`,
		`idlepolicy_backlog_changes{state="due"} 7`,
		`idlepolicy_backlog_changes{state="held"} 6`,
		`idlepolicy_backlog_changes{state="in_flight"} 3`,
		`idlepolicy_backlog_changes{state="later"} 4`,
		`idlepolicy_backlog_changes{state="not_signed_in"} 5`,
		`idlepolicy_backlog_changes{state="retrying"} 2`,
		`idlepolicy_backlog_changes{state="storing"} 1`,
		`idlepolicy_unfinished_messages 19`,
		`idlepolicy_agents 20`,
		`idlepolicy_batches 3`,
		`idlepolicy_estimate_missed 1`,
		`idlepolicy_changes_total{outcome="applied"} 1`,
		`idlepolicy_changes_total{outcome="waiting"} 1`,
		`idlepolicy_change_duration_seconds_count{outcome="failed"} 1`,
		`idlepolicy_gateway_calls_total{class="success"} 2`,
		`idlepolicy_gateway_calls_total{class="not_sent"} 1`,
		`idlepolicy_gateway_retcodes_total{retcode="0"} 1`,
		`idlepolicy_gateway_retcodes_total{retcode="other"} 1`,
		`idlepolicy_gateway_call_duration_seconds_count 8`, // what was not sent took no time
		`idlepolicy_ledger_conflicts_total 1`,
	} {
		if !slices.Contains(strings.Split(body, "\n"), line) {
			t.Errorf("no line %s", line)
		}
	}
	for _, test := range []struct {
		name        string
		least, most float64
	}{
		{"oldest_unfinished_age_seconds", 3600, 3900},
		{"oldest_due_age_seconds", 60, 360},
		{"estimate_end_seconds", 1, 60},
		{"sessions_last_sign_in_timestamp_seconds", 1.7e9, 1e11},
	} {
		if v := valueOf(t, body, test.name); v < test.least || v > test.most {
			t.Errorf("%s is %v, want %v to %v", test.name, v, test.least, test.most)
		}
	}
}

func valueOf(t *testing.T, body, name string) (v float64) {
	t.Helper()
	for line := range strings.Lines(body) {
		if n, _ := fmt.Sscanf(line, prefix+name+" %g", &v); n == 1 {
			return v
		}
	}
	t.Errorf("no metric %s", name)
	return 0
}

// A sum over all replicas must be the owner's value, also where a standby could ask the owner.
func TestStandbyReportsOnlyItself(t *testing.T) {
	s := newStage().busy()
	s.worker.set(func(a *actor) { a.ok = false })
	s.owner.set(func(a *actor) { a.ok, a.view = true, s.worker.view })
	s.set(func(s *stage) { s.role.Role = view.RoleStandby })
	_, _, body := s.open(t).get(t, "/metrics")
	for _, name := range []string{"gate_rate", "backlog_changes", "unfinished_messages", "agents", "oldest_unfinished_age_seconds"} {
		if strings.Contains(body, prefix+name) {
			t.Errorf("a standby reports %s", name)
		}
	}
	if valueOf(t, body, "owner") != 0 || valueOf(t, body, "sessions") != 1 {
		t.Error("a standby passes for the owner, or does not know who is signed in")
	}
}

func TestMetricsKeepToTheNamingRules(t *testing.T) {
	_, _, body := newStage().busy().open(t).get(t, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Whatever an agent, a batch or a gateway is called, no metric may be new for it.
func TestLabelsAreBounded(t *testing.T) {
	s := newStage().busy().open(t)
	_, _, before := s.get(t, "/metrics")
	for i := range 100 {
		r := result(messages.Applied, strconv.Itoa(2000+i), "c", time.Now())
		r.BatchID = fmt.Sprint("b", i)
		s.server.Metrics.Ended(&r)
		s.server.Metrics.Called(&worker.Answer{Class: worker.Passing, Retcode: fmt.Sprint("x-", i), Took: time.Millisecond})
		s.server.Metrics.Gate(view.GateState{State: fmt.Sprint("state-", i)})
	}
	_, _, after := s.get(t, "/metrics")
	ours := regexp.MustCompile(`(?m)^` + prefix + `[^ ]+`)
	if b, a := ours.FindAllString(before, -1), ours.FindAllString(after, -1); !slices.Equal(b, a) {
		t.Errorf("%d series before, %d after", len(b), len(a))
	}
	for _, word := range []string{"1001", "late-7", "not-for-others", "made-up"} {
		if strings.Contains(after, word) {
			t.Errorf("metrics tell of %s", word)
		}
	}
}

const deployFolder = "../../deploy/"

func readDeploy(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(deployFolder + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// deploy/README.md is what operators read: it has every metric with its type, labels and meaning, and no other.
func TestMetricsAreListed(t *testing.T) {
	_, _, body := newStage().busy().open(t).get(t, "/metrics")
	exported := describe(body)
	var listed []string
	for line := range strings.Lines(readDeploy(t, "README.md")) {
		if strings.HasPrefix(line, "| `"+prefix) {
			listed = append(listed, strings.TrimSpace(line))
		}
	}
	if !slices.Equal(listed, exported) {
		t.Errorf("the table in deploy/README.md has to have these lines:\n%s", strings.Join(exported, "\n"))
	}
}

// describe turns what is exported into the lines of the table.
func describe(body string) []string {
	help, kind, labels := map[string]string{}, map[string]string{}, map[string][]string{}
	sample := regexp.MustCompile(`^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `)
	lines := bufio.NewScanner(strings.NewReader(body))
	for lines.Scan() {
		line := lines.Text()
		var name string
		switch {
		case !strings.Contains(line, prefix):
		case strings.HasPrefix(line, "# HELP "):
			name, line, _ = strings.Cut(strings.TrimPrefix(line, "# HELP "), " ")
			help[name] = line
		case strings.HasPrefix(line, "# TYPE "):
			name, line, _ = strings.Cut(strings.TrimPrefix(line, "# TYPE "), " ")
			kind[name] = line
		default:
			m := sample.FindStringSubmatch(line)
			for pair := range strings.SplitSeq(m[2], `",`) {
				label, _, _ := strings.Cut(pair, "=")
				if label != "" && label != "le" && !slices.Contains(labels[m[1]], "`"+label+"`") {
					labels[m[1]] = append(labels[m[1]], "`"+label+"`")
				}
			}
		}
	}
	var all []string
	for name, text := range help {
		all = append(all, fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind[name], strings.Join(labels[name], ", "), text))
	}
	slices.Sort(all)
	return all
}
