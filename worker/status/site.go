package status

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// site is everything that is known about the site at one moment, for the page and /api/status. The first fields are those of idlectl
// status --json.
type site struct {
	At       time.Time      `json:"at"`
	Owner    string         `json:"owner"`   // empty: none is known
	Why      string         `json:"trouble"` // why there is no view; empty: there is one
	Replicas []view.Replica `json:"replicas"`
	View     *view.View     `json:"view"`    // nil: no owner answers
	Streams  any            `json:"streams"` // what the streams show if no owner answers; otherwise nil

	Version  string            `json:"version"`
	Name     string            `json:"name"` // of this process
	Self     readiness         `json:"self"`
	Sessions signIns           `json:"sessions"`
	Last     []messages.Result `json:"last"`     // the newest first
	Trouble  []messages.Result `json:"failures"` // the last failed, expired and rejected ones, the newest first
	History  []point           `json:"history"`  // of the last 15 minutes
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
	slices.SortFunc(st.Replicas, func(a, b view.Replica) int { return strings.Compare(a.Name, b.Name) })
	st.At = time.Now()
	return st
}

// ownerOf returns the owner, as the owner itself says or, if it does not answer, as this process last heard.
func ownerOf(all []view.Replica, heard string) string {
	for _, r := range all {
		if r.Role == view.RoleOwner {
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
func (s *Server) apiStatus(w http.ResponseWriter, r *http.Request) {
	st := s.site()
	if st.View == nil {
		st.Why = "no owner answers: changes wait until a replica takes over"
		if s.API != nil {
			ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
			defer cancel()
			if streams, err := s.API.Streams(ctx); err == nil {
				st.Streams = streams
			}
		}
	}
	s.writeJSON(w, http.StatusOK, st)
}

// agentSheet is what is known about one agent.
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

const badAgentID = "an agent ID is 101 to 999999, digits only"
