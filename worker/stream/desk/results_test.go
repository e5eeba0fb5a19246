package desk_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

func applied(agent int, id string, seq uint64) messages.Result {
	return messages.Result{Outcome: messages.Applied, AgentID: strconv.Itoa(agent), ChangeID: id, ChangeSeq: seq}
}

func TestLastFindsRareOnesFarBack(t *testing.T) {
	d, js := newSite(t)
	var late time.Time
	for i := range 2000 {
		if i == 1995 {
			late = time.Now()
		}
		agent := 1001
		if i == 3 || i == 40 {
			agent = 1002
		}
		store(t, js, applied(agent, strconv.Itoa(i), uint64(i+1)))
	}
	for _, test := range []struct {
		q    desk.Query
		want []string
	}{
		{desk.Query{Agent: "1002", Last: 1}, []string{"40"}},
		{desk.Query{Agent: "1002", Last: 5}, []string{"3", "40"}},
		{desk.Query{Last: 2}, []string{"1998", "1999"}},
		{desk.Query{Agent: "1003", Last: 2}, nil},
		{desk.Query{Since: late, Last: 2}, []string{"1998", "1999"}},
		{desk.Query{Since: late, Last: 10}, []string{"1995", "1996", "1997", "1998", "1999"}},
		{desk.Query{Agent: "1002", Since: late, Last: 2}, nil},
		{desk.Query{Agent: "1001", Seq: 1999}, []string{"1998", "1999"}},
		{desk.Query{}, nil},
	} {
		var got []string
		if err := d.Results(t.Context(), test.q, func(e desk.Event) error { got = append(got, e.ChangeID); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, want %v", test.q, got, test.want)
		}
	}
}

// Servers bear so many consumers only, and a script may ask every second.
func TestReadingLeavesNothingOnTheServer(t *testing.T) {
	d, js := newSite(t)
	store(t, js, applied(1001, "a", 1))
	for range 3 {
		if err := d.Results(t.Context(), desk.Query{Agent: "1001", Last: 1}, func(desk.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	s, err := js.Stream(t.Context(), names.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Consumers; n > 0 {
		t.Errorf("%d consumers are left", n)
	}
}

func TestResultsContinueAfterARestart(t *testing.T) {
	dir := t.TempDir()
	srv := natstest.StartAt(t, dir, server.RANDOM_PORT)
	d, js := siteAt(t, srv.ClientURL())
	store(t, js, applied(1001, "before", 1))
	enough := errors.New("enough")
	var got []string
	err := d.Results(t.Context(), desk.Query{All: true, Live: true}, func(e desk.Event) error {
		if got = append(got, e.ChangeID); len(got) == 2 {
			return enough
		}
		port := natstest.Port(srv)
		natstest.Stop(srv)
		srv = natstest.StartAt(t, dir, port)
		_, again := siteAt(t, srv.ClientURL())
		store(t, again, applied(1001, "after", 2))
		return nil
	})
	if !errors.Is(err, enough) || !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestEndingsCountsExactlyTheExpected(t *testing.T) {
	d, js := newSite(t)
	old := store(t, js, applied(1001, "old", 1))
	store(t, js, applied(1002, "two-a", 2))
	store(t, js, applied(1009, "foreign", 9))
	store(t, js, messages.Result{Outcome: messages.Waiting, AgentID: "1003", ChangeSeq: 2})
	store(t, js, applied(1003, "two-b", 2))
	store(t, js, applied(1001, "one", 1))
	store(t, js, applied(1001, "later", 3))
	var got []string
	note := func(e desk.Event) error { got = append(got, e.ChangeID); return nil }
	if err := d.Endings(t.Context(), desk.Expected{1: 1, 2: 2}, desk.Since{After: old}, note); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"two-a", "two-b", "one"}) {
		t.Errorf("ended %v", got)
	}
	got = nil
	if err := d.Endings(t.Context(), desk.Expected{1: 1}, desk.Since{After: 99, Older: true}, note); err != nil || !slices.Equal(got, []string{"old"}) {
		t.Errorf("looking back: %v, %v", got, err)
	}
	if err := d.Endings(t.Context(), desk.Expected{}, desk.Since{}, note); err != nil {
		t.Errorf("nothing expected: %v", err)
	}
}
