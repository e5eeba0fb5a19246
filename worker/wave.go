package worker

import (
	"log/slog"
	"time"
)

// wave is a time in which much more is due than can be called at once.
type wave struct {
	since    time.Time // zero: there is none
	reported bool
}

// A wave takes longer than waveSeconds at the limit and has at least waveLeast changes. It is logged once, a moment after it
// began, so that the changes it begins with have been read.
const (
	waveLeast   = 100
	waveSeconds = 2
	waveSettles = time.Second
)

// report logs when a wave that has just begun will end, and how many changes will be too late.
func (w *wave) report(f *forecast, log *slog.Logger) {
	switch due := f.ready.len(); {
	case due == 0:
		*w = wave{}
	case w.reported:
	case f.gate.Paused() || f.gate.Probing(f.now) || due < waveLeast || float64(due) < waveSeconds*f.gate.Limit():
		w.since = time.Time{}
	case w.since.IsZero():
		w.since = f.now
	case f.now.Sub(w.since) >= waveSettles:
		w.reported = true
		e := f.estimate()
		log.Info("a wave of changes is due", "due", e.Due, "per_second", e.Rate, "applied_by", e.End, "too_late", e.Missed)
	}
}

// next returns when report must be called again even if nothing happens; zero: there is no such time.
func (w *wave) next() time.Time {
	if w.since.IsZero() || w.reported {
		return time.Time{}
	}
	return w.since.Add(waveSettles)
}
