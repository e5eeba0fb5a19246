package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How many agents the week has. The figures of the documentation come from
//
//	go test ./cmd/idlectl -run TestPlanOfAWeek -v -plan.agents 20000
var weekAgents = flag.Int("plan.agents", 40, "agents in the schedule of TestPlanOfAWeek")

// TestPlanOfAWeek shows, applies and moves the week of many agents with 8 activities a day, as a process of its own, and
// reports time and memory of each run.
func TestPlanOfAWeek(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	tool, mapFile, file := buildTool(t, dir), writeWeekMap(t, dir), filepath.Join(dir, "week.csv")
	rows := writeWeek(t, file, *weekAgents, "08:00")
	run := func(what string, want string, args ...string) {
		t.Helper()
		c := exec.CommandContext(t.Context(), tool, append([]string{"plan", file, "--map", mapFile}, args...)...)
		c.Env = append(os.Environ(), "IDLE_NATS_URL="+s.url)
		var out, errout bytes.Buffer
		c.Stdout, c.Stderr = &out, &errout
		began := time.Now()
		err := c.Run()
		took := time.Since(began)
		usage, _ := c.ProcessState.SysUsage().(*syscall.Rusage)
		t.Logf("%d rows, %s: %.1f s, %d MiB, %.1f s of CPU", rows, what, took.Seconds(), usage.Maxrss>>10,
			(c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds())
		if err != nil || !strings.Contains(out.String(), want) {
			t.Fatalf("%s: %v\n%s%s", what, err, tail(out.String()), tail(errout.String()))
		}
	}
	last := func() uint64 {
		st, err := s.js.Stream(t.Context(), s.names.ChangesStream())
		if err != nil {
			t.Fatal(err)
		}
		return st.CachedInfo().State.LastSeq
	}
	n := *weekAgents
	run("the difference", fmt.Sprintf("%d new, 0 changed, 0 withdrawn for %d agents", n*56, n))
	run("applied", "applied as batch", "--apply")
	published := last()
	run("applied again", "nothing to do", "--apply")
	if now := last(); now != published {
		t.Errorf("the same file again published %d messages", now-published)
	}
	writeWeek(t, file, n, "08:30")
	run("one agent's shift moved", "1 new, 0 changed, 1 withdrawn for 1 agent", "--apply", "--max-change", "100")
	if now := last(); now != published+1 {
		t.Errorf("one agent's shift moved: %d messages more", now-published)
	}
}

func buildTool(t *testing.T, dir string) (tool string) {
	t.Helper()
	tool = filepath.Join(dir, "idlectl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return tool
}

func writeWeekMap(t *testing.T, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "map.yaml")
	text := "name: week\nzone: Europe/Vienna\nagent: agent\ndate: day\nstart: from\nend: to\nactivity: activity\n" +
		"activities: {phone: true, break: false}\nafter: leave\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A process that is killed while it applies leaves nothing that the next one does not put right: each of the steps waits
// under its id, once, and none is recorded that does not.
func TestPlanKilled(t *testing.T) {
	p := newPlanSite(t)
	tool, mapFile, file := buildTool(t, p.dir), writeWeekMap(t, p.dir), filepath.Join(p.dir, "week.csv")
	writeWeek(t, file, 30, "08:00")
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		c := exec.CommandContext(t.Context(), tool, "plan", file, "--map", mapFile, "--apply")
		c.Env = append(os.Environ(), "IDLE_NATS_URL="+p.url)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Duration(r.IntN(200))*time.Millisecond, func() { _ = c.Process.Kill() })
		_ = c.Wait() // killed or not
		kill.Stop()
	}
	p.run("plan", file, "--map", mapFile, "--apply").want(t, statusFine)
	p.run("plan", file, "--map", mapFile, "--detailed-exitcode").want(t, statusFine, "nothing to do: 1680 steps stay as they are")
	if n := len(p.published()); n != 30*56 {
		t.Errorf("%d changes wait, want %d", n, 30*56)
	}
	writeWeek(t, file, 29, "08:30") // the last agent is gone, and the first one's shift has moved
	p.run("plan", file, "--map", mapFile, "--apply").want(t, statusFine, "1 new, 0 changed, 57 withdrawn for 2 agents; 1623 steps stay")
	if n := len(p.published()); n != 29*56 {
		t.Errorf("%d changes wait, want %d", n, 29*56)
	}
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

// writeWeek writes seven days in which each agent has eight activities, one after the other. The first shift of the first
// agent begins at a given time.
func writeWeek(t *testing.T, file string, agents int, first string) (rows int) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	_, _ = io.WriteString(w, "agent,day,from,to,activity\n")
	for agent := range agents {
		for day := range 7 {
			for hour := range 8 {
				from := fmt.Sprintf("%02d:00", 8+hour)
				if agent+day+hour == 0 {
					from = first
				}
				fmt.Fprintf(w, "%d,2099-06-%02d,%s,%02d:00,%s\n", 1000+agent, 1+day, from, 9+hour, []string{"phone", "break"}[hour%2])
				rows++
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return rows
}
