package gatewaytest

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Traffic says how the gateway treats the requests of desktops: sign-in, poll, heartbeat and sign-out. The zero value is
// static authentication without any trouble.
type Traffic struct {
	PollFor      time.Duration // how long a poll without an event is held; default 10 s
	RotateEvery  time.Duration // dynamic authentication: the age at which a GUID is replaced; 0: never
	SignOutAfter time.Duration // an agent whose desktop sends nothing for so long is signed out; 0: never
	Cookie       bool          // sign-in sets a balancer's cookie, which must come back with every request

	// What the vendor does not document, but balancers, failovers and slow networks do. Shares are of polls and heartbeats.
	LateGUID  time.Duration // an answer with a new GUID comes so much later, and others overtake it
	NoRetcode float64       // this share is answered with a JSON text without a retcode
	Trouble   float64       // this share is answered 000-003 or 100-006 although the GUID is good
}

// SetTraffic changes how desktops are treated from now on.
func (g *Gateway) SetTraffic(t Traffic) {
	if t.PollFor == 0 {
		t.PollFor = 10 * time.Second
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.traffic = t
}

// request is one of the six requests of a desktop.
type request int

const (
	notDesktops request = iota
	signIn
	forceLogin
	poll
	handshake
	updateGUID
	signOut
)

const beforePoll = "/agentgateway/resource/agentevent/"

// desktopRequest tells a desktop's request from all others. The agent's ID need not be usable.
func desktopRequest(method, path string) (request, string) {
	if id, ok := strings.CutPrefix(path, beforePoll); ok && method == http.MethodGet && !strings.Contains(id, "/") {
		return poll, id
	}
	rest, ok := strings.CutPrefix(path, beforeAgent)
	if !ok {
		return notDesktops, ""
	}
	id, verb, _ := strings.Cut(rest, "/")
	if number, ok := strings.CutPrefix(verb, "forcelogoutwithreason/"); ok && number != "" && !strings.Contains(number, "/") {
		verb = "forcelogoutwithreason"
	}
	return verbs[method+" "+verb], id
}

var verbs = map[string]request{
	"PUT ":                         signIn,
	"PUT forcelogin":               forceLogin,
	"POST handshake":               handshake,
	"PUT updateGuid":               updateGUID,
	"DELETE logout":                signOut,
	"DELETE forcelogout":           signOut,
	"DELETE forcelogoutwithreason": signOut,
}

// reply is the gateway's answer to a desktop.
type reply struct {
	retcode string
	guid    string // in Set-GUID
	cookie  string // in Set-Cookie
	result  any
	event   any // only polls have one
	late    time.Duration
	bare    bool // without a retcode
}

// maxBody bounds what is read of a sign-in.
const maxBody = 64 << 10

func (g *Gateway) serveDesktop(w http.ResponseWriter, r *http.Request, what request, agentID string) {
	if !g.enter() {
		cutOff(r)
		return
	}
	defer g.work.Done()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	switch outage := g.port.outage(); {
	case err != nil || outage == Hanging:
		g.hang(r)
		return
	case outage != NoOutage:
		cutOff(r)
		return
	}
	c := carriedBy(r.Header)
	var a reply
	switch {
	case !validAgent(agentID):
		a = reply{retcode: "000-002"}
	case what == signIn || what == forceLogin:
		a = g.signInOf(agentID, body, what == forceLogin)
	case what == poll:
		a = g.pollOf(r, agentID, &c)
	default:
		a = g.requestOf(what, agentID, &c)
	}
	if g.wait(a.late, r.Context().Done()) || a.late == 0 {
		a.write(w, what == poll)
	}
}

// enter is false where the gateway is closed.
func (g *Gateway) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.work.Add(1)
	return true
}

func (a *reply) write(w http.ResponseWriter, isPoll bool) {
	h := w.Header()
	h["Content-Type"] = jsonType
	if a.guid != "" {
		h["Set-Guid"] = []string{"JSESSIONID=" + a.guid}
	}
	if a.cookie != "" {
		h["Set-Cookie"] = []string{a.cookie + "; Path=/; HttpOnly"}
	}
	text := map[string]any{"message": messageOf(a.retcode), "retcode": a.retcode}
	if a.bare {
		delete(text, "retcode")
	}
	if isPoll {
		text["event"] = a.event
	}
	if a.result != nil {
		text["result"] = a.result
	}
	_ = json.NewEncoder(w).Encode(text) // the client may be gone: nobody is left to tell
}

// signInOf is strict about the body: it must be a JSON object.
func (g *Gateway) signInOf(agentID string, body []byte, force bool) reply {
	var wish struct {
		AutoEnterIdle *bool `json:"autoenteridle"`
	}
	if json.Unmarshal(body, &wish) != nil {
		return reply{retcode: "100-001"}
	}
	guid := newGUID()
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	a := g.agent(agentID)
	a.expire(g.traffic.SignOutAfter, now)
	if a.guid != "" && !force {
		return reply{retcode: "100-002"}
	}
	a.begin(guid)
	a.rotated, a.heard = now, now
	if wish.AutoEnterIdle != nil && !*wish.AutoEnterIdle {
		a.flag = "false"
	}
	answer := reply{retcode: "0", guid: guid, result: map[string]any{}}
	if g.traffic.Cookie {
		a.cookie = "node=" + guid[:8]
		answer.cookie = a.cookie
	}
	g.signIns++
	return answer
}

// requestOf is all but a sign-in, and the beginning of a poll.
func (g *Gateway) requestOf(what request, agentID string, c *carried) reply {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	a := g.agent(agentID)
	a.expire(g.traffic.SignOutAfter, now)
	if code := a.admits(c, now); code != "0" {
		return reply{retcode: code}
	}
	a.heard = now
	switch what {
	case updateGUID:
		guid := newGUID()
		g.replace(a, guid, now)
		return reply{retcode: "0", result: map[string]any{"guid": guid}}
	case signOut:
		a.end()
		return reply{retcode: "0"}
	default:
		return g.heartbeat(a, c.guid, now)
	}
}

// heartbeat rotates a GUID that is old enough. A desktop that still shows the one before hears of the new one again: the
// first answer may never have reached it.
func (g *Gateway) heartbeat(a *agent, shown string, now time.Time) reply {
	switch chance := g.random.Float64(); {
	case chance < g.traffic.Trouble:
		return reply{retcode: [...]string{"000-003", "100-006"}[rand.IntN(2)]}
	case chance < g.traffic.Trouble+g.traffic.NoRetcode:
		return reply{bare: true}
	}
	every := g.traffic.RotateEvery
	if every > 0 && now.Sub(a.rotated) >= every {
		g.replace(a, newGUID(), now)
	}
	if shown == a.guid {
		return reply{retcode: "0"}
	}
	return reply{retcode: "0", guid: a.guid, late: g.traffic.LateGUID}
}

// replace gives the session a new GUID, with mu held.
func (g *Gateway) replace(a *agent, guid string, now time.Time) {
	a.retire(now.Add(g.options.OldGUIDFor))
	a.guid, a.rotated = guid, now
	g.rotations++
}

// pollOf holds a poll until there is an event or its time is over. A new GUID comes at its end.
func (g *Gateway) pollOf(r *http.Request, agentID string, c *carried) reply {
	g.mu.Lock()
	now := time.Now()
	a, hold := g.agent(agentID), g.traffic.PollFor
	a.expire(g.traffic.SignOutAfter, now)
	code := a.admits(c, now)
	if code == "0" {
		a.heard = now
	}
	ended := a.ended
	g.mu.Unlock()
	if code != "0" {
		return reply{retcode: code}
	}
	timer := time.NewTimer(hold)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return reply{bare: true}
	case <-g.done:
		return reply{bare: true}
	case <-ended:
		return reply{retcode: "0", event: map[string]any{"eventType": "AgentOther_ShutdownService", "workNo": agentID}}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now = time.Now()
	if a.ended != ended { // signed out, or in again, just now
		return reply{retcode: a.admits(c, now)}
	}
	a.heard = now
	return g.heartbeat(a, c.guid, now)
}

// ForceOut signs an agent out as somebody else's force-login or a supervisor does: polls that are held learn of it, later
// requests are answered 100-008.
func (g *Gateway) ForceOut(agentID string) { g.SignOut(agentID) }

// Signed returns the GUID of every agent that is signed in: what a registry has to hold.
func (g *Gateway) Signed() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	all := map[string]string{}
	for id, a := range g.agents {
		if a.expire(g.traffic.SignOutAfter, now); a.guid != "" {
			all[id] = a.guid
		}
	}
	return all
}

// Sessions returns how many sign-ins by desktops and rotations there were.
func (g *Gateway) Sessions() (signIns, rotations int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.signIns, g.rotations
}
