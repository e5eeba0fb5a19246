package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"idlepolicy/worker/view"
)

// healthz reports whether the process is alive. Only an event loop that does not answer justifies a restart, but not trouble with NATS
// or the gateway, nor waiting to learn who is signed in.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	Process{Program: "idleworker", Site: s.Site}.Sign(w.Header())
	if s.Role().Role == view.RoleOwner && s.sessionsKnown() && s.view().late {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "the event loop did not answer within %s\n", viewTimeout)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readiness is the body of /readyz.
type readiness struct {
	Ready     bool      `json:"ready"`
	Reason    string    `json:"reason"` // why not; empty: it is
	Role      string    `json:"role"`
	Since     time.Time `json:"since,omitzero"`
	Owner     string    `json:"owner"`
	Trouble   string    `json:"trouble"`
	Connected bool      `json:"connected"`
}

// readyz reports whether the process takes part and, if not, why.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	r := s.readiness()
	code := http.StatusOK
	if !r.Ready {
		code = http.StatusServiceUnavailable
	}
	s.writeJSON(w, code, r)
}

func (s *Server) readiness() readiness {
	role, connected := s.Role(), s.Connected()
	reason := whyNot(role, connected, s.sessionsKnown())
	return readiness{
		Ready: reason == "", Reason: reason,
		Role: role.Role, Since: role.Since, Owner: role.Owner, Trouble: role.Trouble, Connected: connected,
	}
}

// whyNot returns why a process does not take part; empty: it does.
func whyNot(role Role, connected, sessionsKnown bool) string {
	switch {
	case !connected && role.Trouble != "":
		return "not connected to NATS: " + role.Trouble
	case !connected:
		return "not connected to NATS"
	case role.Trouble != "":
		return role.Trouble
	case role.Role != view.RoleOwner && role.Role != view.RoleStandby:
		return "neither owner nor standby yet: " + role.Role
	case !sessionsKnown: // nobody could be called
		return "the sessions were not read yet"
	}
	return ""
}

func (s *Server) sessionsKnown() bool {
	select {
	case <-s.Sessions.Ready():
		return true
	default:
		return false
	}
}

func (s *Server) writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		s.log().Error("answer not written", "err", err)
		http.Error(w, "the answer could not be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that went away is not worth a line
}
