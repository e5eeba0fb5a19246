package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/messages"
)

func TestPublishEachFormat(t *testing.T) {
	s := newSite(t)
	for name, file := range map[string]struct{ format, text string }{
		"csv":        {"", "agent_id,flag,id\n1001,true,a\n"},
		"semicolons": {"", "\ufeffagent_id;flag;id\r\n1001;true;a\r\n"},
		"jsonl":      {"jsonl", "{\"agent_id\":\"1001\",\"flag\":true,\"id\":\"a\"}\n\n"},
		"json":       {"", "{\n  \"agent_id\": 1001,\n  \"flag\": \"true\",\n  \"id\": \"a\"\n}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.changes())
			s.runWith(t.Context(), file.text, "publish", "-", "--format", file.format).want(t, statusFine, "published 1 message")
			all := s.changes()
			if len(all) != before+1 {
				t.Fatalf("%d messages more, want 1", len(all)-before)
			}
			m := messages.Decode([]byte(all[before]), "x")
			if len(m.Changes) != 1 || m.Changes[0].AgentID != "1001" || m.Changes[0].Flag != "true" || m.Changes[0].ID != "a" {
				t.Errorf("published %s", all[before])
			}
		})
	}
}

func TestPublishNamesEveryFaultAndPublishesNothing(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name, text string
		format     string
		want       []string
	}{
		{"columns", "agent,flag\n1001,true\n", "csv", []string{`:1: column "agent": unknown`, ":1: column agent_id: missing"}},
		{"values", "agent_id,flag\n1001,true\n99,false\n1002,yes\n1003,\n1004\n", "csv", []string{
			":3: column agent_id: ", ":4: column flag: ", ":5: column flag: missing", ":6: another number of columns", "4 faults",
		}},
		{"instants", "agent_id,flag,valid_until\n1001,true,tomorrow\n", "csv", []string{":2: column valid_until: "}},
		{"quotes", "agent_id,flag\n\"10\"01,true\n", "csv", []string{":2: character 4"}},
		{"jsonl", "{\"agent_id\":1001,\"flag\":true}\nnonsense\n{\"agent_id\":1001}\n", "jsonl", []string{":2: message: ", ":3: flag: missing"}},
		{"json", "{\"flag\":true,\n\"changes\":[\n{\"agent_id\":1001},\n{\"agent_id\":7}]}", "json", []string{":4: item 2: agent_id: "}},
		{"empty", "", "csv", []string{":1: the file is empty"}},
		{"header only", "agent_id,flag\n", "csv", []string{":1: the file holds no changes"}},
		{"no text", "agent_id,flag\n1001,\xff\n", "csv", []string{":2: not UTF-8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := s.runWith(t.Context(), test.text, "publish", "-", "--format", test.format)
			o.want(t, statusUsage, append(test.want, "nothing was published")...)
		})
	}
	if n := len(s.changes()); n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

func TestPublishFromFileWithoutServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shift.csv")
	if err := os.WriteFile(file, []byte(shift(3)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, url: "nats://127.0.0.1:1", names: messages.Names{Prefix: "idlepolicy"}}
	s.run("publish", file, "--dry-run").want(t, statusFine, "3 changes in 3 messages: all can be published")
	s.run("publish", file).want(t, statusUnreachable, "connect to NATS at nats://127.0.0.1:1")
	s.run("publish", file+".not").want(t, statusUsage, "idlectl: there is no file "+file+".not\n")
	s.run("publish", filepath.Dir(file)).want(t, statusUsage, "cannot be read: is a directory")
}

// A dry run finds out what the server would refuse: how large a message may be is known to the server alone.
func TestPublishOfLargeMessages(t *testing.T) {
	large := `{"agent_ids":[1001` + strings.Repeat(",1001", 15_000) + `],"flag":true}`
	for _, one := range []struct {
		text, way string
		args      []string
	}{
		{large, "send its items in several messages", nil},
		{strings.ReplaceAll(shift(1000), "late", strings.Repeat("late ", 20)), "leave out --bulk", []string{"--bulk"}},
	} {
		s := newSmallSite(t)
		args := append([]string{"publish", "-"}, one.args...)
		s.runWith(t.Context(), one.text, append(args, "--dry-run")...).want(t, statusUsage, "and the server takes 64512: "+one.way, "nothing was published")
		s.runWith(t.Context(), one.text, args...).want(t, statusUsage, "and the server takes 64512: "+one.way, "nothing was published")
	}
	away := &site{t: t, url: "nats://127.0.0.1:1", names: messages.Names{Prefix: "idlepolicy"}}
	away.runWith(t.Context(), large, "publish", "-", "--dry-run").
		want(t, statusFine, "all can be published", "whether the server takes messages as large as these could not be seen: connect to NATS at nats://127.0.0.1:1")
}

func TestPublishAgainIsNotDoubled(t *testing.T) {
	s := newSite(t)
	s.runWith(t.Context(), shift(5), "publish", "-", "--id-prefix", "plan").want(t, statusFine, "published 5 messages")
	s.runWith(t.Context(), shift(7), "publish", "-", "--id-prefix", "plan").
		want(t, statusFine, "published 2 messages", "5 messages had been published before")
	if n := len(s.changes()); n != 7 {
		t.Errorf("%d messages, want 7", n)
	}
}

func TestPublishBatch(t *testing.T) {
	s := newSite(t)
	jsonl := `{"agent_ids":[1001,1002],"flag":true}` + "\n" + `[{"agent_id":1003,"flag":true}]` + "\n" +
		`{"agent_id":1004,"cancel":true,"id":"old"}` + "\n"
	s.runWith(t.Context(), jsonl, "publish", "-", "--batch", "late-7").want(t, statusFine)
	s.runWith(t.Context(), "agent_id,flag,batch_id\n1001,true,a\n1002,true,b\n1003,true,a\n", "publish", "-").want(t, statusFine)
	s.runWith(t.Context(), shift(2500), "publish", "-", "--bulk", "--batch", "late-8").want(t, statusFine, "published 3 messages")
	totals := map[string]int{}
	for _, body := range s.changes() {
		for _, c := range messages.Decode([]byte(body), "x").Changes {
			if want, known := totals[c.BatchID]; known && want != c.BatchTotal && !c.Cancel {
				t.Errorf("batch %s has totals %d and %d", c.BatchID, want, c.BatchTotal)
			}
			totals[c.BatchID] = c.BatchTotal
		}
	}
	for id, want := range map[string]int{"late-7": 3, "a": 2, "b": 1, "late-8": 2500} {
		if totals[id] != want {
			t.Errorf("batch %s has total %d, want %d", id, totals[id], want)
		}
	}
}

func TestPublishRefusesTwoBatches(t *testing.T) {
	s := newSite(t)
	for _, text := range []string{
		"agent_id,flag,batch_id\n1001,true,a\n",
		`{"agent_id":1001,"flag":true,"batch_id":"a"}`,
		`{"agent_id":1001,"flag":true,"batch_total":9}`,
	} {
		s.runWith(t.Context(), text, "publish", "-", "--batch", "b").want(t, statusUsage, "with --batch", "nothing was published")
	}
	s.runWith(t.Context(), shift(1), "publish", "-", "--batch", "no words").want(t, statusUsage, "want 1 to 64 letters")
}

func TestPublishWaits(t *testing.T) {
	s := newSite(t)
	s.serve(nil)
	s.result(messages.Result{Outcome: messages.Failed, AgentID: "1001", ChangeSeq: 1}) // of an older stream
	o := s.runWith(t.Context(), shift(300), "publish", "-", "--wait", "--timeout", "5m")
	o.want(t, statusFine, "applied", "300")
}

func TestPublishWaitsForDuplicatesToo(t *testing.T) {
	s := newSite(t)
	s.serve(nil)
	s.runWith(t.Context(), shift(3), "publish", "-", "--wait", "--id-prefix", "p").want(t, statusFine)
	s.runWith(t.Context(), shift(5), "publish", "-", "--wait", "--id-prefix", "p", "--timeout", "5m").want(t, statusFine, "applied", "5")
}

func TestPublishWaitReportsFailures(t *testing.T) {
	s := newSite(t)
	s.serve(func(c messages.Change) messages.Result {
		if c.AgentID == "1002" {
			return messages.Result{Outcome: messages.Failed, Retcode: "000-002", Message: "no \x1b[31msuch agent"}
		}
		return messages.Result{Outcome: messages.Applied, Retcode: "0"}
	})
	o := s.runWith(t.Context(), shift(3), "publish", "-", "--wait")
	o.want(t, statusFailed, "1 of 3 changes failed", "000-002", "no ·[31msuch agent")

	o = s.runWith(t.Context(), shift(3), "publish", "-", "--wait", "--json")
	var r report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil {
		t.Fatalf("%v in %s", err, o.out)
	}
	if r.Outcomes[messages.Applied] != 2 || r.Outcomes[messages.Failed] != 1 || len(r.Failures) != 1 {
		t.Errorf("report %+v", r)
	}
}

func TestPublishWaitEnds(t *testing.T) {
	s := newSite(t) // nobody works
	s.runWith(t.Context(), shift(2), "publish", "-", "--wait", "--timeout", "50ms").want(t, statusFailed, "2 changes not ended within 50ms")
	s.runWith(t.Context(), shift(2), "publish", "-", "--wait", "--timeout", "1ns").want(t, statusFailed, "2 changes not ended within 1ns") // before anything is read
	ctx, interrupt := context.WithCancel(t.Context())
	s.serve(func(messages.Change) messages.Result {
		interrupt()
		return messages.Result{Outcome: messages.Waiting}
	})
	s.runWith(ctx, shift(2), "publish", "-", "--wait").want(t, statusFailed)
}

func TestPublishWithoutStream(t *testing.T) {
	s := emptySite(t)
	s.runWith(t.Context(), shift(1), "publish", "-").want(t, statusUnreachable,
		"no stream IDLEPOLICY_CHANGES on "+s.url+": is the worker running with another IDLE_PREFIX?")
	s.runWith(t.Context(), shift(1), "publish", "-", "--prefix", "site-b").want(t, statusUnreachable, "no stream SITE_B_CHANGES")
}

func TestPublishTwentyThousandLines(t *testing.T) {
	s := newSite(t)
	s.runWith(t.Context(), shift(20_000), "publish", "-").want(t, statusFine, "published 20000 messages, sequences 1 to 20000")
	st, err := s.js.Stream(t.Context(), s.names.ChangesStream())
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 4097, 20_000} { // in the order of the file
		m, err := st.GetMsg(t.Context(), seq)
		if want := fmt.Sprintf(`"agent_id":"%d"`, 1000+seq); err != nil || !strings.Contains(string(m.Data), want) {
			t.Errorf("message %d is %v (%v), want %s", seq, m, err, want)
		}
	}
}

func TestPublishRefusesWhatTheServerWouldNotTake(t *testing.T) {
	s := newSite(t)
	var big strings.Builder
	for i := range 60_000 {
		if i > 0 {
			big.WriteByte(',')
		}
		big.WriteString(`{"agent_id":"999999","flag":"true"}`)
	}
	s.runWith(t.Context(), "["+big.String()+"]", "publish", "-").want(t, statusUsage, "send its items in several messages")
}

// A corrected file under the same prefix takes effect, also within the time in which the stream knows the first one.
func TestPublishCorrectedFile(t *testing.T) {
	s := newSite(t)
	s.runWith(t.Context(), "agent_id,flag\n1001,true\n1002,true\n", "publish", "-", "--id-prefix", "nightly").want(t, statusFine, "published 2 messages")
	s.runWith(t.Context(), "agent_id,flag\n1001,true\n1002,false\n", "publish", "-", "--id-prefix", "nightly").
		want(t, statusFine, "published 1 message", "1 message had been published before")
	all := s.changes()
	if len(all) != 3 || !strings.Contains(all[2], `"1002","flag":"false"`) {
		t.Errorf("published %q", all)
	}
}

func TestPublishRefusesAFileOfThePast(t *testing.T) {
	s := newSite(t)
	past := "agent_id,flag,effective_at\n1001,true,2025-11-23T14:00:00+01:00\n1001,false,2025-11-23T22:00:00+01:00\n"
	s.runWith(t.Context(), past, "publish", "-").want(t, statusUsage, "2 of 2 instants are in the past", "--force", "Nothing was published")
	s.runWith(t.Context(), past, "publish", "-", "--dry-run").want(t, statusUsage, "2 of 2 instants are in the past")
	if n := len(s.changes()); n != 0 {
		t.Fatalf("%d messages were published", n)
	}
	s.runWith(t.Context(), past, "publish", "-", "--force").want(t, statusFine, "published 2 messages", "2 of 2 instants are in the past")
	s.runWith(t.Context(), past+"1002,true,2999-01-01T00:00:00Z\n", "publish", "-").want(t, statusFine, "published 3 messages", "2 of 3 instants are in the past")
}
