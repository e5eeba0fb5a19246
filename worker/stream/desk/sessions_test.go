package desk_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

func TestSessionsOfAWholeSite(t *testing.T) {
	const agents = 2500 // more than are written before the first are waited for
	d, _ := newSite(t)
	signedIn := time.Now().UTC().Truncate(time.Second)
	err := d.PutSessions(t.Context(), func(yield func(string, messages.Session) bool) {
		for i := range agents {
			id := strconv.Itoa(1001 + i)
			if !yield(id, messages.Session{GUID: "guid-of-" + id, SignedInAt: signedIn}) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = d.Sessions(t.Context(), func(e desk.SessionEntry) error {
		if seen++; e.Trouble != nil || e.Session.GUID != "guid-of-"+e.Agent || !e.Session.SignedInAt.Equal(signedIn) {
			t.Errorf("session of agent %s: %v, %v", e.Agent, e.Session, e.Trouble)
		}
		return nil
	})
	if err != nil || seen != agents {
		t.Errorf("%d sessions, want %d: %v", seen, agents, err)
	}
}

// A prefix that differs in dots and dashes only has the same bucket, with somebody else's credentials in it.
func TestSessionsOfAnotherSite(t *testing.T) {
	url := natstest.Start(t).ClientURL()
	_, js := siteAt(t, url)
	other := messages.Names{Prefix: "a.b"}
	if _, err := (stream.Layout{Names: other, Retention: time.Hour, Takeover: 3 * time.Second}).Ensure(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	d, err := desk.Open(t.Context(), stream.Options{URLs: []string{url}, Name: "test"}, messages.Names{Prefix: "a-b"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, written := d.PutSession(t.Context(), "1001", messages.Session{GUID: "g"})
	read := d.Sessions(t.Context(), func(desk.SessionEntry) error { return nil })
	for _, err := range []error{written, read, d.DeleteSession(t.Context(), "1001")} {
		if !errors.Is(err, stream.ErrForeign) || !strings.Contains(err.Error(), "a.b") {
			t.Errorf("error %v", err)
		}
	}
}

func TestSessionThatTheWorkerCannotReadIsNotWritten(t *testing.T) {
	d, _ := newSite(t)
	err := d.PutSessions(t.Context(), func(yield func(string, messages.Session) bool) {
		yield("1001", messages.Session{GUID: "geheim\n"})
	})
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("error %v", err)
	}
	if err := d.DeleteSession(t.Context(), "1001"); !errors.Is(err, desk.ErrNoSession) {
		t.Errorf("something was written: %v", err)
	}
}

func TestOverviewNamesTheStreamThatEverybodyKnows(t *testing.T) {
	d, js := newSite(t)
	if err := js.DeleteStream(t.Context(), names.ChangesStream()); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "KV_"+names.SessionsBucket()); err != nil {
		t.Fatal(err)
	}
	var away *desk.Unreachable
	if _, err := d.Overview(t.Context()); !errors.As(err, &away) || !strings.Contains(err.Error(), "no stream SITE_B_CHANGES on nats://") {
		t.Errorf("error %v", err)
	}
}
