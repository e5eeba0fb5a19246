package stream

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

// TestMain lets the test's own program be a worker in a process of its own, which can be killed and frozen for real.
func TestMain(m *testing.M) {
	if name := os.Getenv("IDLE_TEST_WORKER"); name != "" {
		beWorker(name)
		return
	}
	os.Exit(m.Run())
}

func beWorker(name string) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", name)
	nc, err := Connect(context.Background(), Options{URLs: []string{os.Getenv("IDLE_TEST_NATS")}, Name: name, Log: log})
	if err != nil {
		log.Error("connect", "err", err)
		os.Exit(1)
	}
	hold, _ := time.ParseDuration(os.Getenv("IDLE_TEST_HOLD"))
	layout := testLayout()
	lease, sessions := NewLease(layout), worker.NewSessions()
	gateway := &farGateway{name: name, addr: os.Getenv("IDLE_TEST_GATEWAY"), lease: lease}
	w := &worker.Worker{Gateway: gateway, Sessions: sessions, Log: log}
	owner := &Owner{Conn: nc, Layout: layout, Lease: lease, Worker: w, Name: name, Hold: hold, Log: log}
	go owner.FollowSessions(context.Background())
	if err := owner.Run(context.Background()); err != nil {
		log.Error("run", "err", err)
	}
}

// farGateway asks the test for answers, and looks at the lease as late as it can.
type farGateway struct {
	name, addr string
	lease      *Lease
}

// farCall is a call as it is written down by the test.
type farCall struct {
	Worker, Agent, Flag string
	began, ended        time.Time
}

func (g *farGateway) Set(ctx context.Context, c worker.Call) worker.Answer {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", g.addr)
	if err != nil {
		return worker.Answer{Class: worker.Unsound, Fault: err.Error()}
	}
	defer conn.Close()
	text, _ := json.Marshal(farCall{Worker: g.name, Agent: c.AgentID, Flag: c.Flag})
	if err := g.lease.Check(); err != nil {
		return worker.Answer{Class: worker.NotSent, Fault: err.Error()}
	}
	if _, err := conn.Write(append(text, '\n')); err != nil {
		return worker.Answer{Class: worker.Unsound, Fault: err.Error()}
	}
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		return worker.Answer{Class: worker.Unsound, Fault: err.Error()}
	}
	return worker.Answer{Class: worker.Success, Retcode: "0", Message: "success"}
}

// switchboard takes the calls of all processes and keeps a record of them.
type switchboard struct {
	addr  string
	takes time.Duration // each call

	mu    sync.Mutex // guards calls
	calls []*farCall
}

func newSwitchboard(t *testing.T, takes time.Duration) *switchboard {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &switchboard{addr: l.Addr().String(), takes: takes}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return b
}

func (b *switchboard) serve(conn net.Conn) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return
	}
	c := &farCall{began: time.Now()}
	if json.Unmarshal(line, c) != nil {
		return
	}
	b.mu.Lock()
	b.calls = append(b.calls, c)
	b.mu.Unlock()
	time.Sleep(b.takes) // the gateway thinks
	b.mu.Lock()
	c.ended = time.Now()
	b.mu.Unlock()
	_, _ = conn.Write([]byte("ok\n")) // the process may be dead
}

// made returns the calls in the order in which they came.
func (b *switchboard) made() []farCall {
	b.mu.Lock()
	defer b.mu.Unlock()
	var calls []farCall
	for _, c := range b.calls {
		calls = append(calls, *c)
	}
	slices.SortFunc(calls, func(a, b farCall) int { return a.began.Compare(b.began) })
	return calls
}

func (b *switchboard) by(name string) int {
	n := 0
	for _, c := range b.made() {
		if c.Worker == name {
			n++
		}
	}
	return n
}

// process is a worker in a process of its own.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	once sync.Once
}

func (s *site) spawn(t *testing.T, name string, b *switchboard) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "IDLE_TEST_WORKER="+name, "IDLE_TEST_NATS="+s.server.ClientURL(),
		"IDLE_TEST_GATEWAY="+b.addr, "IDLE_TEST_HOLD="+s.hold.String())
	if os.Getenv("IDLE_TEST_LOG") != "" {
		cmd.Stderr = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, name: name, cmd: cmd}
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a crash does.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Error(err)
	}
}

func testLayout() Layout {
	return Layout{
		Names: messages.Names{Prefix: "idlepolicy"}, Replicas: 1, Retention: time.Hour, Takeover: 2500 * time.Millisecond,
	}
}
