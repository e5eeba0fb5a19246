package gatewaytest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func (b *bench) desktop(agent string) *gatewaytest.Desktop {
	return &gatewaytest.Desktop{Agent: agent, URL: b.URL(), Client: b.client}
}

// wantReply wants a retcode and no fault.
func wantReply(t *testing.T, what string, got gatewaytest.Reply, err error, retcode string) {
	t.Helper()
	if err != nil || got.Status != 200 || got.Retcode != retcode {
		t.Errorf("%s: %+v, %v; want retcode %q", what, got, err, retcode)
	}
}

func TestDesktopSignsInAndOut(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.SetTraffic(gatewaytest.Traffic{PollFor: time.Millisecond, Cookie: true})
	ctx := t.Context()
	d := b.desktop("1001")
	r, err := d.Poll(ctx)
	wantReply(t, "a poll before the sign-in", r, err, "100-006")
	r, err = d.SignIn(ctx, false, "no JSON")
	wantReply(t, "an unusable sign-in", r, err, "100-001")
	r, err = d.SignIn(ctx, false, `{"autoenteridle": false}`)
	wantReply(t, "sign-in", r, err, "0")
	wantFlag(t, b, "1001", "false")
	if guid := d.GUID(); guid == "" || b.Signed()["1001"] != guid {
		t.Errorf("the desktop's GUID is not the gateway's")
	}
	r, err = d.Poll(ctx)
	wantReply(t, "poll", r, err, "0")
	r, err = d.Handshake(ctx)
	wantReply(t, "heartbeat", r, err, "0")

	again := b.desktop("1001")
	r, err = again.SignIn(ctx, false, "")
	wantReply(t, "sign-in elsewhere", r, err, "100-002")
	r, err = again.SignIn(ctx, true, "")
	wantReply(t, "forced sign-in", r, err, "0")
	wantFlag(t, b, "1001", "true")
	r, err = d.Poll(ctx)
	wantReply(t, "a poll of the session that was ended", r, err, "100-006")

	again.Take(again.GUID()) // without the cookie
	r, err = again.Poll(ctx)
	wantReply(t, "a poll without the balancer's cookie", r, err, "100-006")
	for _, verb := range []string{"logout", "forcelogout", "forcelogoutwithreason/7"} {
		r, err = d.SignIn(ctx, true, "")
		wantReply(t, "sign-in", r, err, "0")
		r, err = d.SignOut(ctx, verb)
		wantReply(t, verb, r, err, "0")
		r, err = d.Poll(ctx)
		wantReply(t, "a poll after "+verb, r, err, "100-008")
	}
	if signIns, _ := b.Sessions(); signIns != 5 || len(b.Signed()) != 0 {
		t.Errorf("%d sign-ins, %d signed in", signIns, len(b.Signed()))
	}
}

func TestDesktopHearsOfRotations(t *testing.T) {
	b := start(t, gatewaytest.Options{OldGUIDFor: time.Hour})
	b.SetTraffic(gatewaytest.Traffic{PollFor: time.Millisecond, RotateEvery: time.Nanosecond})
	ctx := t.Context()
	d := b.desktop("1001")
	if _, err := d.SignIn(ctx, false, ""); err != nil {
		t.Fatal(err)
	}
	for i, ask := range []func() (gatewaytest.Reply, error){
		func() (gatewaytest.Reply, error) { return d.Poll(ctx) },
		func() (gatewaytest.Reply, error) { return d.Handshake(ctx) },
		func() (gatewaytest.Reply, error) { return d.UpdateGUID(ctx) },
	} {
		before := d.GUID()
		r, err := ask()
		wantReply(t, fmt.Sprint("request ", i), r, err, "0")
		if !r.Rotated || d.GUID() == before || b.Signed()["1001"] != d.GUID() {
			t.Errorf("request %d: no new GUID", i)
		}
	}
	// A desktop that missed a new GUID hears of it while the old one is good.
	b.SetTraffic(gatewaytest.Traffic{PollFor: time.Millisecond})
	old := d.GUID()
	now := b.Rotate("1001")
	r, err := d.Poll(ctx)
	wantReply(t, "a poll with the GUID before", r, err, "0")
	if d.GUID() != now || d.GUID() == old {
		t.Error("the desktop does not hear of the new GUID")
	}
}

func TestPollEndsWithTheSession(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	d := b.desktop("1001")
	if _, err := d.SignIn(t.Context(), false, ""); err != nil {
		t.Fatal(err)
	}
	polled := make(chan gatewaytest.Reply, 1)
	go func() {
		r, _ := d.Poll(t.Context())
		polled <- r
	}()
	for { // until the poll is held
		select {
		case r := <-polled:
			if r.Retcode == "0" && r.Event == "AgentOther_ShutdownService" || r.Retcode == "100-008" {
				return
			}
			t.Fatalf("the poll was answered %+v", r)
		case <-time.After(time.Millisecond):
			b.ForceOut("1001")
		}
	}
}

func TestSilentDesktopIsSignedOut(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.SetTraffic(gatewaytest.Traffic{SignOutAfter: time.Nanosecond})
	if _, err := b.desktop("1001").SignIn(t.Context(), false, ""); err != nil {
		t.Fatal(err)
	}
	b.SignIn("1002") // not by a desktop
	if all := b.Signed(); len(all) != 1 || all["1002"] == "" {
		t.Errorf("%d are signed in", len(all))
	}
}

func TestHostileAnswers(t *testing.T) {
	b := start(t, gatewaytest.Options{OldGUIDFor: time.Hour})
	d := b.desktop("1001")
	if _, err := d.SignIn(t.Context(), false, ""); err != nil {
		t.Fatal(err)
	}
	b.SetTraffic(gatewaytest.Traffic{NoRetcode: 1})
	r, err := d.Handshake(t.Context())
	wantReply(t, "without retcode", r, err, "")
	b.SetTraffic(gatewaytest.Traffic{Trouble: 1})
	if r, err = d.Handshake(t.Context()); err != nil || r.Retcode != "000-003" && r.Retcode != "100-006" {
		t.Errorf("trouble: %+v, %v", r, err)
	}
	b.SetTraffic(gatewaytest.Traffic{RotateEvery: time.Nanosecond, LateGUID: time.Millisecond})
	if r, err = d.Handshake(t.Context()); err != nil || !r.Rotated {
		t.Errorf("late GUID: %+v, %v", r, err)
	}
}

func TestDesktopsWork(t *testing.T) {
	b := start(t, gatewaytest.Options{OldGUIDFor: time.Hour})
	b.SetTraffic(gatewaytest.Traffic{PollFor: time.Millisecond, RotateEvery: 5 * time.Millisecond, Cookie: true})
	var agents []string
	for n := range 50 {
		agents = append(agents, strconv.Itoa(1001+n))
	}
	b.client.Transport.(*http.Transport).MaxIdleConnsPerHost = len(agents)
	all := &gatewaytest.Desktops{Agents: agents, URL: b.URL(), Client: b.client, Pause: time.Millisecond}
	if err := all.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.ForceOut("1007")
	until(t, "everybody's GUID was rotated, and 1007 has signed in again", func() bool {
		signIns, rotations := b.Sessions()
		return signIns == 51 && rotations > 200
	})
	all.Stop()
	tally := all.Tally()
	if tally.Failed > 0 || tally.Retcodes["0"] < 200 {
		t.Errorf("%d failed (%v), retcodes %v", tally.Failed, tally.Errors, tally.Retcodes)
	}
	for agent, guid := range b.Signed() {
		if all.Desktop(agent).GUID() != guid {
			t.Errorf("%s has another GUID than the gateway", agent)
		}
	}
}
