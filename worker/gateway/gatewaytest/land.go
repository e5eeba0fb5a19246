package gatewaytest

import (
	"net/http"
	"time"
)

// land decides on a call and gives it its effect. Afterwards it is under way no more: the client that reads the answer
// may call again at once.
func (g *Gateway) land(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now() // with the lock held, so that what took effect later is later
	own := g.verdict(v, now)
	if own == "0" && v.takesEffect() {
		g.agents[v.call.AgentID].flag = v.call.Flag
		v.call.Applied, v.call.AppliedAt = true, now
	}
	g.judge(v, own)
	g.lose(v)
	g.finish(v, now)
}

// verdict is the gateway's own retcode, before any rule; empty: the servlet container answers.
func (g *Gateway) verdict(v *visit, now time.Time) string {
	c := v.call
	if !v.known || c.Method != http.MethodPost {
		return ""
	}
	if !validAgent(c.AgentID) || !validFlag(c.Flag) {
		return "000-002"
	}
	code := g.agents[c.AgentID].admits(&v.carried, now)
	if code == "0" && v.busy {
		return "000-007"
	}
	return code
}

func (v *visit) takesEffect() bool {
	r := v.rule
	return r.Lands || r.late() || !r.swallows() && (r.Retcode == "" || r.Retcode == "0")
}

// judge finds the status and the retcode of the answer.
func (g *Gateway) judge(v *visit, own string) {
	r := v.rule
	switch {
	case r.Status != 0:
		v.status = r.Status
	case r.Fault == Cut || r.Fault == Hang:
		return
	case r.swallows():
		v.status = http.StatusOK
	case r.Retcode != "":
		v.status, v.retcode = http.StatusOK, r.Retcode
	case own != "":
		v.status, v.retcode = http.StatusOK, own
	case !v.known:
		v.status = http.StatusNotFound
	default:
		v.status = http.StatusMethodNotAllowed
	}
}

// lose takes the answer away from a call that arrived before an outage began.
func (g *Gateway) lose(v *visit) {
	if now := g.port.outage(); now != NoOutage && v.outage == NoOutage {
		v.outage, v.call.Fault = now, now.String()
		v.status, v.retcode = 0, ""
	}
}

// leave ends a call that never takes effect because its client, or the gateway, went away.
func (g *Gateway) leave(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.call.Fault = FaultGone
	g.finish(v, time.Now())
}

func (g *Gateway) finish(v *visit, now time.Time) {
	if v.taken {
		g.capacity.underway--
	}
	if a := g.agents[v.call.AgentID]; a != nil && !v.rule.late() {
		a.underway--
	}
	v.call.Done, v.call.Status, v.call.Retcode = now, v.status, v.retcode
	v.record.finish(v.call)
}
