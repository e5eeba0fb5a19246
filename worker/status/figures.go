package status

import (
	"html/template"
	"strings"
	"time"

	"idlepolicy/worker/view"
)

// figure is a value on the page with its explanation.
type figure struct {
	ID      string
	Label   string
	Value   template.HTML
	Note    string
	Meaning string
	Alarm   bool
}

func text(s string) template.HTML { return template.HTML(template.HTMLEscapeString(s)) }

func gateFigures(v *view.View) []figure {
	g := v.Gate
	state := figure{
		ID: "gate-state", Label: "Gate", Value: text(gateWord(g.State)), Note: g.Why, Alarm: g.State != "open",
		Meaning: "Every call to the gateway passes the gate. Open: calls go out at the rate. Slowed: the gateway asked for " +
			"fewer. Probing: it does not answer as it should, so only single calls try it. Shut: it named a time to wait. " +
			"Paused: an operator said so.",
	}
	all := []figure{
		state,
		{
			ID: "gate-rate", Label: "Rate now", Value: text(rateNow(g)),
			Meaning: "Calls per second that the gate lets through at this moment.",
		},
		{
			ID: "gate-limit", Label: "Limit", Value: text(limit(g.Limit)), Note: whoSet(g),
			Meaning: "Calls per second that the configuration allows, or an operator in its place (idlectl rate). The gate " +
				"never lets more through.",
		},
		{
			ID: "gate-holding", Label: "Held back by", Value: text(holdingText(heldBy(v))),
			Meaning: "What keeps the next call from going out at once. The limit: as many go out as are allowed. Calls in " +
				"flight: so many are not answered yet that the next one waits. A slow start: the gate has just opened.",
		},
		{
			ID: "gate-in-flight", Label: "In flight", Value: text(count(g.InFlight)),
			Meaning: "Calls that were sent and are not answered yet; never more than one for an agent.",
		},
	}
	if g.Reach > 0 && g.Limit > 0 && g.Reach < g.Limit {
		all = append(all, figure{
			ID: "gate-reach", Label: "Within reach", Value: text(perSecond(g.Reach)), Alarm: true,
			Meaning: "Calls per second that are possible at most: each takes as long as the gateway needs, and only so many " +
				"may be under way (IDLE_MAX_IN_FLIGHT). The limit is higher and cannot be reached.",
		})
	}
	if !g.Until.IsZero() {
		all = append(all, figure{
			ID: "gate-until", Label: "Next call", Value: ago(g.Until), Alarm: true,
			Meaning: "No call goes out before this time.",
		})
	}
	return all
}

// rateNow returns what the gate lets through. Behind a closed one is the rate with which calls continue.
func rateNow(g view.GateState) string {
	if g.State == "open" || g.State == "slowed" {
		return limit(g.Rate)
	}
	return "none, then " + limit(g.Rate)
}

// whoSet says who set the limit, if it is not the configured one.
func whoSet(g view.GateState) string {
	if g.ByOperator {
		return "set by an operator"
	}
	return ""
}

// heldBy returns what holds back due calls. The gate remembers the last reason, which may be over by now.
func heldBy(v *view.View) string {
	if v.Due == 0 {
		return ""
	}
	return v.Gate.Holding
}

// holdingText says what holds back due calls.
func holdingText(what string) string {
	switch what {
	case "":
		return "nothing"
	case "rate":
		return "the limit"
	case "in_flight":
		return "calls in flight"
	case "paused":
		return "an operator"
	case "lease":
		return "ownership that must be confirmed"
	case "retry_after":
		return "the gateway's wish"
	case "breaker":
		return "faults"
	case "slowed":
		return "the gateway's load"
	case "ramp":
		return "a slow start"
	default:
		return what
	}
}

func gateWord(state string) string {
	if state == "slowed" {
		return "open, slowed"
	}
	return state
}

func workFigures(v *view.View) []figure {
	all := []figure{
		{
			ID: "due", Label: "Due", Value: text(count(v.Due)),
			Meaning: "Changes that are ready and wait for their turn at the gate.",
		},
		timeLeft(v.Estimate),
		{
			ID: "retrying", Label: "Retrying", Value: text(count(v.Retrying)), Alarm: v.Retrying > 0,
			Meaning: "Changes that pause before another attempt, because of what the gateway answered.",
		},
		{
			ID: "not-signed-in", Label: "Not signed in", Value: text(count(v.NotSignedIn)),
			Meaning: "Changes that wait until their agent has signed in. They cost no calls and no attempts.",
		},
		{
			ID: "later", Label: "Later", Value: text(count(v.Later)),
			Meaning: "Changes whose effective_at has not come yet.",
		},
		{
			ID: "held", Label: "Held", Value: text(count(v.Held)),
			Meaning: "Changes that wait for something else of their agent: an older ending, a pause in newer changes, or a call of the previous owner.",
		},
		{
			ID: "storing", Label: "Storing", Value: text(count(v.Storing)),
			Meaning: "Results that are on their way to their stream. More than a moment's worth means that NATS is slow.",
		},
		{
			ID: "unfinished", Label: "Unfinished messages", Value: text(count(v.Unfinished)),
			Meaning: "Messages that stay in the stream of changes until all their changes have ended.",
		},
	}
	if !v.OldestDue.IsZero() {
		all = append(all, figure{
			ID: "oldest-due", Label: "Oldest due", Value: ago(v.OldestDue),
			Meaning: "When the oldest change that is still waiting for its turn took effect.",
		})
	}
	if !v.Oldest.IsZero() {
		all = append(all, figure{
			ID: "oldest", Label: "Oldest unfinished", Value: ago(v.Oldest),
			Meaning: "When the oldest message with an unfinished change was published. It may rightly be old: its agents " +
				"may not be signed in, or its time has not come.",
		})
	}
	return all
}

func timeLeft(e view.Estimate) figure {
	f := figure{
		ID: "time-left", Label: "Done", Value: text("nothing is due"),
		Meaning: "When all that is due now will have been sent, at the rate that the gate lets through now.",
	}
	switch {
	case e.Due == 0:
	case e.End.IsZero():
		f.Value = text("not known")
	default:
		f.Value = ago(e.End)
	}
	if e.Missed > 0 {
		f.Note, f.Alarm = count(e.Missed)+" will be too late for their valid_until", true
	}
	return f
}

func sessionFigures(in signIns) []figure {
	signed := figure{
		ID: "signed-in", Label: "Signed in", Value: text("not known yet"),
		Meaning: "Agents with a session in the registry. Only they can be told a policy.",
	}
	if !in.Known {
		return []figure{signed}
	}
	signed.Value = text(count(in.Count))
	return []figure{
		signed,
		{
			ID: "last-sign-in", Label: "Last sign-in", Value: sometime(in.Last),
			Meaning: "The latest signed_in_at of all sessions. If it is old during a shift change, whoever fills the " +
				"registry may have stopped.",
		},
		{
			ID: "first-sign-in", Label: "Oldest session", Value: sometime(in.First),
			Meaning: "The earliest signed_in_at of all sessions. If it is days old, sessions may not be deleted at sign-out.",
		},
	}
}

func sometime(t time.Time) template.HTML {
	if t.IsZero() {
		return "not said"
	}
	return ago(t)
}

// batchLine is a batch under way.
type batchLine struct {
	view.BatchView
	Ended int
	Parts string // what its changes ended as
}

func batchLines(v *view.View) (all []batchLine, hidden int) {
	n := min(len(v.Batches), shownBatches)
	for _, b := range v.Batches[:n] {
		p := b.Progress
		var parts []string
		for _, part := range []struct {
			n    int
			what string
		}{
			{p.Applied, "applied"}, {p.Superseded, "superseded"}, {p.Expired, "expired"}, {p.Rejected, "rejected"}, {p.Failed, "failed"},
		} {
			if part.n > 0 {
				parts = append(parts, count(part.n)+" "+part.what)
			}
		}
		all = append(all, batchLine{b, p.Ended(), strings.Join(parts, ", ")})
	}
	return all, len(v.Batches) - n + v.MoreBatches
}

// waitLine is a change that waits.
type waitLine struct {
	view.Wait
	Why  string
	Said string // what came of the last call
}

func waitLines(v *view.View) (all []waitLine, hidden int) {
	n := min(len(v.Waits), shownWaits)
	for _, w := range v.Waits[:n] {
		all = append(all, waitLine{w, whyText(w.Change), lastCallText(w.Change)})
	}
	return all, max(0, v.Changes-v.Waiting.Of(view.Gate, view.Answer, view.Storing)-n)
}

// whyText says what a change waits for; the time of Next follows it if there is one.
func whyText(c view.ChangeView) string {
	if c.WaitsFor == view.Retry {
		return "pauses after an attempt; the next one"
	}
	return c.WaitsFor.Sentence()
}

// lastCallText describes the outcome of the last call for a change.
func lastCallText(c view.ChangeView) string {
	if c.Fault != "" {
		return c.Fault
	}
	return saidText(c.Retcode, c.Message)
}

func saidText(retcode, message string) string {
	switch {
	case retcode == "":
		return message
	case message == "":
		return retcode
	default:
		return retcode + ": " + message
	}
}
