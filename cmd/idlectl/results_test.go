package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"idlepolicy/messages"
)

func (s *site) someResults() {
	for i := range 30 {
		o := messages.Applied
		if i%10 == 9 {
			o = messages.Failed
		}
		s.result(messages.Result{
			Outcome: o, AgentID: strconv.Itoa(1001 + i%3), Flag: "false", Retcode: "0", ChangeID: fmt.Sprintf("c-%d", i), BatchID: fmt.Sprintf("b-%d", i%2),
		})
	}
}

func TestResultsChooses(t *testing.T) {
	s := newSite(t)
	s.someResults()
	for _, test := range []struct {
		args string
		want string
	}{
		{"--last 2", "c-28 c-29"},
		{"--outcome failed", "c-9 c-19 c-29"},
		{"--outcome failed --agent 1001", "c-9"},
		{"--outcome failed,applied --last 1", "c-29"},
		{"--agent 1002 --last 2", "c-25 c-28"},
		{"--batch b-0 --last 2", "c-26 c-28"},
		{"--batch b-1 --agent 1001 --since all", "c-3 c-9 c-15 c-21 c-27"},
		{"--since 1h --outcome failed --batch b-0", ""},
		{"--last 100 --agent 1003", "c-2 c-5 c-8 c-11 c-14 c-17 c-20 c-23 c-26 c-29"},
	} {
		o := s.run(append([]string{"results", "--no-follow", "--json"}, strings.Fields(test.args)...)...)
		o.want(t, statusFine)
		var got []string
		for line := range strings.Lines(o.out) {
			var r messages.Result
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			got = append(got, r.ChangeID)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %s, want %s", test.args, got, test.want)
		}
	}
	s.run("results", "--no-follow", "--last", "1").want(t, statusFine, "failed      1003     false")
}

func TestResultsRefuses(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct{ args, want string }{
		{"--outcome good", "want one of applied, reapplied"},
		{"--since yesterday", "--since \"yesterday\": want how long ago"},
		{"--agent 7", "is not an agent"},
		{"--last 1 --since 1h", "none of the others can be"},
		{"--last -1", "want 1 or more"},
		{"more", "want no argument"},
	} {
		s.run(append([]string{"results", "--no-follow"}, strings.Fields(test.args)...)...).want(t, statusUsage, test.want)
	}
}

func TestResultsFollows(t *testing.T) {
	s := newSite(t)
	s.someResults()
	ctx, interrupt := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"results", "--last", "1"}, s.environment, strings.NewReader(""), in, io.Discard)
	}()

	want := func(id string) {
		line := make([]byte, 4096)
		n, err := out.Read(line)
		if err != nil || !strings.Contains(string(line[:n]), id) {
			t.Errorf("read %q (%v), want %s", line[:n], err, id)
		}
	}
	want("c-29")
	s.result(messages.Result{Outcome: messages.Applied, AgentID: "1001", ChangeID: "c-new"})
	want("c-new")
	interrupt()
	if status := <-ended; status != statusFine {
		t.Errorf("exit status %d after an interrupt", status)
	}
}

func TestBatchFollowsToItsSummary(t *testing.T) {
	s := newSite(t)
	store := func(subject string, v any) {
		body, _ := json.Marshal(v)
		if _, err := s.js.Publish(t.Context(), subject, body); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	sum := messages.BatchSummary{BatchID: "b", Total: 3, Applied: 3, StartedAt: now, FinishedAt: now}
	store(s.names.Batch("b"), sum)
	s.run("batch", "b").want(t, statusFine, "batch b: 3 changes", "applied")

	// Progress after the summary is that of the next batch with the ID.
	store(s.names.BatchProgress("b"), messages.BatchProgress{BatchSummary: messages.BatchSummary{BatchID: "b", Total: 5, Applied: 1}, At: now})
	var storing sync.WaitGroup
	storing.Go(func() {
		sum.Total, sum.Failed = 5, 2
		store(s.names.Batch("b"), sum)
	})
	o := s.run("batch", "b")
	storing.Wait()
	if o.status != statusFailed || !strings.Contains(o.errout, "2 of 5 changes of batch b failed") {
		t.Errorf("status %d, %s %s", o.status, o.out, o.errout)
	}
	s.run("batch", "no words").want(t, statusUsage, "want 1 to 64")
}
