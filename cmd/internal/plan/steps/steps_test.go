package steps_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"idlepolicy/cmd/internal/plan/steps"
)

func Example() {
	for _, s := range steps.Overlay([]steps.Interval{
		{Start: 8 * 3600, End: 16 * 3600, Flag: "true", Activity: "Phone"},
		{Start: 12 * 3600, End: 13 * 3600, Flag: "false", Activity: "Lunch"},
		{Start: 13 * 3600, End: 14 * 3600, Flag: "false", Activity: "Meeting"},
	}, "false") {
		fmt.Println(s.Start/3600, s.End/3600 < 24, s.Flag, s.Activity)
	}
	// Output:
	// 8 true true Phone
	// 12 true false Lunch
	// 14 true true Phone
	// 16 false false after the last interval
}

func TestOverlay(t *testing.T) {
	for name, test := range map[string]struct {
		intervals []steps.Interval
		after     string
		want      []steps.Step
	}{
		"nothing":                   {nil, "false", nil},
		"of no length":              {[]steps.Interval{{5, 5, "a", "x"}, {7, 6, "b", "y"}}, "c", nil},
		"the same twice":            {[]steps.Interval{{1, 5, "a", "x"}, {1, 5, "a", "x"}}, "", []steps.Step{{1, 5, "a", "x"}}},
		"the later row of two":      {[]steps.Interval{{1, 5, "a", "x"}, {1, 5, "b", "y"}}, "", []steps.Step{{1, 5, "b", "y"}}},
		"the shorter one at first":  {[]steps.Interval{{1, 3, "b", "y"}, {1, 5, "a", "x"}}, "", []steps.Step{{1, 3, "b", "y"}, {3, 5, "a", "x"}}},
		"a gap":                     {[]steps.Interval{{1, 2, "a", "x"}, {3, 4, "a", "x"}}, "", []steps.Step{{1, 2, "a", "x"}, {3, 4, "a", "x"}}},
		"beyond the shift":          {[]steps.Interval{{1, 5, "a", "x"}, {3, 8, "b", "y"}}, "", []steps.Step{{1, 3, "a", "x"}, {3, 8, "b", "y"}}},
		"after is joined":           {[]steps.Interval{{1, 5, "a", "x"}}, "a", []steps.Step{{1, steps.Open, "a", "x"}}},
		"an inner one of no effect": {[]steps.Interval{{1, 9, "a", "x"}, {3, 4, "a", "y"}}, "", []steps.Step{{1, 9, "a", "x"}}},
	} {
		if got := steps.Overlay(test.intervals, test.after); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// naive returns the flag at an instant by looking at every interval.
func naive(intervals []steps.Interval, after string, at int64) string {
	best, end := -1, int64(-1)
	for i, v := range intervals {
		if v.End <= v.Start {
			continue
		}
		end = max(end, v.End)
		if at < v.Start || at >= v.End {
			continue
		}
		if best < 0 || v.Start > intervals[best].Start || v.Start == intervals[best].Start && v.End <= intervals[best].End {
			best = i
		}
	}
	switch {
	case best >= 0:
		return intervals[best].Flag
	case end >= 0 && at >= end:
		return after
	}
	return ""
}

// At every instant the steps say what the naive model says, and no two of them could be one.
func TestOverlayAgainstEveryMinute(t *testing.T) {
	const minutes = 60
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var intervals []steps.Interval
		for range r.IntN(12) {
			start := r.Int64N(minutes - 10)
			intervals = append(intervals, steps.Interval{Start: start, End: start + r.Int64N(20) - 1, Flag: []string{"true", "false", "x"}[r.IntN(3)]})
		}
		after := []string{"", "false"}[r.IntN(2)]
		got := steps.Overlay(slices.Clone(intervals), after)
		for i, s := range got {
			if s.Start >= s.End || i > 0 && (got[i-1].End > s.Start || got[i-1].End == s.Start && got[i-1].Flag == s.Flag) {
				t.Fatalf("seed %d: steps %v", seed, got)
			}
		}
		for at := range int64(minutes + 20) {
			flag := ""
			for _, s := range got {
				if s.Start <= at && at < s.End {
					flag = s.Flag
				}
			}
			if want := naive(intervals, after, at); flag != want {
				t.Fatalf("seed %d: flag %q at %d, want %q; %v became %v", seed, flag, at, want, intervals, got)
			}
		}
	}
}

func BenchmarkOverlay(b *testing.B) {
	var week []steps.Interval
	for i := range int64(56) {
		week = append(week, steps.Interval{Start: i * 3600, End: i*3600 + 3600, Flag: []string{"true", "false"}[i%2]})
	}
	for b.Loop() {
		steps.Overlay(week, "")
	}
}
