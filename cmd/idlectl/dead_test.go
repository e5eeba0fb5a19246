package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

func failed(agent, id string, seq uint64) messages.Result {
	now := time.Now()
	return messages.Result{
		Outcome: messages.Failed, AgentID: agent, Retcode: "000-002", Message: "no such agent", Flag: "true", ChangeID: id,
		ChangeSeq: seq, BatchID: "late-7", ReceivedAt: now, EffectiveAt: now, FinishedAt: now,
	}
}

func TestDeadListAndShow(t *testing.T) {
	s := newSite(t)
	s.run("dead", "list").want(t, statusFine, "no dead letters")
	s.letter(failed("1001", "c-1", 1), `{"agent_id":"1001","flag":"true","id":"c-1"}`)
	rejected := failed("unknown", "c-2", 2)
	rejected.Outcome, rejected.Retcode, rejected.BatchID = messages.Rejected, "", ""
	s.letter(rejected, "garbage\x1b[2J")

	s.run("dead", "list").want(t, statusFine, "c-1", "c-2", "000-002", "no such agent")
	for args, want := range map[string]string{
		"--agent 1001": "c-1", "--retcode 000-002": "c-1", "--outcome failed": "c-1", "--batch late-7": "c-1",
		"--agent unknown": "c-2", "--outcome rejected": "c-2", "--limit 1": "c-2", "--since 1h --limit 1": "c-2",
	} {
		o := s.run(append([]string{"dead", "list", "--json"}, strings.Fields(args)...)...)
		var rows []deadRow
		if err := json.Unmarshal([]byte(o.out), &rows); err != nil || len(rows) != 1 || rows[0].Result.ChangeID != want {
			t.Errorf("%s: %s (%v), want %s alone", args, o.out, err, want)
		}
	}
	s.run("dead", "list", "--until", "1h").want(t, statusFine, "no dead letters")
	s.run("dead", "list", "--outcome", "applied").want(t, statusUsage, "want failed or rejected")

	s.run("dead", "show", "1").want(t, statusFine, "Idle-Nats-Msg-Id: original-1", `"retcode": "000-002"`, `{"agent_id":"1001","flag":"true","id":"c-1"}`)
	s.run("dead", "show", "2").want(t, statusFine, "garbage·[2J")
	s.run("dead", "show", "3").want(t, statusFailed, "no dead letter 3")
	s.run("dead", "show", "0").want(t, statusUsage, "is not a sequence")
	s.run("dead", "list", "--limit", "-1").want(t, statusUsage, "--limit -1: want")
	s.run("dead", "show", "x").want(t, statusUsage, "is not a sequence")
	s.run("dead").want(t, statusUsage, "want list, show, replay or purge")
}

func TestDeadReplay(t *testing.T) {
	s := newSite(t)
	s.letter(failed("1001", "c-1", 1), `{"agent_ids":["1001"],"flag":true,"id":"c-1","batch_id":"late-7","batch_total":40,"reason":"late"}`)
	s.run("dead", "replay", "1").want(t, statusFine, "replay-1-of-c-1", "would be published", "--yes does it")
	s.run("dead", "replay", "1", "--dry-run").want(t, statusFine, "would be published")
	s.run("dead", "replay", "1", "--dry-run", "--yes").want(t, statusUsage, "dry-run")
	if n := len(s.changes()); n != 0 {
		t.Fatalf("%d messages published without --yes", n)
	}
	s.run("dead", "replay", "--agent", "1001", "--yes").want(t, statusFine, "published, sequence 1")
	m := messages.Decode([]byte(s.changes()[0]), "x")
	if len(m.Changes) != 1 {
		t.Fatalf("published %s", s.changes()[0])
	}
	if c := m.Changes[0]; c.ID != "replay-1-of-c-1" || c.AgentID != "1001" || c.Flag != "true" || c.BatchID != "" || c.Reason != "late" {
		t.Errorf("published %+v", c)
	}
	s.run("dead", "replay", "1", "1", "--yes").want(t, statusFailed, "it was replayed a few minutes ago: idlectl explain 1001", "(--force overrides)",
		"1 of 1 dead letter cannot")
	if n := len(s.changes()); n != 1 {
		t.Fatalf("%d messages published without --force", n)
	}
	s.run("dead", "replay", "1", "--yes", "--force").want(t, statusFine, "published, sequence 2")
	s.run("dead", "replay", "1", "--yes", "--force").want(t, statusFine, "published, sequence 3")
	again := s.letter(failed("1001", "replay-1-of-c-1", 1), `{"agent_id":"1001","flag":true,"id":"replay-1-of-c-1"}`)
	s.run("dead", "replay", "1").want(t, statusFailed, "its replay failed too: that is dead letter 2")
	s.run("dead", "replay", strconv.FormatUint(again, 10)).want(t, statusFine, "would be published")
	s.run("dead", "replay", "9").want(t, statusFailed, "there is no such dead letter")
	s.run("dead", "replay").want(t, statusUsage, "which dead letters?")
	s.run("dead", "replay", "1", "--all").want(t, statusUsage, "not both")
}

func TestDeadReplayRefuses(t *testing.T) {
	rejected := failed("1001", "c-1", 1)
	rejected.Outcome = messages.Rejected
	long := failed("1001", strings.Repeat("ü", 128), 1)
	good := `{"agent_id":"1001","flag":"true","id":"c-1"}`
	for _, test := range []struct {
		name   string
		result messages.Result
		body   string
		newer  time.Duration // of a change applied; 0: none
		want   string
		forced bool
	}{
		{"rejected", rejected, good, 0, "it was rejected, not failed", true},
		{"garbage", rejected, "garbage", 0, "its original cannot be used: message: not JSON", false},
		{"cancel", failed("1001", "c-1", 1), `{"agent_id":"1001","cancel":true,"id":"a"}`, 0, "withdraws", false},
		{"two", failed("1001", "c-1", 1), `{"agent_ids":[1001,1002],"flag":true}`, 0, "holds 2 changes", false},
		{"over", failed("1001", "c-1", 1), `{"agent_id":"1001","flag":"true","valid_until":"2020-01-01T00:00:00Z"}`, 0, "valid_until has passed", true},
		{"newer", failed("1001", "c-1", 1), good, time.Minute, "newer change newest of agent 1001 has been applied", true},
		{"older", failed("1001", "c-1", 1), good, -time.Minute, "", true},
		{"long id", long, good, 0, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			s.letter(test.result, test.body)
			if test.newer != 0 {
				s.applied("1001", "newest", time.Now().Add(test.newer))
			}
			o := s.run("dead", "replay", "1", "--yes")
			if test.want == "" {
				o.want(t, statusFine, "published")
				return
			}
			o.want(t, statusFailed, "refused: ", "1 of 1 dead letter cannot")
			var done []replayed
			if err := json.Unmarshal([]byte(s.run("dead", "replay", "1", "--json").out), &done); err != nil || !strings.Contains(done[0].Refused, test.want) {
				t.Errorf("refused because %q (%v), want %q", done[0].Refused, err, test.want)
			}
			want := statusFailed
			if test.forced {
				want = statusFine
			}
			s.run("dead", "replay", "1", "--yes", "--force").want(t, want)
		})
	}
}

// applied stores an applied result and waits until the bucket shows it.
func (s *site) applied(agent, id string, at time.Time) {
	s.t.Helper()
	kv, err := s.js.KeyValue(s.t.Context(), s.names.AppliedBucket())
	if err != nil {
		s.t.Fatal(err)
	}
	w, err := kv.Watch(s.t.Context(), agent)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = w.Stop() }()
	s.result(messages.Result{
		Outcome: messages.Applied, AgentID: agent, Flag: "false", Retcode: "0", ChangeID: id, EffectiveAt: at,
		ReceivedAt: at, ValidUntil: at.Add(time.Hour), FinishedAt: at,
	})
	for entry := range w.Updates() {
		if entry != nil {
			return
		}
	}
}

func TestDeadReplayRefusesWhileANewerIsUnderWay(t *testing.T) {
	s := newSite(t)
	s.letter(failed("1001", "c-1", 1), `{"agent_id":"1001","flag":"true"}`)
	s.answer(map[string]any{"explain": view.AgentView{AgentID: "1001", Live: &view.ChangeView{ID: "c-9"}}})
	s.run("dead", "replay", "1", "--yes").want(t, statusFailed, "newer change c-9")
}

func TestDeadPurge(t *testing.T) {
	s := newSite(t)
	for i := range 5 {
		s.letter(failed(strconv.Itoa(1001+i%2), "c", uint64(i+1)), "{}")
	}
	s.run("dead", "purge").want(t, statusUsage, "which dead letters?")
	s.run("dead", "purge", "--agent", "1001", "--dry-run").want(t, statusFine, "would delete 3 dead letters: 1 3 5")
	s.run("dead", "purge", "2", "--dry-run", "--json").want(t, statusFine, `"would_delete": [`, "2")
	s.run("dead", "purge", "2", "17", "2", "--dry-run").want(t, statusFine, "would delete 1 dead letter: 2\n")
	s.run("dead", "purge", "17", "--dry-run", "--json").want(t, statusFailed, `"would_delete": []`, "no dead letter 17")
	s.run("dead", "purge", "17", "18", "--yes").want(t, statusFailed, "no dead letter 17, and none of the others")
	s.run("dead", "purge", "2", "--dry-run", "--yes").want(t, statusUsage, "dry-run")
	s.run("dead", "purge", "--agent", "1001").want(t, statusFailed, "delete 3 dead letters for good?", "nothing was deleted")
	s.runWith(t.Context(), "y\n", "dead", "purge", "--agent", "1001").want(t, statusFine, "deleted 3 dead letters")
	s.run("dead", "purge", "2", "17", "--yes").want(t, statusFine, "deleted 1 dead letter")
	s.run("dead", "purge", "--all", "--yes", "--json").want(t, statusFine, `"deleted": 1`)
	s.run("dead", "purge", "--all").want(t, statusFine, "no dead letters")
	s.run("dead", "purge", "--all", "--json").want(t, statusFine, `"deleted": 0`)
}

// Replayed as they stand, the older of two letters would be applied and the newer one refused.
func TestDeadReplayPublishesOnlyAnAgentsNewestLetter(t *testing.T) {
	s := newSite(t)
	older := failed("1001", "older", 1)
	older.EffectiveAt, older.Flag = older.EffectiveAt.Add(-time.Hour), "false"
	s.letter(older, `{"agent_id":"1001","flag":"false","id":"older"}`)
	s.letter(failed("1002", "alone", 2), `{"agent_id":"1002","flag":"true","id":"alone"}`)
	newest := s.letter(failed("1001", "newest", 3), `{"agent_id":"1001","flag":"true","id":"newest"}`)
	spoilt := failed("1001", "spoilt", 4) // newer still, but nobody can replay it
	spoilt.EffectiveAt = spoilt.EffectiveAt.Add(time.Minute)
	s.letter(spoilt, `{"agent_id":"1001","flag":"true","id":"spoilt","valid_until":"2020-01-01T00:00:00Z"}`)
	refused := fmt.Sprintf("refused: letter %d holds a newer change of agent 1001, newest", newest)

	s.run("dead", "replay", "--agent", "1001").want(t, statusFailed, refused, "replay-3-of-newest", "would be published", "2 of 3 dead letters cannot")
	s.run("dead", "replay", "1").want(t, statusFailed, refused)
	s.run("dead", "replay", "--all", "--yes").want(t, statusFailed, refused, "2 of 4 dead letters cannot")
	if got := strings.Join(s.changes(), "\n"); len(s.changes()) != 2 || strings.Contains(got, "older") {
		t.Errorf("published\n%s", got)
	}
	s.run("dead", "replay", "1", "--yes", "--force").want(t, statusFine, "published")
}

// Whoever insists on several letters of one agent gets the newest last, in whichever order they were named.
func TestForcedReplaysKeepTheOrderOfTheChanges(t *testing.T) {
	s := newSite(t)
	older := failed("1001", "older", 1)
	older.EffectiveAt = older.EffectiveAt.Add(-time.Hour)
	newest := s.letter(failed("1001", "newest", 2), `{"agent_id":"1001","flag":"true"}`)
	oldest := s.letter(older, `{"agent_id":"1001","flag":"false"}`)
	s.run("dead", "replay", strconv.FormatUint(newest, 10), strconv.FormatUint(oldest, 10), "--yes", "--force").want(t, statusFine)
	if got := s.changes(); len(got) != 2 || !strings.Contains(got[1], "of-newest") {
		t.Errorf("published %s", got)
	}
}

func TestDeadReplayRefusesALetterOfAnotherAgent(t *testing.T) {
	s := newSite(t)
	s.letter(failed("1001", "c-1", 1), `{"agent_id":"1002","flag":"true"}`)
	s.run("dead", "replay", "1", "--yes", "--force").want(t, statusFailed, "its original is about agent 1002")
}

// A publisher's header is not a word of the server: such a letter is listed, shown and deleted like any other.
func TestDeadLettersOfAnyHeaders(t *testing.T) {
	s := newSite(t)
	raw := natstest.DialRaw(t, s.url)
	for i, b := range natstest.Blocks() {
		raw.Publish(s.names.Dead(strconv.Itoa(2001+i)), b.Text, "")
	}
	s.letter(failed("1001", "c-1", 1), `{"agent_id":"1001","flag":"true"}`)
	s.run("dead", "list").want(t, statusFine, "c-1", "2001")
	s.run("dead", "list", "--json").want(t, statusFine, "c-1")
	s.run("dead", "show", "1").want(t, statusFine, "headers", "original")
	s.run("dead", "purge", "--all", "--dry-run").want(t, statusFine, "would delete")
	s.run("dead", "replay", "--all").want(t, statusFailed, "replay-", "would be published")
	s.run("dead", "purge", "--all", "--yes").want(t, statusFine, "deleted")
	s.run("dead", "list").want(t, statusFine, "no dead letters")
}
