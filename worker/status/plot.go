package status

import (
	"fmt"
	"strings"
	"time"
)

// plot draws the last 15 minutes as lines. Each is drawn in a box of plotWide by plotHigh, which is stretched to the available width;
// the labels are text of the page, which is not stretched.
type plot struct {
	Calls, Ended, Backlog string // paths
	MostRate              float64
	MostBacklog           int
	RateText, BacklogText string // for those who hear the page
	Minutes               []minute
	LastCalls, LastEnded  float64
	LastBacklog           int
	Empty                 bool
}

// minute is a line of the table that says the same as the plot.
type minute struct {
	At           time.Time
	Calls, Ended float64
	Backlog      int
	n            int
}

const (
	plotWide = 720
	plotHigh = 100
	plotPast = keptPoints * sampleEvery
)

func newPlot(points []point) plot {
	p := plot{Empty: true}
	if len(points) == 0 {
		return p
	}
	now := points[len(points)-1].At
	for _, at := range points {
		if at.Known {
			p.Empty = false
			p.LastCalls, p.LastEnded, p.LastBacklog = at.Calls, at.Ended, at.Backlog
		}
		p.MostRate = max(p.MostRate, at.Calls, at.Ended)
		p.MostBacklog = max(p.MostBacklog, at.Backlog)
	}
	rates, high := max(p.MostRate, 1), max(float64(p.MostBacklog), 1)
	p.Calls = path(points, now, rates, func(at point) float64 { return at.Calls })
	p.Ended = path(points, now, rates, func(at point) float64 { return at.Ended })
	p.Backlog = path(points, now, high, func(at point) float64 { return float64(at.Backlog) })
	p.RateText = fmt.Sprintf("The last 15 minutes: calls %s and endings %s lately; at most %s.",
		perSecond(p.LastCalls), perSecond(p.LastEnded), perSecond(p.MostRate))
	p.BacklogText = fmt.Sprintf("The last 15 minutes: a backlog of %s changes lately; at most %s.", count(p.LastBacklog), count(p.MostBacklog))
	p.Minutes = minutes(points)
	return p
}

// path draws one value over time. The line is interrupted while there was no owner.
func path(points []point, now time.Time, most float64, value func(point) float64) string {
	var b strings.Builder
	pen := "M"
	for _, at := range points {
		if !at.Known {
			pen = "M"
			continue
		}
		x := plotWide * (1 - now.Sub(at.At).Seconds()/plotPast.Seconds())
		y := plotHigh * (1 - value(at)/most)
		fmt.Fprintf(&b, "%s%.0f %.1f", pen, max(0, x), y)
		pen = "L"
	}
	return b.String()
}

// minutes returns averages of the points for each minute, newest first.
func minutes(points []point) []minute {
	var all []minute
	for _, at := range points {
		start := at.At.Truncate(time.Minute)
		if n := len(all); n == 0 || !all[n-1].At.Equal(start) {
			all = append(all, minute{At: start})
		}
		m := &all[len(all)-1]
		m.n++
		m.Calls += (at.Calls - m.Calls) / float64(m.n)
		m.Ended += (at.Ended - m.Ended) / float64(m.n)
		m.Backlog = at.Backlog
	}
	for i := range len(all) / 2 {
		all[i], all[len(all)-1-i] = all[len(all)-1-i], all[i]
	}
	return all
}
