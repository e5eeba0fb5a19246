package status

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

// clock renders a time of day. The script converts it to the reader's time zone.
func clock(t time.Time) template.HTML { return timeElement(t, "clock", "") }

// ago renders a time that the script shows as the time since or until then.
func ago(t time.Time) template.HTML { return timeElement(t, "ago", "") }

// lasting renders the time since when something is so; the script shows for how long.
func lasting(t time.Time) template.HTML { return timeElement(t, "lasting", "since ") }

func timeElement(t time.Time, show, before string) template.HTML {
	if t.IsZero() {
		return ""
	}
	// All of it is made of digits, letters and signs that mean nothing in HTML.
	return template.HTML(`<time datetime="` + t.UTC().Format(time.RFC3339) + `" data-show="` + show + `">` + before + utc(t) + `</time>`)
}

// utc renders a time for browsers without scripts.
func utc(t time.Time) string {
	t = t.UTC()
	if time.Since(t).Abs() < 12*time.Hour {
		return t.Format("15:04:05 UTC")
	}
	return t.Format("2006-01-02 15:04 UTC")
}

// count renders a number with separated thousands.
func count(n int) string {
	digits := strconv.Itoa(max(n, -n))
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	text := strings.Join(append([]string{digits}, groups...), ",")
	if n < 0 {
		return "-" + text
	}
	return text
}

// perSecond renders a rate; 0: there is none.
func perSecond(rate float64) string {
	if rate >= 100 {
		return count(int(rate+0.5)) + "/s"
	}
	return strconv.FormatFloat(float64(int(rate*10+0.5))/10, 'f', -1, 64) + "/s"
}

// limit renders a limit of the rate.
func limit(rate float64) string {
	if rate == 0 {
		return "no limit"
	}
	return perSecond(rate)
}

// details renders what a result says besides its outcome.
func details(r messages.Result) string {
	var parts []string
	if said := saidText(r.Retcode, r.Message); said != "" {
		parts = append(parts, said)
	}
	if r.SupersededBy != "" {
		parts = append(parts, "by "+r.SupersededBy)
	}
	if r.BatchID != "" {
		parts = append(parts, "batch "+r.BatchID)
	}
	if r.Attempts > 1 {
		parts = append(parts, count(r.Attempts)+" attempts")
	}
	return strings.Join(parts, " · ")
}

// outcomeSign returns a sign for an outcome, for people who cannot distinguish colours.
func outcomeSign(o messages.Outcome) string {
	switch o {
	case messages.Applied, messages.Reapplied:
		return "✓"
	case messages.Failed, messages.Rejected, messages.Expired:
		return "✕"
	case messages.Superseded:
		return "↷"
	case messages.Waiting:
		return "…"
	}
	return ""
}

// headline describes the site in one or two sentences. Screen readers read it aloud when it changes, so it has no figures.
func headline(st *site) string {
	const nobody = "Nobody is the owner: changes wait until a replica takes over."
	switch {
	case st.Self.Connected && st.Self.Role == view.RoleStandby && st.View == nil && st.Owner == "" && st.Self.Trouble != "":
		return nobody + " This replica reports: " + st.Self.Trouble + "."
	case st.Self.Trouble != "":
		return "This replica takes no part: " + st.Self.Trouble + "."
	case !st.Self.Connected:
		return "This replica is not connected to NATS. What it shows may be old."
	case st.View == nil && st.Owner == "":
		return nobody
	case st.View == nil:
		return fmt.Sprintf("%s is the owner, but does not answer.", st.Owner)
	}
	return fmt.Sprintf("%s is the owner. %s", st.Owner, gateSentence(st.View.Gate.State, st.View.Gate.Why))
}

func gateSentence(state, why string) string {
	switch state {
	case "open":
		return "The gate is open."
	case "slowed":
		return "The gate is open, but slowed: " + why + "."
	case "paused":
		return "The gate is paused: " + why + "."
	case "probing":
		return "The gate is shut and probes: " + why + "."
	default:
		return "The gate is shut: " + why + "."
	}
}
