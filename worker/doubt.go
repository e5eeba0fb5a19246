package worker

// doubts are the calls that came back without an answer of the gateway's own although it may have received them: their connection
// broke, or a proxy answered in its place. Until the time-out of such a call has passed, it may still take effect. Meanwhile its
// agent gets the same flag again at most, or an older flag would overwrite a newer one.
type doubts map[*lane]doubt

type doubt struct {
	flag  string
	until int64 // in ticks
}

// note records that a call for that flag may take effect until then.
func (d doubts) note(ln *lane, flag string, until int64) {
	if old := d[ln]; old.flag == flag {
		until = max(until, old.until)
	}
	d[ln] = doubt{flag, until}
}

// of returns when the doubt about the agent's calls is over, in ticks; 0: there is none.
func (d doubts) of(ln *lane) int64 { return d[ln].until }

// against returns until when a call for that flag must wait, in ticks; 0: it need not.
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
