package terminal

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress shows how far something is, how fast it goes and how long it will take: as a bar on a terminal, elsewhere and for
// those who want no cursor moves as a line now and then. It is for one goroutine.
type Progress struct {
	w     io.Writer
	what  string
	total int
	done  int
	bar   *progressbar.ProgressBar // nil: lines
	began time.Time
	said  time.Time
}

const lineEvery = 2 * time.Second

// NewProgress shows how many of total things are what, such as "published".
func NewProgress(w io.Writer, what string, total int) *Progress {
	now := time.Now()
	p := &Progress{w: w, what: what, total: total, began: now, said: now}
	if IsLively(w) {
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(""),
			progressbar.OptionSetPredictTime(true), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionUseANSICodes(true))
	}
	return p
}

// Add notes that n more are done.
func (p *Progress) Add(n int) {
	p.done += n
	if p.bar != nil {
		_ = p.bar.Add(n) // a bar that cannot be drawn keeps nothing up
		return
	}
	if now := time.Now(); p.done < p.total && now.Sub(p.said) >= lineEvery {
		p.said = now
		p.line(now)
	}
}

func (p *Progress) line(now time.Time) {
	text := fmt.Sprintf("%s %d of %d", p.what, p.done, p.total)
	if took := now.Sub(p.began).Seconds(); took > 0 && p.done > 0 && p.done < p.total {
		rate := float64(p.done) / took
		left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s/s, %s left", figure(rate), Length(left))
	}
	fmt.Fprintln(p.w, text)
}

// figure shows a rate with as many digits as it takes to tell it from none.
func figure(rate float64) string {
	if rate < 10 {
		return strconv.FormatFloat(rate, 'g', 2, 64)
	}
	return strconv.FormatFloat(rate, 'f', 0, 64)
}

// Finish leaves the last state standing.
func (p *Progress) Finish() {
	if p.bar != nil {
		_ = p.bar.Exit()
		fmt.Fprintln(p.w)
		return
	}
	p.line(time.Now())
}
