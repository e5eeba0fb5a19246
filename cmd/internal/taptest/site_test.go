package taptest

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/cmd/internal/faulttest"
	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

var (
	desktops = flag.Int("desktops", 60, "how many desktops there are")
	span     = flag.Duration("span", time.Second, "the time between two faults")
	away     = flag.Duration("away", 2*time.Second, "how long NATS is away in TestNATSAway")
	strict   = flag.Bool("strict", false, "also fail where a time is above its goal: for a quiet machine")
)

const tapProgram = "idlepolicy/cmd/idletap"

var built struct{ server, worker, tap string }

func TestMain(m *testing.M) {
	if gateway := os.Getenv(bareGateway); gateway != "" {
		os.Exit(bare(gateway, os.Getenv(bareAddr)))
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "taptest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for name, into := range map[string]*string{
		faulttest.ServerProgram: &built.server, faulttest.WorkerProgram: &built.worker, tapProgram: &built.tap,
	} {
		if *into, err = faulttest.Build(dir, name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// site is everything that runs.
type site struct {
	t       *testing.T
	natsAt  string // URL
	config  string // of the NATS server: a file
	nats    *faulttest.Process
	gateway *gatewaytest.Gateway
	ca      string
	names   messages.Names
	conn    *nats.Conn

	mu      sync.Mutex // guards what follows
	results map[messages.Outcome]map[string]int
	waits   map[string]*wait
	longest time.Duration // that a change waited for its sign-in
	records int           // the most sessions of an agent that came while its change waited
	stored  map[string]messages.Session
}

// wait is a change that waits for its agent's sign-in.
type wait struct {
	since   time.Time
	records int // sessions of the agent since then
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, names: messages.Names{Prefix: "idlepolicy"}, results: map[messages.Outcome]map[string]int{}, waits: map[string]*wait{}, stored: map[string]messages.Session{}}
	port := freePort(t)
	dir := t.TempDir()
	s.natsAt, s.config = "nats://127.0.0.1:"+port, filepath.Join(dir, "server.conf")
	text := fmt.Sprintf("listen: 127.0.0.1:%s\njetstream { store_dir: %q }\n", port, dir)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startNATS()
	g, err := gatewaytest.Start(gatewaytest.Options{OldGUIDFor: 2 * rotation, ForgetCalls: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	s.gateway = g
	if s.ca, err = g.WriteCA(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return s
}

func freePort(tb testing.TB) string {
	tb.Helper()
	return strconv.Itoa(natstest.FreePort(tb))
}

func (s *site) startNATS() {
	s.nats = faulttest.Start(s.t, built.server, faulttest.Options{Args: []string{"-c", s.config}})
}

func (s *site) startWorker() {
	faulttest.Start(s.t, built.worker, faulttest.Options{Env: append(s.env(), "IDLE_HTTP_ADDR=", "IDLE_RATE=0")})
}

func (s *site) env() []string {
	return []string{
		"IDLE_NATS_URL=" + s.natsAt, "IDLE_GATEWAY_URL=" + s.gateway.URL(), "IDLE_GATEWAY_CA=" + s.ca, "IDLE_LOG_LEVEL=debug",
	}
}

// tap is one process of the tap, which can be killed and started again at the same address.
type tap struct {
	at, page string
	proc     *faulttest.Process
}

func (s *site) newTap() *tap {
	p := &tap{at: "127.0.0.1:" + freePort(s.t), page: "127.0.0.1:" + freePort(s.t)}
	s.startTap(p)
	return p
}

func (s *site) startTap(p *tap) {
	s.t.Helper()
	p.proc = faulttest.Start(s.t, built.tap, faulttest.Options{
		Env: append(s.env(), "IDLE_TAP_ADDR="+p.at, "IDLE_HTTP_ADDR="+p.page),
	})
	s.until("the tap at "+p.at+" is ready", func() bool {
		resp, err := http.Get("http://" + p.page + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// roll stops a tap cleanly and starts it again. As in every update that nobody is to notice, the balancer leads to the other one
// before.
func (s *site) roll(p, other *tap, front *balancer) {
	s.t.Helper()
	front.lead(other.at)
	// Connections are accepted in order, so those that were led to it before this one are.
	resp, err := http.Get("http://" + p.at + "/")
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := p.proc.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if code := p.proc.Wait(); code != 0 {
		s.t.Errorf("the tap ended with status %d:\n%s", code, p.proc.Output())
	}
	s.startTap(p)
	front.lead(p.at, other.at)
}

func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(natstest.Patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// follow connects, counts the results that are stored, and watches the records of the sessions.
func (s *site) follow() {
	s.t.Helper()
	conn, err := nats.Connect(s.natsAt, nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	s.conn = conn
	s.consume(s.names.ResultsStream(), s.count)
	s.followSessions()
}

func (s *site) followSessions() { s.consume("KV_"+s.names.SessionsBucket(), s.session) }

// consume hands over what a stream holds and what comes, in order.
func (s *site) consume(name string, handler jetstream.MessageHandler) {
	s.t.Helper()
	js, err := jetstream.New(s.conn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.until("there is the stream "+name, func() bool { _, err := js.Stream(s.t.Context(), name); return err == nil })
	c, err := js.OrderedConsumer(s.t.Context(), name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	consuming, err := c.Consume(handler)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(consuming.Stop)
}

func (s *site) count(m jetstream.Msg) {
	var r messages.Result
	meta, err := m.Metadata()
	if err != nil || json.Unmarshal(m.Data(), &r) != nil || r.AgentID == "" { // the summary of a batch
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.results[r.Outcome] == nil {
		s.results[r.Outcome] = map[string]int{}
	}
	s.results[r.Outcome][r.AgentID]++
	switch w := s.waits[r.AgentID]; {
	case r.Outcome == messages.Waiting:
		s.waits[r.AgentID] = &wait{since: meta.Timestamp}
	case w != nil:
		s.longest, s.records = max(s.longest, meta.Timestamp.Sub(w.since)), max(s.records, w.records)
		delete(s.waits, r.AgentID)
	}
}

// session takes note of a record of the session registry.
func (s *site) session(m jetstream.Msg) {
	agent := m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:]
	session, _ := messages.DecodeSession(m.Data()) // of a record that was deleted: nothing
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored[agent] = session
	if w := s.waits[agent]; w != nil {
		w.records++
	}
}

// stale returns those of the agents whose record has neither the GUID that the gateway knows nor the time of their sign-in.
func (s *site) stale(agents []string) []string {
	signed := s.gateway.Signed()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(agents), func(agent string) bool {
		has := s.stored[agent]
		return has.GUID == signed[agent] && !has.SignedInAt.IsZero()
	})
}

// untilCorrect waits until the record of each agent was right once: rotations go on meanwhile.
func (s *site) untilCorrect(agents []string) {
	s.t.Helper()
	s.until("the registry is what the gateway knows", func() bool { agents = s.stale(agents); return len(agents) == 0 })
}

// number returns of how many agents there is a result, and how many results there are.
func (s *site) number(o messages.Outcome) (agents, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.results[o] {
		all += n
	}
	return len(s.results[o]), all
}

func (s *site) publish(agents []string) {
	s.t.Helper()
	js, err := jetstream.New(s.conn)
	if err != nil {
		s.t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]any{"agent_ids": agents, "flag": false})
	s.until("the change is stored", func() bool {
		_, err := js.Publish(s.t.Context(), s.names.Changes(), body, jetstream.WithMsgID("shift-"+agents[0]))
		return err == nil
	})
}

// differences says where the registry does not hold what the gateway knows, with the time of each sign-in.
func (s *site) differences() string {
	r, err := stream.OpenRegistry(s.t.Context(), stream.Options{URLs: []string{s.natsAt}, Name: "test"}, s.names)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	agents, err := r.Agents(s.t.Context())
	if err != nil {
		return err.Error()
	}
	want := s.gateway.Signed()
	var wrong, untimed []string
	for _, agent := range agents {
		rec, err := r.Get(s.t.Context(), agent)
		if err != nil {
			return err.Error()
		}
		if rec.Session.GUID != want[agent] {
			wrong = append(wrong, agent)
		} else if want[agent] != "" && rec.Session.SignedInAt.IsZero() {
			untimed = append(untimed, agent)
		}
		delete(want, agent)
	}
	if len(wrong)+len(untimed)+len(want) == 0 {
		return ""
	}
	return fmt.Sprintf("%d wrong (%.60s), %d missing, %d without the time of the sign-in", len(wrong), strings.Join(wrong, " "), len(want), len(untimed))
}
