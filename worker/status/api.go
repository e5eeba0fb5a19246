package status

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/status/httpauth"
)

// API has the functions behind the HTTP API. Any replica can answer: the functions ask the owner for what only it knows. Their errors
// mean that NATS is not available at the moment, unless they say otherwise.
type API struct {
	Publishers *httpauth.Tokens // who may publish; nil: nobody

	// Publish stores what was posted. Its error is an *Unusable if nothing was published because of the changes themselves.
	Publish func(ctx context.Context, p Post) (Receipt, error)
	// Explain returns what is known about an agent, as idlectl explain --json prints it, with so many of its last results.
	Explain func(ctx context.Context, agent string, last int) (any, error)
	// Batch returns the summary or the progress of a batch, whichever was stored last; nil: nothing is stored about it.
	Batch func(ctx context.Context, id string) ([]byte, error)
	// Results calls each with the selected results, oldest first, as they are stored. It follows until ctx ends if the query says
	// so.
	Results func(ctx context.Context, q ResultQuery, each func(seq uint64, result []byte) error) error
	// LastSeq returns the sequence of the last stored result.
	LastSeq func(ctx context.Context) (uint64, error)
	// Streams returns what the streams show if no owner answers.
	Streams func(ctx context.Context) (any, error)

	small, large, following places
}

// Post is what a publisher sent.
type Post struct {
	Format string // csv, jsonl or json
	Body   []byte
	Key    string // its Idempotency-Key; empty: none
	Source string // of changes that name none
}

// Receipt is the answer to a Post that was stored.
type Receipt struct {
	Stream     string `json:"stream"`
	FirstSeq   uint64 `json:"first_seq"`
	LastSeq    uint64 `json:"last_seq"`
	Changes    int    `json:"changes"`
	Duplicates int    `json:"duplicates"` // messages that the stream had before
}

// Unusable is the error if what was posted cannot be published.
type Unusable struct{ Problems []Problem }

// Problem is one thing that is wrong with what was posted.
type Problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"` // of a CSV file; 0: none in particular
	Field   string `json:"field"`  // empty: none in particular
	Message string `json:"message"`
}

// Error returns the first problem.
func (u *Unusable) Error() string { return u.Problems[0].Message }

// ResultQuery selects results.
type ResultQuery struct {
	Agent    string // empty: all
	Outcomes []messages.Outcome
	Batch    string
	Last     int       // the last so many; 0: as Since or From say
	Since    time.Time // from this instant on
	From     uint64    // from this sequence in the stream of results on
	Follow   bool
}

// How many requests may be under way, and how long each may take.
const (
	manySmall     = 128 // small bodies
	manyLarge     = 4   // bodies that are large, or do not say how long they are
	manyFollowing = 100
	apiTimeout    = 10 * time.Second
)

// places limits how many requests of a kind may be in progress. The zero value is ready for use.
type places struct{ taken chan struct{} }

func newPlaces(n int) places { return places{make(chan struct{}, n)} }

func (p places) enter() bool {
	select {
	case p.taken <- struct{}{}:
		return true
	default:
		return false
	}
}

func (p places) leave() { <-p.taken }

// routes adds what the API serves. Streams end with stop.
func (s *Server) routes(stop context.Context, mux *http.ServeMux) {
	mux.HandleFunc("GET /api/status", s.apiStatus)
	mux.HandleFunc("GET /api/openapi.json", s.apiDescription)
	a := s.API
	if a == nil {
		return
	}
	a.small, a.large, a.following = newPlaces(manySmall), newPlaces(manyLarge), newPlaces(manyFollowing)
	mux.HandleFunc("GET /api/agents/{id}", s.apiAgent)
	mux.HandleFunc("GET /api/batches/{id}", s.apiBatch)
	mux.HandleFunc("GET /api/results", func(w http.ResponseWriter, r *http.Request) { s.apiResults(stop, w, r) })
	if a.Publishers != nil {
		mux.HandleFunc("POST /api/changes", s.apiPublish)
	}
}

// fault answers with a status and one sentence.
func (s *Server) fault(w http.ResponseWriter, code int, sentence string) {
	s.writeJSON(w, code, struct {
		Error string `json:"error"`
	}{sentence})
}

// unavailable answers with status 503.
func (s *Server) unavailable(w http.ResponseWriter, err error) {
	w.Header().Set("Retry-After", "2")
	s.fault(w, http.StatusServiceUnavailable, err.Error())
}

// apiDescription serves the OpenAPI document.
func (s *Server) apiDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(messages.OpenAPI) // a client that went away is not worth a line
}

// raw writes JSON as it is stored.
func (s *Server) raw(w http.ResponseWriter, body []byte) {
	s.writeJSON(w, http.StatusOK, json.RawMessage(body))
}
