package main_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

func TestChangeIsApplied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.start()
	guid := s.gateway.SignIn("1001")
	s.putSession("1001", messages.Session{GUID: guid})
	s.publish(`{"agent_id":"1001","flag":"false"}`)
	r := s.waitEnded(1)[0]
	if r.Outcome != messages.Applied || r.AgentID != "1001" || r.Retcode != "0" || r.Message != "success" || r.Flag != "false" || r.Attempts != 1 {
		t.Errorf("result %+v\n%s", r, w.Output())
	}
	call := s.gateway.Calls()[0]
	if want := "/agentgateway/resource/onlineagent/1001/autoenteridle/false"; call.Method != http.MethodPost || call.Path != want || call.GUID != guid {
		t.Errorf("%s %s, with the right GUID: %t", call.Method, call.Path, call.GUID == guid)
	}
	if flag, _ := s.gateway.Flag("1001"); flag != "false" {
		t.Errorf("flag at the gateway: %s", flag)
	}
}

func TestShapes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	s.signIn("1001", "1002", "1003", "1004")
	for _, test := range []struct {
		name, body string
		want       []string // agent, flag and batch of each result, in the order of the items
	}{
		{"one", `{"agent_id":"1001","flag":"false"}`, []string{"1001 false "}},
		{"one, with number and boolean", `{"agent_id":1001,"flag":true}`, []string{"1001 true "}},
		{"list", `{"agent_ids":["1001","1002"],"flag":true,"valid_until":"2099-11-22T18:00:00+01:00"}`, []string{"1001 true ", "1002 true "}},
		{
			"batch", `{"batch_id":"late-shift-7","flag":"true","changes":[{"agent_id":"1003"},{"agent_id":"1004","flag":"false"}]}`,
			[]string{"1003 true late-shift-7", "1004 false late-shift-7"},
		},
		{"array", `[{"agent_id":"1001","flag":"true"},{"agent_id":"1002","flag":"wrap"}]`, []string{"1001 true ", "1002 wrap "}},
	} {
		before := len(s.ended())
		s.publish(test.body)
		results := s.waitEnded(before + len(test.want))[before:]
		slices.SortFunc(results, func(a, b messages.Result) int { return cmp.Compare(a.ChangeIndex, b.ChangeIndex) })
		var got []string
		for _, r := range results {
			if r.Outcome != messages.Applied {
				t.Errorf("%s: %s", test.name, describe([]messages.Result{r}))
			}
			got = append(got, r.AgentID+" "+r.Flag+" "+r.BatchID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q\nwant %q", test.name, got, test.want)
		}
	}
}

// unusable messages, each with the field that its result has to name and the agent that it is about.
var unusable = []struct{ body, field, agent string }{
	{`no JSON at all`, "JSON", "unknown"},
	{`{"flag":"true"}`, "agent_id", "unknown"},
	{`{"agent_id":"100","flag":"true"}`, "agent_id", "unknown"},
	{`{"agent_id":"01001","flag":"true"}`, "agent_id", "unknown"},
	{`{"agent_id":"1001/../1002","flag":"true"}`, "agent_id", "unknown"},
	{`{"agent_id":"1001%2f1002","flag":"true"}`, "agent_id", "unknown"},
	{`{"agent_id":"*","flag":"true"}`, "agent_id", "unknown"},
	{`{"agent_ids":[],"flag":"true"}`, "agent_ids", "unknown"},
	{`{"agent_id":"1001"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":null}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":1}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"True"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"yes"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"toolong"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"a/../"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"a?b=c"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"a\r\nb"}`, "flag", "1001"},
	{`{"agent_id":"1001","flag":"true","valid_until":"tomorrow"}`, "valid_until", "1001"},
	{`{"agent_id":"1001","flag":"true","effective_at":"2026-11-22T18:00:00"}`, "effective_at", "1001"},
}

func TestUnusableMessages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	s.signIn("1001", "1002")
	for i, bad := range unusable {
		s.publish(bad.body, fmt.Sprintf(`{"agent_id":"1002","flag":"w%d"}`, i))
	}
	var rejected []messages.Result
	for _, r := range s.waitEnded(2 * len(unusable)) {
		if r.Outcome == messages.Rejected {
			rejected = append(rejected, r)
		}
	}
	slices.SortFunc(rejected, func(a, b messages.Result) int { return cmp.Compare(a.ChangeSeq, b.ChangeSeq) })
	if len(rejected) != len(unusable) {
		t.Fatalf("%d rejected, want %d: %s", len(rejected), len(unusable), describe(rejected))
	}
	letters := s.letters(len(unusable))
	for i, r := range rejected {
		if want := unusable[i]; !strings.Contains(r.Message, want.field) || r.AgentID != want.agent {
			t.Errorf("%s: result about agent %s: %s, want agent %s and field %s", want.body, r.AgentID, r.Message, want.agent, want.field)
		}
		if !slices.Contains(letters, unusable[i].body) {
			t.Errorf("%s: not among the dead letters", unusable[i].body)
		}
	}
	// The last of the good ones between them has its ending, and nothing but it went to the gateway.
	s.await(func() bool { flag, _ := s.gateway.Flag("1002"); return flag == fmt.Sprintf("w%d", len(unusable)-1) },
		func() string { return "the last good change to be applied" })
	for _, c := range s.gateway.Calls() {
		if want := "/agentgateway/resource/onlineagent/1002/autoenteridle/w"; !strings.HasPrefix(c.Path, want) {
			t.Errorf("call of %s", c.Path)
		}
	}
}

func TestUnusableItemHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	s.signIn("1001", "1002")
	s.publish(`{"flag":"false","changes":[{"agent_id":"1001"},{"agent_id":"x"},{"agent_id":"1002","flag":"on"},{"agent_id":"1002"}]}`)
	got := map[int]messages.Outcome{}
	for _, r := range s.waitEnded(4) {
		got[r.ChangeIndex] = r.Outcome
	}
	for i, want := range []messages.Outcome{messages.Applied, messages.Rejected, messages.Rejected, messages.Applied} {
		if got[i] != want {
			t.Errorf("item %d: %s, want %s", i, got[i], want)
		}
	}
	for _, letter := range s.letters(2) {
		if strings.Contains(letter, "1001") || !strings.Contains(letter, `"false"`) && !strings.Contains(letter, `"on"`) {
			t.Errorf("dead letter %s: want one item with its defaults", letter)
		}
	}
}

// letters waits for so many dead letters and returns their texts.
func (s *site) letters(n int) []string {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), names.DeadStream())
	if err != nil {
		s.t.Fatal(err)
	}
	s.await(func() bool {
		info, err := stream.Info(s.t.Context())
		return err == nil && info.State.Msgs == uint64(n)
	}, func() string { return fmt.Sprintf("%d dead letters, got %d", n, stream.CachedInfo().State.Msgs) })
	var texts []string
	for _, m := range s.all(names.DeadStream()) {
		texts = append(texts, string(m.Data()))
	}
	return texts
}

// all returns the messages that a stream holds.
func (s *site) all(stream string) []jetstream.Msg {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	held, err := s.js.Stream(ctx, stream)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := held.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	from, err := c.Messages()
	if err != nil {
		s.t.Fatal(err)
	}
	defer from.Stop()
	var all []jetstream.Msg
	for left := held.CachedInfo().State.Msgs; left > 0; left-- {
		m, err := from.Next(jetstream.NextMaxWait(patience))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}
