package status

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"sync"
	"time"

	"idlepolicy/messages"
)

// Actions has what people with the token may do on the page. Without it the page is read-only.
type Actions struct {
	Token  string // has to come with each of them; while it is empty none is done
	Pause  func(ctx context.Context) error
	Resume func(ctx context.Context) error
	Replay func(ctx context.Context, agent string) error // the agent's last dead letter, as a new change

	mu    sync.Mutex // guards again
	again time.Time  // no token is looked at before it
}

const (
	// One guess a second is enough for people.
	wrongTokenPause = time.Second
	actionTimeout   = 5 * time.Second
	maxFormBytes    = 4 << 10
)

// allowed checks a token. After a wrong one, all tokens are refused for a moment, which makes guessing useless.
func (a *Actions) allowed(token string, now time.Time) (ok, busy bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Before(a.again) {
		return false, true
	}
	want, got := sha256.Sum256([]byte(a.Token)), sha256.Sum256([]byte(token)) // of one length, as the comparison needs it
	if a.Token == "" || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		a.again = now.Add(wrongTokenPause)
		return false, false
	}
	return true, false
}

// act does what a form of the page asks for, and shows the outcome.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	ok, busy := s.Actions.allowed(r.PostFormValue("token"), time.Now())
	switch {
	case busy:
		s.say(w, http.StatusTooManyRequests, "A wrong token was tried a moment ago. Try again in a second.")
	case !ok:
		s.refused.warn(s.log(), "wrong token", "action refused: wrong token", "what", r.PathValue("verb"), "from", r.RemoteAddr)
		s.say(w, http.StatusForbidden, "The token is not right. Nothing was done.")
	default:
		s.actAllowed(w, r)
	}
}

func (s *Server) actAllowed(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	verb, agent := r.PathValue("verb"), r.PostFormValue("agent")
	var err error
	var done string
	switch {
	case verb == "pause" && s.Actions.Pause != nil:
		err, done = s.Actions.Pause(ctx), "The gate is paused: no call goes out until somebody resumes it."
	case verb == "resume" && s.Actions.Resume != nil:
		err, done = s.Actions.Resume(ctx), "The gate is resumed."
	case verb == "replay" && s.Actions.Replay != nil && messages.ValidAgentID(agent):
		err, done = s.Actions.Replay(ctx, agent), "The last dead letter of agent "+agent+" is published again, as a new change."
	default:
		s.say(w, http.StatusNotFound, "There is no such action.")
		return
	}
	if err != nil {
		s.log().Warn("action failed", "what", verb, "from", r.RemoteAddr, "err", err)
		s.say(w, http.StatusBadGateway, "It could not be done: "+err.Error())
		return
	}
	s.log().Warn("action done on the page", "what", verb, "from", r.RemoteAddr)
	s.say(w, http.StatusOK, done)
}

// say shows one sentence and a link back.
func (s *Server) say(w http.ResponseWriter, code int, sentence string) {
	p := s.sheet("../")
	p.Title, p.Headline = "Idle policy", sentence
	s.write(w, code, "said.html", &p)
}
