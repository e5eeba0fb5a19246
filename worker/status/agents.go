package status

import (
	"context"
	"net/http"
	"regexp"
	"strconv"

	"idlepolicy/messages"
)

// most is how many results one answer has at most.
const (
	most        = 10_000
	defaultLast = 100
	agentLast   = 10
)

// apiAgent answers with all that is known about one agent, as idlectl explain --json does.
func (s *Server) apiAgent(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !messages.ValidAgentID(id) {
		s.fault(w, http.StatusBadRequest, badAgentID)
		return
	}
	last, ok := lastOf(r, agentLast)
	if !ok {
		s.fault(w, http.StatusBadRequest, badLast)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
	defer cancel()
	known, err := s.API.Explain(ctx, id, last)
	if err != nil {
		s.unavailable(w, err)
		return
	}
	s.writeJSON(w, http.StatusOK, known)
}

// badLast explains what last must be.
const badLast = "last: want a whole number from 1 to 10000"

// lastOf parses the parameter last, which has a default.
func lastOf(r *http.Request, otherwise int) (n int, ok bool) {
	text := r.URL.Query().Get("last")
	if text == "" {
		return otherwise, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= most
}

var batchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

const badBatchID = "a batch ID is 1 to 64 letters, digits, - and _"

// apiBatch answers with a batch's summary or progress.
func (s *Server) apiBatch(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !batchID.MatchString(id) {
		s.fault(w, http.StatusBadRequest, badBatchID)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), apiTimeout)
	defer cancel()
	body, err := s.API.Batch(ctx, id)
	switch {
	case err != nil:
		s.unavailable(w, err)
	case body == nil:
		s.fault(w, http.StatusNotFound, "nothing is stored about batch "+id)
	default:
		s.raw(w, body)
	}
}
