package gatewaytest_test

import (
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func at(ms int) time.Time {
	return time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func TestMaxInWindow(t *testing.T) {
	for _, test := range []struct {
		arrivals []int
		want     int
	}{
		{nil, 0},
		{[]int{0}, 1},
		{[]int{0, 999}, 2},
		{[]int{0, 1000}, 1},
		{[]int{0, 0, 0, 1000, 1500, 1999, 2000}, 3},
		{[]int{0, 500, 1000, 1001, 1499, 1500}, 4},
	} {
		var r gatewaytest.Record
		for _, ms := range test.arrivals {
			r = append(r, gatewaytest.Call{At: at(ms)})
		}
		if got := r.MaxInWindow(time.Second); got != test.want {
			t.Errorf("%v: got %d, want %d", test.arrivals, got, test.want)
		}
		if got := r.MaxInWindow(0); got != min(1, len(r)) {
			t.Errorf("%v: %d in no time", test.arrivals, got)
		}
	}
}

func TestOutOfOrder(t *testing.T) {
	applied := func(agent, flag string, arrived, landed int) gatewaytest.Call {
		return gatewaytest.Call{AgentID: agent, Flag: flag, At: at(arrived), Applied: true, AppliedAt: at(landed)}
	}
	r := gatewaytest.Record{
		applied("1001", "1", 0, 40), // after 2 and 3
		applied("1001", "2", 1, 10),
		applied("1002", "1", 2, 50), // another agent's
		applied("1001", "3", 3, 20),
		{AgentID: "1001", Flag: "0", At: at(4)}, // never landed
		applied("1001", "3", 5, 60),             // the same again
		applied("1001", "2", 6, 70),             // after 3
		applied("1003", "3", 7, 80),
		applied("1003", "1", 8, 90),  // after 3
		applied("1003", "2", 9, 100), // after 3 too, which is still the newest
	}
	stale := r.OutOfOrder(func(a, b gatewaytest.Call) int { return int(a.Flag[0]) - int(b.Flag[0]) })
	if len(stale) != 4 || stale[0].Late.At != at(0) || stale[0].After.Flag != "3" || stale[1].Late.At != at(6) || stale[1].After.At != at(5) || stale[3].Late.Flag != "2" || stale[3].After.Flag != "3" {
		t.Errorf("got %+v", stale)
	}
	if last := r.LastApplied(); last["1001"] != "2" || last["1002"] != "1" || len(last) != 3 {
		t.Errorf("applied last: %v", last)
	}
}

func TestOverlapping(t *testing.T) {
	r := gatewaytest.Record{
		{At: at(0), Done: at(10)},
		{At: at(5), Done: at(20)},
		{At: at(10), Done: at(15)}, // begins as the first one ends
		{At: at(12)},               // not finished
	}
	if got := r.Overlapping(); got != 2 {
		t.Errorf("%d at once, want 2", got)
	}
}
