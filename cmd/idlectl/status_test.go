package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/view"
)

func TestStatus(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	s.answer(map[string]any{"status": desk.Status{
		Replicas: []view.Replica{{Name: "a", Role: "owner", Since: now.Add(-time.Hour)}, {Name: "b", Role: "standby", Trouble: "no\x1b"}},
		View: &view.View{
			At: now, Gate: view.GateState{State: "shut", Why: "the gateway is away", Until: now.Add(2 * time.Second), Rate: 25, Limit: 50, ByOperator: true},
			Coverage: view.Coverage{InForce: 12, NotSignedIn: 3, Failed: 1},
			Agents:   20, Unfinished: 7, NotSignedIn: 3, Later: 2, Due: 4,
			Batches:  []view.BatchView{{ID: "late-7", Progress: messages.BatchSummary{Total: 40, Applied: 11, StartedAt: now}}},
			Estimate: view.Estimate{Due: 4, Rate: 25, End: now.Add(time.Minute), Missed: 1},
		},
	}})
	s.run("status").want(t, statusFine, "owner", "standby", "no·", "shut: the gateway is away, next look in 2s; then 25 calls per second of 50 calls per second, set by an operator",
		"12 of 16 agents have their policy, 3 not signed in, 1 failed", "7 messages, of 20 agents", "3 for their sign-in, 2 for their instant", "late-7", "4 changes due, done in 1m", "1 of them later")
	s.run("status", "--json").want(t, statusFine, `"replicas"`, `"late-7"`)
}

func TestStatusPromisesNothingWhileTheGateIsClosed(t *testing.T) {
	for _, state := range []string{"probing", "paused"} {
		v := view.View{
			Gate:     view.GateState{State: state, Why: "no call is answered", Rate: 50, Limit: 50},
			Estimate: view.Estimate{Due: 4, Rate: 50, Missed: 1},
		}
		want := "4 changes due; nobody knows when they are done: the gate is " + state + "; 1 of them later than their valid_until"
		if text := estimateText(v.Estimate, v.Gate, v.At); text != want {
			t.Errorf("%s: %s", state, text)
		}
		if text := gateText(v.Gate, v.At); text != state+": no call is answered; then 50 calls per second" {
			t.Errorf("%s: %s", state, text)
		}
	}
}

func TestStatusWithoutWorker(t *testing.T) {
	s := newSite(t)
	s.someResults()
	s.runWith(t.Context(), shift(3), "publish", "-").want(t, statusFine)
	s.run("status").want(t, statusFailed, "none answers", "no worker answers", "there has been none yet", "3 messages", "c-29", "c-25")
	kv, err := s.js.KeyValue(t.Context(), s.names.ControlBucket())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "owner", `{"name":"host-a","since":"2026-01-02T03:04:05Z"}`); err != nil {
		t.Fatal(err)
	}
	s.run("status").want(t, statusFailed, "none answers; the last one was host-a, which took over ")
	var st desk.Status
	if err := json.Unmarshal([]byte(s.run("status", "--json").out), &st); err != nil || st.Streams.Unfinished != 3 ||
		st.Owner != "" || st.Streams.Owner.Name != "host-a" || !strings.Contains(st.Trouble, "no worker answers") {
		t.Errorf("%+v, %v", st, err)
	}
	emptySite(t).run("status").want(t, statusUnreachable, "no stream IDLEPOLICY_")
}

// Replicas answer, but none of them is the owner: that is no fine status, and no figure is made up for it.
func TestStatusWithoutOwner(t *testing.T) {
	s := newSite(t)
	s.runWith(t.Context(), shift(3), "publish", "-").want(t, statusFine)
	replicas := []view.Replica{{Name: "b", Role: "standby", Trouble: "no replica is the owner: since 12:00:00 UTC"}}
	s.answer(map[string]any{"status": map[string]any{"replicas": replicas, "paused": false, "rate": nil}})
	o := s.run("status")
	o.want(t, statusFailed, "standby", "owner         none; there has been none yet", "3 messages", "no replica is the owner: changes wait")
	if strings.Contains(o.out, "gate") || strings.Contains(o.out, "no limit") {
		t.Errorf("figures that nobody knows:\n%s", o.out)
	}
	var st desk.Status
	if err := json.Unmarshal([]byte(s.run("status", "--json").out), &st); err != nil || st.View != nil || st.Streams.Unfinished != 3 || len(st.Replicas) != 1 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestPauseResumeRate(t *testing.T) {
	s := newSite(t)
	s.run("pause").want(t, statusFailed, "no worker answers")
	half := 0.5
	v := s.answer(map[string]any{
		"pause": desk.Valve{Paused: true}, "resume": desk.Valve{}, "rate": desk.Valve{Rate: &half},
	})
	s.run("pause").want(t, statusFine, "the gate is paused, at the configured rate")
	s.run("resume").want(t, statusFine, "the gate is open")
	s.run("rate", "0.5").want(t, statusFine, "at 0.5 calls per second")
	s.run("rate", "0").want(t, statusFine)
	s.run("rate", "0.5", "--json").want(t, statusFine, `"rate": 0.5`)
	s.run("rate", "configured").want(t, statusFine)
	asked := strings.Join(v.questions(), "\n")
	for _, want := range []string{`pause {"by":"`, `"rate":0.5`, `"rate":0}`, `"configured":true}`, "@"} {
		if !strings.Contains(asked, want) {
			t.Errorf("asked\n%s\nwithout %s", asked, want)
		}
	}
	for _, bad := range []string{"fast", "NaN", "inf"} {
		s.run("rate", bad).want(t, statusUsage, "want a number of calls per second, 0 or more, or the word configured")
	}
	s.run("rate").want(t, statusUsage, "want a number")
}

func TestRatesAreWrittenOut(t *testing.T) {
	for rate, want := range map[float64]string{
		0: "no limit", 0.5: "0.5 calls per second", 100.0 / 3: "33.33 calls per second", 12345: "12345 calls per second",
		1e9: "1000000000 calls per second", 1e-5: "0.00001 calls per second",
	} {
		if got := perSecond(rate); got != want {
			t.Errorf("%v is written %q, want %q", rate, got, want)
		}
	}
}

func TestWorkerDeclines(t *testing.T) {
	s := newSite(t)
	s.answer(map[string]any{"pause": errors.New("no replica is the owner")})
	s.run("pause").want(t, statusFailed, "the worker declines: no replica is the owner")
}

func TestExplain(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	s.applied("1001", "c-17", now)
	s.run("explain", "1001").want(t, statusFine, "agent 1001: has wrap-up (flag false), applied", "none answers", "c-17")
	s.run("explain", "1003").want(t, statusFine, "nothing was applied, and no worker is answering", "no results are stored")
	s.result(messages.Result{Outcome: messages.Failed, AgentID: "1001", ChangeID: "c-18", Retcode: "000-002", Message: "no such agent"})
	s.run("explain", "1001").want(t, statusFine, "change c-18 failed with retcode 000-002: no such agent",
		"wrap-up (flag false) of change c-17, until")
	s.result(messages.Result{Outcome: messages.Waiting, AgentID: "1001", ChangeID: "c-19", Flag: "true", Message: "waits for the agent to sign in"})
	s.run("explain", "1001").want(t, statusFine, "idle after a call of change c-19 had not reached the gateway", "waits for the agent to sign in; no worker")
	s.answer(map[string]any{"explain": view.AgentView{
		AgentID: "1001", SignedIn: true, SignedAt: now,
		Live: &view.ChangeView{
			ID: "c-19", Flag: "true", WaitsFor: view.Retry, Attempts: 2, Next: now.Add(time.Minute), ValidUntil: now, Retcode: "000-009", Message: "busy",
		},
		Later: []view.ChangeView{{ID: "c-20", Flag: "false", EffectiveAt: now.Add(time.Hour)}},
	}})
	s.run("explain", "1001").want(t, statusFine, "idle after a call is not in force yet: it pauses before another attempt",
		"after 2 attempts", `000-009 "busy"`, "signed in since", "c-20")
	s.run("explain", "1001", "--json").want(t, statusFine, `"waits_for": "retry"`, `"results"`)
	s.run("explain", "7").want(t, statusUsage, "is not an agent")
	s.run("explain", "1001", "--last", "0").want(t, statusUsage, "--last 0: want 1 or more")
}

func TestStatusIsWatchedUntilItIsInterrupted(t *testing.T) {
	s := newSite(t)
	asked := s.answer(map[string]any{"status": desk.Status{View: &view.View{Agents: 20}}})
	for _, args := range [][]string{{"status", "--watch"}, {"status", "-w", "--json"}} {
		ctx, interrupt := context.WithCancel(t.Context())
		before := len(asked.questions())
		go func() {
			for len(asked.questions()) < before+2 {
				time.Sleep(10 * time.Millisecond)
			}
			interrupt()
		}()
		o := s.runWith(ctx, "", args...)
		o.want(t, statusFine, "20")
		if lines := strings.Count(o.out, "\n"); args[1] == "-w" && lines > 2 {
			t.Errorf("%d lines for two looks: %s", lines, o.out)
		}
	}
}
