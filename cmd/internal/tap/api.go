package tap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/status/httpauth"
)

// api is for middleware that keeps sessions itself: it writes and deletes records as they are.
type api struct {
	store  Store
	tokens *httpauth.Tokens
	log    *slog.Logger
}

// newTokens returns the tokens of those who may write sessions; nil: nobody may.
func newTokens(c config.Tap, log *slog.Logger) (*httpauth.Tokens, error) {
	if c.WritersFile == "" {
		return nil, nil
	}
	t := &httpauth.Tokens{Path: c.WritersFile, Insecure: c.HTTPInsecure, Log: log}
	if err := t.Load(); err != nil {
		return nil, fmt.Errorf("IDLE_HTTP_WRITERS_FILE=%s: %w", c.WritersFile, err)
	}
	return t, nil
}

// put stores the session record in the body.
func (a *api) put(w http.ResponseWriter, r *http.Request) {
	by, agent, ok := a.admit(w, r)
	if !ok {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostPeeked))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes, or broken off", mostPeeked))
		return
	}
	session, err := messages.DecodeSession(body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error()) // it quotes nothing
		return
	}
	rev, ok := a.write(r.Context(), w, agent, Record{Session: session})
	if !ok {
		return
	}
	a.log.Info("a session was written", "agent", agent, "by", by)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"agent_id\": %q, \"revision\": %d}\n", agent, rev)
}

// delete signs an agent out.
func (a *api) delete(w http.ResponseWriter, r *http.Request) {
	by, agent, ok := a.admit(w, r)
	if !ok {
		return
	}
	if _, ok := a.write(r.Context(), w, agent, Record{Gone: true}); !ok {
		return
	}
	a.log.Info("a session was deleted", "agent", agent, "by", by)
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) admit(w http.ResponseWriter, r *http.Request) (by, agent string, ok bool) {
	w.Header().Set("Cache-Control", "no-store")
	by, err := a.tokens.Check(r)
	if err != nil {
		if refused, ok := errors.AsType[*httpauth.Refused](err); ok {
			refused.Write(w)
		}
		return "", "", false
	}
	if agent = r.PathValue("agent"); !messages.ValidAgentID(agent) {
		refuse(w, http.StatusBadRequest, "an agent ID is 101 to 999999, digits only")
		return "", "", false
	}
	return by, agent, true
}

// mostConflicts is how often a record is written again that somebody else has just written.
const mostConflicts = 5

// write stores a record over whatever is stored.
func (a *api) write(ctx context.Context, w http.ResponseWriter, agent string, rec Record) (rev uint64, ok bool) {
	err := ErrConflict
	for range mostConflicts {
		var had Record
		if had, err = a.store.Get(ctx, agent); err != nil {
			break
		}
		if rec.Gone && !had.live() {
			return had.Rev, true
		}
		rec.Rev = had.Rev
		if rev, err = a.store.Put(ctx, agent, rec); !errors.Is(err, ErrConflict) {
			break
		}
	}
	if err == nil {
		return rev, true
	}
	a.log.Warn("a session that came over HTTP was not stored", "agent", agent, "err", err)
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "the session was not stored; try again")
	return 0, false
}

func refuse(w http.ResponseWriter, code int, why string) {
	body, _ := json.Marshal(map[string]string{"error": why}) // of texts it never fails
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n')) // a client that went away is not worth a line
}
