package worker

// doubts are the calls that came back without an answer of the gateway's own although it may have received them: their connection
// broke, or a proxy answered in its place. Such a call may still take effect until its time-out has passed. Until then only the same
// flag may be sent for the agent; otherwise an older flag could overwrite a newer one. The doubt about a call that timed out is over
// at once.
type doubts map[*lane]doubt

type doubt struct {
	flag  string
	until int64 // in ticks
}

// note records that a call for that flag may take effect until then. A doubt about another flag is over by now: no call was made
// before it was.
func (d doubts) note(ln *lane, flag string, until int64) {
	if old := d[ln]; old.flag == flag {
		until = max(until, old.until)
	}
	d[ln] = doubt{flag, until}
}

// of returns when the doubt about the agent's calls is over, in ticks; 0: there is none.
func (d doubts) of(ln *lane) int64 { return d[ln].until }

// against returns the time before which a call for that flag must not be made, in ticks; 0: it may be made now.
func (d doubts) against(ln *lane, flag string) int64 {
	if of := d[ln]; of.flag != flag {
		return of.until
	}
	return 0
}

// last returns when the last of them is over, in ticks, and forgets those that are.
func (d doubts) last(now int64) (last int64) {
	for ln, of := range d {
		if of.until <= now {
			delete(d, ln)
		}
		last = max(last, of.until)
	}
	return last
}
