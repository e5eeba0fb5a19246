package status

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// site is everything that is known of the site at one moment: what the page shows and /api/status says.
type site struct {
	At       time.Time         `json:"at"`
	Version  string            `json:"version"`
	Name     string            `json:"name"` // of this process
	Self     readiness         `json:"self"`
	Owner    string            `json:"owner"` // empty: none is known
	Replicas []Replica         `json:"replicas"`
	View     *view.View        `json:"view"` // nil: no owner answers
	Sessions signIns           `json:"sessions"`
	Last     []messages.Result `json:"last"`    // the newest first
	Trouble  []messages.Result `json:"trouble"` // the last failed, expired and rejected ones, the newest first
	History  []point           `json:"history"` // of the last 15 minutes
}

// signIns is how many agents are signed in, and since when.
type signIns struct {
	Known bool      `json:"known"` // the others can be believed
	Count int       `json:"count"`
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

func (s *Server) site() site {
	st := site{
		Version: s.Version, Name: s.Name, Self: s.readiness(), Replicas: s.replicas(), Sessions: s.signIns(),
		History: s.history.all(),
	}
	if v, ok := s.siteView(); ok {
		v.Last, v.Trouble = nil, nil // they are below
		st.View = &v
	}
	st.Last, st.Trouble = s.Metrics.results.last(keptResults)
	st.Owner = ownerOf(st.Replicas, st.Self.Owner)
	slices.SortFunc(st.Replicas, func(a, b Replica) int { return strings.Compare(a.Name, b.Name) })
	st.At = time.Now()
	return st
}

// ownerOf believes the owner itself first, then what this process heard.
func ownerOf(all []Replica, heard string) string {
	for _, r := range all {
		if r.Role == RoleOwner {
			return r.Name
		}
	}
	return heard
}

func (s *Server) signIns() signIns {
	if !s.sessionsKnown() {
		return signIns{}
	}
	first, last := s.Sessions.SignIns()
	return signIns{Known: true, Count: s.Sessions.Len(), First: first, Last: last}
}

// apiStatus is the page for programs.
func (s *Server) apiStatus(w http.ResponseWriter, _ *http.Request) {
	s.writeJSON(w, http.StatusOK, s.site())
}

// agentSheet is what is known of one agent.
type agentSheet struct {
	AgentID string            `json:"agent_id"`
	Known   bool              `json:"known"` // the owner answered
	View    view.AgentView    `json:"view"`
	Results []messages.Result `json:"results"` // of those that are kept, the newest first
}

func (s *Server) agentSheet(r *http.Request, id string) agentSheet {
	v, ok := s.agent(r.Context(), id)
	return agentSheet{AgentID: id, Known: ok, View: v, Results: s.Metrics.results.of(id)}
}

func (s *Server) apiAgent(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !messages.ValidAgentID(id) {
		s.writeJSON(w, http.StatusBadRequest, struct {
			Error string `json:"error"`
		}{badAgentID})
		return
	}
	s.writeJSON(w, http.StatusOK, s.agentSheet(r, id))
}

const badAgentID = "an agent ID is 101 to 999999, digits only"
