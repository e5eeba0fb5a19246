package status

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// coverText has the states of coverage in a team leader's words.
var coverText = map[view.CoverState]string{
	view.CoverInForce: "have it", view.CoverDue: "get it now", view.CoverRetrying: "are tried again",
	view.CoverNotSignedIn: "are not signed in", view.CoverFailed: "failed", view.CoverExpired: "came too late",
}

// coverPart is one part of the bar.
type coverPart struct {
	State view.CoverState
	Text  string
	Count int
	X     float64 // where it begins, of barWide
	Wide  float64
}

// barWide is the width of the bar in the units of its SVG.
const barWide = 1000

// covering is the coverage as the page shows it.
type covering struct {
	Total    int
	InForce  int
	Share    string // of the agents that have it
	Parts    []coverPart
	Sentence string // for those who hear the page
	Held     []heldUp
}

// heldUp is one reason why agents do not have their policy.
type heldUp struct {
	Text string
	Link string
}

func newCovering(v *view.View) covering {
	c := covering{Total: v.Coverage.Agents(), InForce: v.Coverage.InForce}
	if c.Total == 0 {
		return c
	}
	c.Share = percentage(c.InForce, c.Total)
	c.Sentence = fmt.Sprintf("%s of %s agents have their policy", count(c.InForce), count(c.Total))
	x := 0.0
	for _, state := range view.CoverStates() {
		n := v.Coverage.Of(state)
		wide := float64(n) * barWide / float64(c.Total)
		c.Parts = append(c.Parts, coverPart{state, coverText[state], n, x, wide})
		x += wide
		if n > 0 && state != view.CoverInForce {
			c.Sentence += fmt.Sprintf(", %s %s", count(n), coverText[state])
		}
	}
	c.Held = heldUps(v)
	return c
}

// percentage returns n as a percentage of all, which is 100 only if it is all of them.
func percentage(n, of int) string {
	if n == of {
		return "100 %"
	}
	percent := min(float64(n)*100/float64(of), 99.9)
	if percent >= 99 {
		return fmt.Sprintf("%.1f %%", percent)
	}
	return fmt.Sprintf("%d %%", int(percent))
}

// heldUps returns why the other agents do not have their policy, the most frequent reason first.
func heldUps(v *view.View) (all []heldUp) {
	c := v.Coverage
	add := func(n int, state view.CoverState, one, many string) {
		if n == 0 {
			return
		}
		text := many
		if n == 1 {
			text = one
		}
		all = append(all, heldUp{count(n) + " " + text, "coverage?state=" + state.String()})
	}
	add(c.NotSignedIn, view.CoverNotSignedIn, "agent is not signed in and gets the policy as soon as it is.",
		"agents are not signed in; each gets the policy as soon as it is.")
	due := "being told right now."
	if v.Gate.State != "open" && v.Gate.Why != "" {
		due = "waiting for the gateway: " + v.Gate.Why + "."
	} else if !v.Estimate.End.IsZero() {
		due = "next in turn, done in about " + lengthText(v.Estimate.End.Sub(v.At)) + "."
	}
	add(c.Due, view.CoverDue, "agent is "+due, "agents are "+due)
	add(c.Retrying, view.CoverRetrying, "agent is tried again after a pause: the gateway did not take the policy.",
		"agents are tried again after a pause: the gateway did not take the policy.")
	add(c.Failed, view.CoverFailed, "agent does not have it: the gateway refused it for good. Somebody has to look at it.",
		"agents do not have it: the gateway refused it for good. Somebody has to look at them.")
	add(c.Expired, view.CoverExpired, "agent does not have it: the change had run out before it could be applied.",
		"agents do not have it: their change had run out before it could be applied.")
	return all
}

// lengthText returns a duration as people say it.
func lengthText(d time.Duration) string {
	switch d = max(d, time.Second); {
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()+0.5))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()+0.5))
	default:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	}
}

// coverList is a page of agents in one state.
type coverList struct {
	Known  bool // an owner answered
	Query  view.CoverageQuery
	Page   view.CoveragePage
	States []coverPart
	CSV    string // the whole list
	Next   string // the next page; empty: this is the last one
}

// rowsOnPage is how many agents one page lists.
const rowsOnPage = 100

// coverageQuery parses the parameters; false: something is wrong with them.
func coverageQuery(values url.Values) (q view.CoverageQuery, ok bool) {
	q = view.CoverageQuery{Prefix: strings.TrimSpace(values.Get("agent")), Batch: values.Get("batch"), After: values.Get("after")}
	ok = strings.Trim(q.Prefix, "0123456789") == "" && len(q.Prefix) <= 6 && (q.Batch == "" || batchID.MatchString(q.Batch)) &&
		(q.After == "" || messages.ValidAgentID(q.After))
	if word := values.Get("state"); word != "" {
		var known bool
		q.State, known = view.ParseCoverState(word)
		ok = ok && known
	}
	if word := values.Get("reason"); word != "" {
		_ = q.Reason.UnmarshalText([]byte(word)) // never fails
		ok = ok && q.Reason != view.Unknown
	}
	return q, ok
}

// link returns the URL of a query.
func coverageLink(page string, q view.CoverageQuery) string {
	values := url.Values{}
	for name, value := range map[string]string{
		"state": q.State.String(), "agent": q.Prefix, "batch": q.Batch, "reason": q.Reason.String(), "after": q.After,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return page + "?" + values.Encode()
}

const badCoverage = "There is no such list: want a state, the first digits of an agent ID, or a batch."

// coveragePage lists the agents in a state.
func (s *Server) coveragePage(w http.ResponseWriter, r *http.Request) {
	p := s.sheet("")
	q, ok := coverageQuery(r.URL.Query())
	if !ok {
		p.Title, p.Headline = "Coverage", badCoverage
		s.write(w, http.StatusBadRequest, "said.html", &p)
		return
	}
	q.Limit = rowsOnPage
	list := coverList{Query: q, CSV: coverageLink("coverage.csv", q)}
	list.Page, list.Known = s.covered(r.Context(), q)
	if n := len(list.Page.Agents); list.Page.More && n > 0 {
		next := q
		next.After = list.Page.Agents[n-1].AgentID
		list.Next = coverageLink("coverage", next)
	}
	if v, ok := s.siteView(); ok {
		list.States = newCovering(&v).Parts
	}
	p.Title, p.Covered, p.At = "Who has the policy", list, time.Now()
	if q.State != view.NotCounted {
		p.Title = "Agents that " + coverText[q.State]
	}
	s.write(w, http.StatusOK, "coverage.html", &p)
}

// coverageCSV sends the whole list, page by page.
func (s *Server) coverageCSV(w http.ResponseWriter, r *http.Request) {
	q, ok := coverageQuery(r.URL.Query())
	if !ok {
		http.Error(w, badCoverage, http.StatusBadRequest)
		return
	}
	q.Limit, q.After = view.MaxCovered, ""
	page, known := s.covered(r.Context(), q)
	if !known {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "no owner answers at the moment", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="coverage.csv"`)
	rows := csv.NewWriter(w)
	_ = rows.Write([]string{"agent_id", "state", "change_id", "batch_id", "flag", "waits_for", "retcode", "message"})
	for {
		for _, a := range page.Agents {
			_ = rows.Write([]string{
				a.AgentID, a.State.String(), cell(a.ChangeID), cell(a.BatchID), cell(a.Flag), a.WaitsFor.String(), cell(a.Retcode), cell(a.Message),
			})
		}
		if !page.More || len(page.Agents) == 0 || rows.Error() != nil {
			break
		}
		q.After = page.Agents[len(page.Agents)-1].AgentID
		if page, known = s.covered(r.Context(), q); !known {
			panic(http.ErrAbortHandler) // the client sees that the list is not whole
		}
	}
	rows.Flush() // a client that went away is not worth a line
}

// cell escapes a text that a spreadsheet would take for a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
