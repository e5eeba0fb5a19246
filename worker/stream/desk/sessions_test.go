package desk_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
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
