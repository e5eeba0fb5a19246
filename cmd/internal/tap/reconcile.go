package tap

import (
	"slices"
	"time"

	"idlepolicy/messages"
)

// reconcile compares what the tap knows of an agent with the record that is stored, and decides which of them holds. If it
// is the tap's own, the agent is dirty afterwards.
func (r *Registry) reconcile(a *agent, rec *Record) {
	a.known, a.rev = true, rec.Rev
	if a.claim != nil {
		r.settle(a, rec)
		return
	}
	switch a.state {
	case unknown: // the tap was started, and looks at what it finds
		if a.dirty = false; rec.live() && !rec.Since.IsZero() {
			r.adopt(a, rec)
		}
	case gone:
		if a.dirty = rec.live(); a.dirty && a.isLater(rec) {
			a.dirty = false
			r.adopt(a, rec)
			r.touch(a)
		}
	case present:
		r.compare(a, rec)
	}
}

// isLater reports whether a stored session began, or got its GUID, after the agent's had ended here. Silence here says
// nothing about a GUID that another tap has seen.
func (a *agent) isLater(rec *Record) bool {
	if rec.Session.SignedInAt.After(a.since) {
		return true
	}
	known := a.current(rec.Session.GUID) || a.follows(rec)
	return !known && (a.why == Silences || rec.Since.After(a.since))
}

// compare decides about a session that this tap knows well.
func (r *Registry) compare(a *agent, rec *Record) {
	switch {
	case a.hasEnded(rec):
		a.dirty, a.state, a.since = false, gone, rec.at()
	case !rec.live():
		a.dirty = true
	case a.current(rec.Session.GUID):
		s := &a.session
		if s.SignedInAt.Before(rec.Session.SignedInAt) {
			s.SignedInAt = rec.Session.SignedInAt
		}
		if len(s.Cookies) == 0 {
			s.Cookies = rec.Session.Cookies
		}
		if s.GatewayURL == "" {
			s.GatewayURL = rec.Session.GatewayURL
		}
		a.assumed = a.assumed && !rec.isCertain()
		a.dirty = !s.SameAs(rec.Session) || a.assumed != rec.Assumed
	case a.isNewer(rec):
		a.dirty = true
		mine, theirs := a.session.SignedInAt, rec.Session.SignedInAt
		if mine.Before(theirs) && (a.follows(rec) || !a.isComparable(rec) && !isFuture(theirs)) {
			a.session.SignedInAt = theirs
		}
	default:
		mine, same := a.session.SignedInAt, a.precedes(rec) || !a.isComparable(rec)
		r.adopt(a, rec)
		if a.dirty = same && rec.Session.SignedInAt.Before(mine); a.dirty {
			a.session.SignedInAt = mine
		}
	}
}

// follows and precedes report what is known for certain: that one GUID came in the place of the other.
func (a *agent) follows(rec *Record) bool { return slices.Contains(a.old, markOf(rec.Session.GUID)) }

func (a *agent) precedes(rec *Record) bool {
	return slices.Contains(rec.Retired, markOf(a.session.GUID).String())
}

// isComparable reports whether the sign-ins tell which of two sessions is newer: both were seen.
func (a *agent) isComparable(rec *Record) bool {
	return !a.assumed && !a.session.SignedInAt.IsZero() && rec.isCertain()
}

// clockSlack is how far ahead of this machine's clock another's may be. A sign-in from further in the future is a mistake,
// and must not keep later ones out.
const clockSlack = time.Minute

func isFuture(signedInAt time.Time) bool { return signedInAt.After(time.Now().Add(clockSlack)) }

// isNewer reports whether the agent's GUID here is newer than another one that is stored.
func (a *agent) isNewer(rec *Record) bool {
	mine, theirs := a.session.SignedInAt, rec.Session.SignedInAt
	switch {
	case isFuture(theirs):
		return true
	case a.precedes(rec):
		return false
	case a.follows(rec):
		return true
	case a.isComparable(rec) && !mine.Equal(theirs):
		return mine.After(theirs)
	}
	return a.since.After(rec.at())
}

// settle decides about a GUID that the gateway accepted and this tap did not know. The tap that gave it to the desktop may have
// been killed before it stored it, so it belongs to the last sign-in that is known, unless the agent has signed out since.
func (r *Registry) settle(a *agent, rec *Record) {
	c := a.claim
	a.claim = nil
	var before messages.Session // that the GUID belongs to
	mine := a.state == present && !a.hasEnded(rec)
	switch {
	case mine && (!rec.live() || rec.Session.SignedInAt.Before(a.session.SignedInAt)):
		before = a.session
	case rec.live():
		before = rec.Session
	}
	switch {
	case rec.live() && rec.Session.GUID == c.guid:
		r.adopt(a, rec)
		a.proven, a.dirty = c.proven, !before.SignedInAt.Equal(rec.Session.SignedInAt)
		a.session.SignedInAt = before.SignedInAt
		return
	case rec.live() && c.link != "" && rec.Session.GUID == c.link:
		r.adopt(a, rec)
		r.replace(a, c.guid, c.at)
		a.session.SignedInAt, a.session.Cookies = before.SignedInAt, merged(a.session.Cookies, c.cookies)
		r.Count(Rotations)
	case slices.Contains(rec.Retired, markOf(c.guid).String()), rec.Rev > 0 && rec.at().After(c.proven):
		// It is older than what is stored: an answer that was under way for long.
		r.outdated(a, rec)
		return
	default:
		r.replace(a, c.guid, c.at)
		if a.session = before; before.GUID == "" { // nobody knows since when
			r.Count(Adoptions)
		} else {
			r.Count(Rotations)
		}
		a.assumed = true
		if a.session.GUID = c.guid; len(c.cookies) > 0 {
			a.session.Cookies = c.cookies
		}
	}
	if c.link != "" {
		a.old = append(a.old, markOf(c.link))
		r.owners[markOf(c.link)] = a
	}
	a.state, a.proven, a.dirty = present, c.proven, true
	a.version++
}

// hasEnded reports whether somebody has deleted the record after the last sign of this tap's session.
func (a *agent) hasEnded(rec *Record) bool {
	return rec.Gone && rec.at().After(later(a.since, a.proven))
}

// outdated drops a claim: what is stored holds, or what the tap knew before.
func (r *Registry) outdated(a *agent, rec *Record) {
	switch {
	case a.state == present:
		r.compare(a, rec)
	case rec.live():
		a.dirty = false
		r.adopt(a, rec)
	default:
		a.dirty, a.state, a.since = false, gone, rec.at()
	}
}

// adopt makes the stored session the agent's.
func (r *Registry) adopt(a *agent, rec *Record) {
	if was := a.session.GUID; was != "" && was != rec.Session.GUID {
		// If the desktop keeps showing it, it is not old: then it is claimed and compared again.
		if !a.precedes(rec) {
			r.disown(a, markOf(was))
			a.session.GUID = ""
		}
	}
	r.replace(a, rec.Session.GUID, rec.at())
	a.session, a.assumed, a.state = rec.Session, rec.Assumed, present
	a.version++
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
