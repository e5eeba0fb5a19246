package status

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"idlepolicy/worker/view"
)

func TestReadyReportsWhetherTheProcessTakesPart(t *testing.T) {
	s := newStage().open(t)
	for _, test := range []struct {
		name      string
		role      Role
		connected bool
		code      int
	}{
		{"owner", Role{Role: view.RoleOwner, Owner: "w1"}, true, http.StatusOK},
		{"standby", Role{Role: view.RoleStandby, Owner: "w2"}, true, http.StatusOK},
		{"standby with trouble", Role{Role: view.RoleStandby, Trouble: "permission denied"}, true, http.StatusServiceUnavailable},
		{"starting", Role{Role: view.RoleStarting}, true, http.StatusServiceUnavailable},
		{"owner without a connection", Role{Role: view.RoleOwner}, false, http.StatusServiceUnavailable},
		{"standby without a connection", Role{Role: view.RoleStandby}, false, http.StatusServiceUnavailable},
		{"without a connection, with the reason", Role{Role: view.RoleStandby, Trouble: "connection to NATS lost: EOF"}, false, http.StatusServiceUnavailable},
		{"of a role nobody knows", Role{Role: "king"}, true, http.StatusServiceUnavailable},
	} {
		s.set(func(s *stage) { s.role, s.connected = test.role, test.connected })
		code, header, body := s.get(t, "/readyz")
		if code != test.code || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, want %d: %s", test.name, code, test.code, body)
		}
		var r readiness
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		if r.Ready != (code == http.StatusOK) || r.Role != test.role.Role || r.Owner != test.role.Owner || r.Connected != test.connected {
			t.Errorf("%s: %s", test.name, body)
		}
		if r.Ready == (r.Reason != "") || !strings.Contains(r.Reason, test.role.Trouble) {
			t.Errorf("%s: reason %q", test.name, r.Reason)
		}
	}
}

// Without the sessions nobody can be called, so that a standby without them is none.
func TestNotReadyWhileWhoIsSignedInIsNotKnown(t *testing.T) {
	s := newStage()
	s.server.Sessions = waitingSessions{}
	s.open(t)
	if code, _, body := s.get(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "sessions were not read") {
		t.Errorf("status %d: %s", code, body)
	}
}

// Only an event loop that does not answer is worth a restart.
func TestHealthyUnlessTheEventLoopIsStuck(t *testing.T) {
	healthy := func(s *stage) {
		t.Helper()
		if code, _, body := s.get(t, "/healthz"); code != http.StatusOK || body != "ok\n" {
			t.Errorf("status %d: %s", code, body)
		}
	}
	healthy(newStage().open(t))

	standby := newStage().open(t)
	standby.worker.set(func(a *actor) { a.ok = false })
	standby.set(func(s *stage) { s.role, s.connected = Role{Role: view.RoleStandby, Trouble: "no stream"}, false })
	healthy(standby)

	stuck := newStage()
	stuck.worker.set(func(a *actor) { a.stuck = true })
	stuck.open(t)
	if code, _, body := stuck.get(t, "/healthz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "did not answer") {
		t.Errorf("the event loop is stuck, but status %d: %s", code, body)
	}
}

// An owner that does not know yet who is signed in has not begun, which is no fault of its own.
func TestHealthyWhileWhoIsSignedInIsNotKnown(t *testing.T) {
	s := newStage()
	s.server.Sessions = waitingSessions{}
	s.worker.set(func(a *actor) { a.stuck = true })
	s.open(t)
	if code, _, body := s.get(t, "/healthz"); code != http.StatusOK {
		t.Errorf("status %d: %s", code, body)
	}
}
