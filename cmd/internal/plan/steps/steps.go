// Package steps turns the intervals of one agent's schedule into steps that follow each other. It knows neither files nor
// NATS.
//
// Intervals may overlap: a break lies inside a shift, a meeting reaches over its end. At each instant the interval that
// started last is in effect. Of two that start together the shorter one wins, so that the longer one resumes after it;
// of two that are equal in both, the one given later. Steps that follow each other without a gap and have the same flag
// become one, with the activity of the first.
package steps

import (
	"cmp"
	"container/heap"
	"slices"
)

// Interval is one row of a schedule. Instants are in seconds since 1970.
type Interval struct {
	Start, End int64 // an interval that does not end after its start has no effect
	Flag       string
	Activity   string
}

// Step is what holds from Start until End, or for good if End is Open.
type Step struct {
	Start, End int64
	Flag       string
	Activity   string
}

// Open is the End of a step that nothing ends.
const Open = 1<<63 - 1

// After is the activity of the step behind an agent's last interval.
const After = "after the last interval"

// Overlay returns the steps of one agent, in order of time. A flag in after holds from the end of the last interval
// on; empty: nothing does. Overlay sorts the intervals.
func Overlay(intervals []Interval, after string) []Step {
	var o overlay
	slices.SortStableFunc(intervals, func(a, b Interval) int { return cmp.Compare(a.Start, b.Start) })
	for i := range intervals {
		next := &intervals[i]
		if next.End <= next.Start {
			continue
		}
		o.advance(next.Start)
		heap.Push(&o.running, running{next, i})
		o.last = max(o.last, next.End)
		o.began = true
	}
	o.advance(o.last)
	if after != "" && o.began {
		o.append(Step{o.last, Open, after, After})
	}
	return o.steps
}

// overlay is a sweep over the intervals in order of their start.
type overlay struct {
	running intervalHeap
	now     int64 // everything before it is in steps
	last    int64 // the latest end so far
	began   bool
	steps   []Step
}

// advance appends what is in effect up to an instant at which the next interval starts.
func (o *overlay) advance(until int64) {
	for len(o.running) > 0 && o.now < until {
		top := o.running[0]
		if top.End <= o.now {
			heap.Pop(&o.running)
			continue
		}
		end := min(top.End, until)
		o.append(Step{o.now, end, top.Flag, top.Activity})
		o.now = end
	}
	o.now = until
}

func (o *overlay) append(s Step) {
	if n := len(o.steps); n > 0 && o.steps[n-1].End == s.Start && o.steps[n-1].Flag == s.Flag {
		o.steps[n-1].End = s.End
		return
	}
	o.steps = append(o.steps, s)
}

// running is an interval that has started, with its place in the order.
type running struct {
	*Interval
	order int
}

// intervalHeap has the interval on top that wins over all others.
type intervalHeap []running

func (h intervalHeap) Len() int      { return len(h) }
func (h intervalHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h intervalHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case a.Start != b.Start:
		return a.Start > b.Start
	case a.End != b.End:
		return a.End < b.End
	}
	return a.order > b.order
}

// Push implements [heap.Interface].
func (h *intervalHeap) Push(x any) { *h = append(*h, x.(running)) }

// Pop implements [heap.Interface].
func (h *intervalHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
