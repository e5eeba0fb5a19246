package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/natstest"
)

func TestSample(t *testing.T) {
	t.Setenv("IDLE_RATE", "200")
	s := start(t, "")
	s.wait(statusFine, "310 of 310 changes ended, each exactly once", "applied 297", "superseded 10", "failed 3",
		"at once", "after retries", "after a sign-in", "a newer one came", "refused", `"retcode": "000-002"`,
		"What the gateway saw", "000-002 × 3", "published 310 of 310", "of 300 agents have their policy",
		"the gateway goes down", "the gateway is back", "idlectl status", "nats -s ", "deploy/TUTORIAL.md")
	if guid := regexp.MustCompile(`AgentGateway|JSESSIONID`).FindString(s.out.String() + s.err.String()); guid != "" {
		t.Errorf("the screen shows a GUID: %s", guid)
	}
}

func TestOwnFile(t *testing.T) {
	var csv strings.Builder
	csv.WriteString("agent_id;flag\n")
	for i := range 30 {
		fmt.Fprintf(&csv, "%d;wrap\n", 700_000+i)
	}
	s := start(t, "", write(t, "own shift.csv", csv.String()), "-http", "127.0.0.1:0")
	s.wait(statusFine, "30 of 30 changes ended", "applied 30", "own shift-", "of whom 1 sign in while it runs", "http://127.0.0.1:")
}

func TestStandardInputIsWithdrawnWhereItIsForAnotherDay(t *testing.T) {
	s := start(t, `[{"agent_id":2001,"flag":true},{"agent_id":2002,"flag":true,"effective_at":"2199-01-01T00:00:00Z"},
		{"agent_id":2003,"flag":false,"valid_until":"2001-01-01T00:00:00Z"}]`, "-")
	s.wait(statusFine, "3 of 3 changes ended", "applied 1", "superseded 1", "expired 1", "Withdrawn: 1 change")
}

func TestFileThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct {
		name, file string
		texts      []string
	}{
		{"lines", write(t, "bad.csv", "agent_id,flag\n1001,true\n99,false\n1002,yes\n"), []string{
			":3: column agent_id:", ":4: column flag:", "2 faults in", "nothing was published",
		}},
		{"json", write(t, "bad.json", "{\"flag\":true,\n\"changes\":[{\"agent_id\":1},\n{\"agent_id\":2}]}"), []string{":2: item 1:", ":3: item 2:"}},
		{"none", "no such file.csv", []string{"no such file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, "", test.file)
			s.wait(statusFailed, test.texts...)
			if text := s.out.String(); text != "" {
				t.Errorf("something was started: %s", text)
			}
		})
	}
}

func TestServe(t *testing.T) {
	s := start(t, `{"agent_id":"1001","flag":"true"}`, "-", "-serve")
	s.see("Everything stays up")
	nc := s.join()
	results, err := nc.SubscribeSync("idlepolicy.result.>")
	if err != nil {
		t.Fatal(err)
	}
	want := func(change string, subjects ...string) (r messages.Result) {
		t.Helper()
		if err := nc.Publish("idlepolicy.changes", []byte(change)); err != nil {
			t.Fatal(err)
		}
		for _, subject := range subjects {
			m, err := results.NextMsg(natstest.Patience)
			if err != nil || m.Subject != subject {
				t.Fatalf("%v on %v, want %s", err, m, subject)
			}
			if err := json.Unmarshal(m.Data, &r); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	if r := want(`{"agent_id":"1001","flag":"false"}`, "idlepolicy.result.applied.1001"); r.Retcode != "0" || r.Flag != "false" {
		t.Errorf("result %+v", r)
	}
	// Somebody whom nobody knows signs in.
	want(`{"agent_id":"4711","flag":"false"}`, "idlepolicy.result.waiting.4711", "idlepolicy.result.applied.4711")
	want(`{"agent_id":"1001","flag":"yes"}`, "idlepolicy.result.rejected.1001")
	nc.Close()
	s.interrupt()
	s.wait(statusFine)
}

func TestInterruptInTheMiddle(t *testing.T) {
	t.Setenv("IDLE_RATE", "1")
	s := start(t, "")
	s.see("published 310")
	nc := s.join()
	first, err := nc.SubscribeSync("idlepolicy.result.applied.*")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.NextMsg(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	s.interrupt()
	s.wait(statusInterrupted, "idledemo: interrupted")
}

func TestInterruptAtOnce(t *testing.T) {
	for range 3 {
		s := start(t, "")
		s.interrupt()
		s.wait(statusInterrupted)
	}
}

// The demonstration never calls a real gateway, and never publishes to a real server.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"IDLE_GATEWAY_URL": "https://gateway.example:8043", "IDLE_GATEWAY_CA": "no such file", "IDLE_GATEWAY_HOSTS": "x:1",
		"IDLE_GATEWAY_CERT": "no such file", "IDLE_NATS_URL": "nats://nats.example:4222", "IDLE_NATS_CREDS": "no such file",
		"IDLE_GATEWAY_TIMEOUT": "never", "IDLE_REPLICAS": "3", "IDLE_RETENTION": "1s", "IDLE_PREFIX": "site.b", "IDLE_HTTP_ADDR": "",
	} {
		t.Setenv(name, value)
	}
	s := start(t, `{"agent_id":"1001","flag":"true"}`, "-")
	s.wait(statusFine, "1 of 1 change ended", "site.b.result.applied.1001", "IDLE_PREFIX=site.b")
	if strings.Contains(s.out.String(), "status page") || strings.Contains(s.out.String(), "example") {
		t.Errorf("the screen: %s", s.out.String())
	}
	t.Setenv("IDLE_RATE", "fast")
	start(t, "").wait(statusFailed, `IDLE_RATE="fast"`)
}

func TestAddressTaken(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	change := `{"agent_id":"1001","flag":"true"}`
	start(t, change, "-", "-nats-port", port).wait(statusFailed, "start the NATS server: ", "address already in use")
	start(t, change, "-", "-http", taken.Addr().String()).wait(statusFailed, "status page", "address already in use")
}

func TestWithoutTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", "/there/is/none")
	status, want := statusFine, "1 of 1 change ended"
	if _, err := os.Stat("/dev/shm"); err != nil {
		status, want = statusFailed, "make a temporary directory"
	}
	var out screen
	got := run(t.Context(), []string{"-"}, strings.NewReader(`{"agent_id":"1001","flag":"true"}`), &out, &out)
	if got != status || !strings.Contains(out.String(), want) {
		t.Errorf("exit status %d, want %d:\n%s", got, status, out.String())
	}
}

func TestLogFile(t *testing.T) {
	file := write(t, "log", "")
	start(t, `{"agent_id":"1001","flag":"true"}`, "-", "-log", file).wait(statusFine)
	log, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(log), `"agent":"1001"`) || strings.Contains(string(log), "AgentGateway") {
		t.Errorf("the log is %s (%v)", log, err)
	}
}

func TestUsage(t *testing.T) {
	start(t, "", "-help").wait(statusFine, "-serve", "-simulator", "-nats-port", "Exit status", "IDLE_RATE")
	for _, args := range [][]string{
		{"-nonsense"}, {"a.csv", "b.csv"}, {"-ca", "x"}, {"-simulator", ":0", "a.csv"}, {"-nats-port", "70000"},
	} {
		start(t, "", args...).wait(statusUsage, "idledemo: ", "-help shows")
	}
}
