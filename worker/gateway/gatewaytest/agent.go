package gatewaytest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// agent is what the gateway knows of one agent.
type agent struct {
	guid     string // empty: not signed in
	flag     string
	seen     bool // has been signed in
	cookie   string
	retired  []string      // GUIDs that were this agent's, the last one at the end
	oldUntil time.Time     // until then the last retired one is still good
	underway int           // calls
	rotated  time.Time     // the GUID is as old as that
	heard    time.Time     // a desktop sent something; zero: it was signed in by a test
	ended    chan struct{} // closed when the session ends; nil: there never was one
	header   carried       // of the last call
	shown    http.Header
}

// retiredMost bounds what is remembered of an agent in a long run with many rotations.
const retiredMost = 8

// SignIn begins a new session and returns its GUID. It resets the flag to "true"; the GUID of a session before it dies.
func (g *Gateway) SignIn(agentID string) (guid string) {
	guid = newGUID()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.agent(agentID).begin(guid)
	return guid
}

// begin begins a new session, with the gateway's lock held.
func (a *agent) begin(guid string) {
	a.end()
	a.guid, a.flag, a.seen = guid, "true", true
	a.ended, a.rotated, a.heard = make(chan struct{}), time.Now(), time.Time{}
}

// end ends the session, if there is one, with the gateway's lock held.
func (a *agent) end() {
	if a.guid == "" {
		return
	}
	a.retire(time.Time{})
	a.guid, a.flag = "", ""
	close(a.ended)
}

// expire ends the session of a desktop that has sent nothing for so long.
func (a *agent) expire(after time.Duration, now time.Time) {
	if after > 0 && !a.heard.IsZero() && now.Sub(a.heard) > after {
		a.end()
	}
}

// Rotate gives the agent's session a new GUID, as dynamic authentication does every minute. The old one is good for
// Options.OldGUIDFor more. Of an agent who is not signed in it returns "".
func (g *Gateway) Rotate(agentID string) (guid string) {
	guid = newGUID()
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.agent(agentID)
	if a.guid == "" {
		return ""
	}
	a.retire(time.Now().Add(g.options.OldGUIDFor))
	a.guid, a.rotated = guid, time.Now()
	return guid
}

// SignOut ends the agent's session.
func (g *Gateway) SignOut(agentID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.agent(agentID).end()
}

// RequireCookie makes the agent's calls need a cookie, as behind some load balancers: "name=value". Empty: none.
func (g *Gateway) RequireCookie(agentID, cookie string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.agent(agentID).cookie = cookie
}

// Flag returns the agent's flag, as it was sent: exactly "true" means idle after a call, all else means wrap-up. It is
// not ok where the agent is not signed in.
func (g *Gateway) Flag(agentID string) (flag string, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, known := g.agents[agentID]
	if !known || a.guid == "" {
		return "", false
	}
	return a.flag, true
}

// agent returns what is known of an agent, with mu held.
func (g *Gateway) agent(agentID string) *agent {
	a, ok := g.agents[agentID]
	if !ok {
		a = &agent{}
		g.agents[agentID] = a
	}
	return a
}

func (a *agent) retire(goodUntil time.Time) {
	if a.guid == "" {
		return
	}
	if len(a.retired) == retiredMost {
		a.retired = slices.Delete(a.retired, 0, 1)
	}
	a.retired, a.oldUntil = append(a.retired, a.guid), goodUntil
}

// admits returns the retcode that the agent's call gets for its credentials: "0" if they are good.
func (a *agent) admits(c *carried, now time.Time) string {
	switch old := slices.Index(a.retired, c.guid); {
	case !a.seen:
		return "100-006"
	case a.guid == "":
		return "100-008"
	case c.guid == a.guid || old >= 0 && old == len(a.retired)-1 && now.Before(a.oldUntil):
	case old >= 0:
		return "100-006"
	default:
		return "000-003"
	}
	if a.cookie != "" && !slices.Contains(strings.Split(c.cookie, "; "), a.cookie) {
		return "100-006"
	}
	return "0"
}

func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x.AgentGateway1", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
