package status

import (
	"strconv"
	"testing"
	"time"

	"idlepolicy/messages"
)

func TestResultsKeepTroubleThroughAWave(t *testing.T) {
	var r results
	now := time.Now()
	bad := result(messages.Failed, "1001", "bad", now)
	r.add(&bad)
	for i := range 3 * keptResults {
		fine := result(messages.Applied, "1002", strconv.Itoa(i), now.Add(time.Duration(i)*time.Millisecond))
		r.add(&fine)
	}
	all, trouble := r.last(keptResults)
	if len(all) != keptResults || all[0].ChangeID != "599" || all[keptResults-1].ChangeID != "400" {
		t.Errorf("%d results from %s to %s", len(all), all[0].ChangeID, all[len(all)-1].ChangeID)
	}
	if len(trouble) != 1 || trouble[0].ChangeID != "bad" {
		t.Errorf("trouble %+v", trouble)
	}
	if found := r.of("1001"); len(found) != 1 || found[0].ChangeID != "bad" {
		t.Errorf("of the agent %+v", found)
	}
}

// A standby hears the same results again and again.
func TestResultsLearnEachOnce(t *testing.T) {
	var r results
	now := time.Now()
	one, two, three := result(messages.Failed, "1001", "1", now), result(messages.Applied, "1002", "2", now.Add(1)), result(messages.Applied, "1003", "3", now.Add(2))
	r.learn([]messages.Result{two, one}, []messages.Result{one})
	r.learn([]messages.Result{two, one}, []messages.Result{one})
	r.learn([]messages.Result{three, two}, []messages.Result{one})
	all, trouble := r.last(10)
	if len(all) != 3 || all[0].ChangeID != "3" || all[1].ChangeID != "2" || all[2].ChangeID != "1" || len(trouble) != 1 {
		t.Errorf("learnt %+v and %+v", all, trouble)
	}
	if found := r.of("1001"); len(found) != 1 {
		t.Errorf("of the agent %+v", found)
	}
}
