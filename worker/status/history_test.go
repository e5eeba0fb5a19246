package status

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"idlepolicy/worker/view"
)

func TestHistoryTurnsCountersIntoRates(t *testing.T) {
	var h history
	start := time.Now()
	term, next := start.Add(-time.Hour), start.Add(8*time.Second)
	for _, v := range []struct {
		after time.Duration
		view  view.View
		known bool
	}{
		{0, view.View{Since: term, Called: 1000, Ended: 900}, true},
		{5 * time.Second, view.View{Since: term, Called: 1250, Ended: 1000, Due: 3, InFlight: 2, Retrying: 1, Later: 99, NotSignedIn: 99}, true},
		{10 * time.Second, view.View{Since: next, Called: 50, Ended: 5}, true}, // a new owner counts from zero
		{15 * time.Second, view.View{}, false},
		{20 * time.Second, view.View{Since: next, Called: 150, Ended: 105}, true},
	} {
		h.add(start.Add(v.after), v.view, v.known)
	}
	all := h.all()
	want := []point{
		{start.Add(5 * time.Second), true, 50, 20, 6},
		{start.Add(10 * time.Second), true, 10, 1, 0},
		{start.Add(15 * time.Second), false, 0, 0, 0},
		{start.Add(20 * time.Second), true, 10, 10, 0}, // over the 10 s since the owner was last heard of
	}
	if len(all) != len(want) {
		t.Fatalf("%d points", len(all))
	}
	for i := range want {
		if all[i] != want[i] {
			t.Errorf("point %d is %+v, want %+v", i, all[i], want[i])
		}
	}
}

// Fault L: a standby that was restarted took the 907 calls of the owner's whole term for those of the last 5 s.
func TestHistoryOfARestartedStandbyBeginsWithoutASpike(t *testing.T) {
	var h history
	start := time.Now()
	owner := view.View{Since: start.Add(-time.Hour), Called: 907, Ended: 907}
	h.add(start, view.View{}, false) // nobody has been asked yet
	h.add(start.Add(5*time.Second), owner, true)
	h.add(start.Add(10*time.Second), owner, true)
	for _, p := range h.all() {
		if p.Calls != 0 || p.Ended != 0 {
			t.Errorf("nothing happened, but the plot says %+v", p)
		}
	}
}

func TestHistoryIsTheLast15Minutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage()
		go s.server.sample(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		all := s.server.history.all()
		if len(all) != keptPoints || time.Since(all[0].At) != plotPast-sampleEvery || time.Since(all[keptPoints-1].At) != 0 {
			t.Errorf("%d points from %v on to %v ago", len(all), time.Since(all[0].At), time.Since(all[len(all)-1].At))
		}
	})
}

func TestPlot(t *testing.T) {
	if p := newPlot(nil); !p.Empty {
		t.Error("a plot of nothing")
	}
	now := time.Now().Truncate(time.Minute).Add(30 * time.Second)
	if p := newPlot([]point{{At: now}}); !p.Empty || p.Calls != "" {
		t.Errorf("nobody knew, but the plot is %+v", p)
	}
	p := newPlot([]point{
		{now.Add(-plotPast), true, 10, 5, 4},
		{now.Add(-plotPast / 2), false, 0, 0, 0},
		{now.Add(-plotPast / 4), true, 20, 0, 0},
		{now, true, 0, 10, 2},
	})
	if p.Empty || p.Calls != "M0 50.0M540 0.0L720 100.0" || p.Ended != "M0 75.0M540 100.0L720 50.0" || p.Backlog != "M0 0.0M540 100.0L720 50.0" {
		t.Errorf("plot %+v", p)
	}
	if p.RateText != "The last 15 minutes: calls 0/s and endings 10/s lately; at most 20/s." ||
		p.BacklogText != "The last 15 minutes: a backlog of 2 changes lately; at most 4." {
		t.Errorf("texts %q, %q", p.RateText, p.BacklogText)
	}
	if len(p.Minutes) != 4 || !p.Minutes[0].At.Equal(now.Truncate(time.Minute)) || p.Minutes[0].Ended != 10 {
		t.Errorf("minutes %+v", p.Minutes)
	}
}

func TestPlotMinutesAreMeans(t *testing.T) {
	start := time.Now().Truncate(time.Minute)
	all := minutes([]point{
		{start, true, 10, 1, 7},
		{start.Add(20 * time.Second), true, 20, 2, 8},
		{start.Add(40 * time.Second), true, 30, 3, 9},
		{start.Add(time.Minute), true, 5, 5, 5},
	})
	if len(all) != 2 || all[1].Calls != 20 || all[1].Ended != 2 || all[1].Backlog != 9 || all[0].Calls != 5 {
		t.Errorf("minutes %+v", all)
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(-1234567): "-1,234,567",
		perSecond(0.04): "0/s", perSecond(2.5): "2.5/s", perSecond(99.96): "100/s", perSecond(12345.6): "12,346/s",
		limit(0): "no limit", limit(50): "50/s",
		rateNow(view.GateState{State: "slowed", Rate: 50}): "50/s", rateNow(view.GateState{State: "probing", Rate: 50}): "none, then 50/s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	at := time.Now().Add(-time.Hour).UTC()
	if got, want := string(ago(at)), fmt.Sprintf(`<time datetime="%s" data-show="ago">%s</time>`, at.Format(time.RFC3339), at.Format("15:04:05 UTC")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if long := utc(at.AddDate(0, 0, -3)); !strings.HasPrefix(long, at.AddDate(0, 0, -3).Format("2006-01-02 ")) {
		t.Errorf("days ago is %s", long)
	}
	if got := clock(time.Time{}); got != "" {
		t.Errorf("no time is %q", got)
	}
}

func TestHoldingsHaveWords(t *testing.T) {
	for _, what := range append([]string{""}, holdings...) {
		if text := holdingText(what); text == "" || text == what {
			t.Errorf("%q: %q", what, text)
		}
	}
	v := view.View{Gate: view.GateState{Holding: "rate"}}
	if heldBy(&v) != "" {
		t.Error("with nothing due something is held back")
	}
	if v.Due = 1; heldBy(&v) != "rate" {
		t.Error("what is due is not held back")
	}
}
