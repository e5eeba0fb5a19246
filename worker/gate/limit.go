package gate

import (
	"math"
	"slices"
	"time"
)

// limit finds how many calls an address takes that refuses some for lack of room (429, 503), and stays just below.
//
// A score counts refusals and forgets them as calls are accepted, so that an occasional one never matters. Once it is
// high enough, the count of accepted calls says what the gateway takes, and the rate is set just below it. Then comes the
// trial: if the gateway has too little room, fewer calls mean hardly any refusals; if it refuses a share at random,
// the share stays. In the second case the rate is restored at once, and that share counts as noise from then on.
//
// From its start the rate grows along a cubic curve: fast at first, flat near the figure that was found, then faster
// again to see whether the gateway takes more by now. Only time in which calls are made counts, so that what was found
// outlives the pauses between shift changes.
type limit struct {
	most  float64       // calls per second that the gateway was found to take; 0: no limit was found
	reach time.Duration // calling time until the rate reaches most again
	used  time.Duration // calling time since most was found
	since time.Time
	why   string
	below float64 // the rate began by that share below most
	late  bool    // most is a count of accepted calls, to which those in flight are yet to be added

	recent   recent    // accepted calls
	lastSent time.Time // when a call was sent last
	began    time.Time // when calls began after the last second without any

	share   float64 // of refusals among the last few dozen calls
	score   float64
	noise   float64   // share of refusals that is noise
	until   time.Time // the noise is remembered for as long
	episode episode
	trial   trial
	cut     time.Time // the rate was changed then; calls from before say nothing
}

// episode is what happened since the score was zero.
type episode struct {
	first    time.Time // when the first refusal came
	accepted int
	refused  int
	before   int     // calls accepted in the second before it
	load     float64 // calls per second that were accepted just before it
}

// trial is the time after a cut, in which the share of refusals shows whether it helped. More cuts may follow in it.
type trial struct {
	share       float64 // of refusals before, cautiously: an episode begins with bad luck; 0: no trial is under way
	weight      float64 // logarithm of how much likelier noise is than a lack of room
	accepted    int
	refused     int
	most        float64 // what was found before, to return to if it was an outage; 0: nothing
	reach, used time.Duration
}

const (
	scoreToFind  = 8.0 // refusals beyond noise that mean a lack of room
	scoreToStay  = 4.0 // the same while the rate is limited already
	noiseToFind  = 0.1 // share of refusals that never matters
	noiseToStay  = 0.03
	noiseLasts   = 10 * time.Second
	lately       = 64.0 // calls
	sureOfNoise  = 3.0  // a wrong verdict costs a few refusals
	sureOfRoom   = -7.0 // a wrong verdict costs the rate, for seconds
	startBelow   = 0.03 // the rate begins by that share below what was found
	toldBelow    = 0.05 // the same after a Retry-After: calls that are held up on their way must not add up to another one
	growth       = 0.05 // and is by that share above it after twice the time that it takes to reach it
	reachFound   = 5 * time.Second
	reachGuessed = 1500 * time.Millisecond // after less than a second of calls
	reachTold    = 8 * time.Second         // after a Retry-After: one more would hold everybody
	longUnused   = time.Hour
	leastRate    = 1.0 // calls per second
)

// rate returns the calls per second to stay below; 0: any number. full is what operators allow.
func (l *limit) rate(full float64) float64 {
	if l.most == 0 {
		return 0
	}
	x := l.used.Seconds()/l.reach.Seconds() - 1
	by := l.below
	if x > 0 {
		by = growth
	}
	rate := l.most * (1 + by*x*x*x)
	if rate >= full {
		l.most = 0
		return 0
	}
	return max(leastRate, rate)
}

func (l *limit) sent(now time.Time) {
	gap := now.Sub(l.lastSent)
	if gap > time.Second {
		l.began = now
	}
	if l.most > 0 {
		if gap > longUnused && !l.lastSent.IsZero() {
			l.most = 0
		}
		l.used += min(gap, 100*time.Millisecond)
	}
	l.lastSent = now
}

func (l *limit) accepted(sent, now time.Time) {
	l.recent.add(now)
	if sent.Before(l.cut) {
		if l.late && now.Sub(l.cut) < time.Second {
			l.most++ // it was in flight, and counts for the second before
		}
		return
	}
	l.share -= l.share / lately
	if l.score > 0 {
		l.episode.accepted++
		p := noiseToFind
		if l.most > 0 {
			p = noiseToStay
		}
		if now.Before(l.until) {
			p = max(p, min(0.6, 1.5*l.noise+0.1))
		}
		l.score = max(0, l.score-p/(1-p))
	}
	if l.trial.share > 0 {
		l.judge(false, now)
	}
}

// refused takes note of a refusal that did not say how long to wait, and reports whether the rate was cut.
func (l *limit) refused(sent time.Time, full float64, now time.Time) (cut bool) {
	if sent.Before(l.cut) {
		return false
	}
	if l.score == 0 {
		l.begin(full, now)
	}
	l.share += (1 - l.share) / lately
	l.score++
	l.episode.refused++
	if l.trial.share > 0 {
		l.judge(true, now)
	}
	e := &l.episode
	high := scoreToFind
	if l.most > 0 {
		high = scoreToStay
	}
	if l.score < high || l.most == 0 && e.accepted < 3 {
		return false // in a row of nothing but refusals the breaker decides
	}
	share := float64(e.refused) / float64(e.refused+e.accepted)
	found, guessed := float64(l.recent.within(time.Second, now)), now.Sub(l.began) < time.Second
	if took := now.Sub(e.first); e.accepted >= 20 || e.accepted >= 3 && share > 0.3 {
		found, guessed = float64(e.accepted)/took.Seconds(), took < time.Second/2
	}
	reach := reachFound
	if guessed {
		reach = reachGuessed
	}
	if rate := l.rate(full); rate > 0 {
		found = min(found, rate) // it refused calls at that rate
	}
	under := l.trial
	if under.share == 0 && e.accepted >= 3 {
		under = trial{share: max(l.share, share/3), most: l.most, reach: l.reach, used: l.used}
	}
	if e.accepted >= 20 {
		under.weight = min(0, under.weight) // the first cut was a guess, this one is not
	}
	l.set(found, reach, now)
	l.trial = under
	return true
}

// begin opens an episode.
func (l *limit) begin(full float64, now time.Time) {
	rate := full
	if r := l.rate(full); r > 0 {
		rate = r
	}
	just := min(time.Second, max(100*time.Millisecond, time.Duration(10/rate*float64(time.Second))))
	l.episode = episode{
		first: now, before: l.recent.within(time.Second, now),
		load: float64(l.recent.within(just, now)) / just.Seconds(),
	}
}

func (l *limit) set(most float64, reach time.Duration, now time.Time) {
	l.most, l.reach, l.used = max(leastRate, most), reach, 0
	l.since, l.cut, l.score, l.trial, l.below, l.late = now, now, 0, trial{}, startBelow, false
}

// judge weighs one more answer of a trial, as in Wald's sequential probability ratio test: are so many refused as if the cut
// had changed nothing, or hardly any?
func (l *limit) judge(refused bool, now time.Time) {
	t := &l.trial
	same, few := 0.75*t.share, 0.05*t.share+0.02
	if refused {
		t.refused++
		t.weight += math.Log(same / few)
	} else {
		t.accepted++
		t.weight += math.Log((1 - same) / (1 - few))
	}
	switch {
	case t.weight >= sureOfNoise:
		l.noise, l.until = max(l.share, float64(t.refused)/float64(t.accepted+t.refused)), now.Add(noiseLasts)
		l.most, l.cut, l.score, l.trial = 0, now, 0, trial{}
	case t.weight <= sureOfRoom:
		l.trial = trial{}
	}
}

// told takes note of a Retry-After: what was accepted in the last second is what the gateway takes, unless that is about as
// much as was sent.
func (l *limit) told(retryAfter time.Duration, full float64, now time.Time) {
	l.begin(full, now)
	reach := max(reachTold, 10*retryAfter)
	if now.Sub(l.began) < 100*time.Millisecond {
		reach = reachGuessed
	}
	l.saturated(full, reach, now)
	l.below = toldBelow
}

// ranInto takes note that nothing but refusals came, up to the trip of the breaker: an outage, or a gateway that counts
// calls in windows and has no room left in this one.
func (l *limit) ranInto(full float64, now time.Time) {
	l.forgive()
	reach := reachFound
	if now.Sub(l.began) < time.Second {
		reach = reachGuessed
	}
	l.saturated(full, reach, now)
}

// saturated limits the rate to what was accepted in the second before the episode, if calls were made at the full rate
// just before and that is clearly less.
func (l *limit) saturated(full float64, reach time.Duration, now time.Time) {
	rate := full
	if r := l.rate(full); r > 0 {
		rate = r
	}
	isNoise := now.Before(l.until) && l.noise > noiseToFind
	if e := l.episode; e.load >= rate/2 && float64(e.before) < 0.9*full && !isNoise {
		l.set(min(rate, float64(e.before)), reach, now)
		l.late = float64(e.before) < rate
	}
}

// forgive undoes what a trial changed: the refusals were those of an outage.
func (l *limit) forgive() {
	if t := l.trial; t.share > 0 {
		l.most, l.reach, l.used = t.most, t.reach, t.used
	}
	l.score, l.trial = 0, trial{}
}

// reopened has only calls from now on count.
func (l *limit) reopened(now time.Time) { l.cut, l.score = now, 0 }

// recent are the instants of the last second at which calls were accepted.
type recent struct{ at []time.Time }

func (r *recent) add(now time.Time) {
	if len(r.at) > 0 && len(r.at) == cap(r.at) {
		r.at = slices.Delete(r.at, 0, len(r.at)-r.within(time.Second, now))
	}
	r.at = append(r.at, now)
}

func (r *recent) within(d time.Duration, now time.Time) int {
	i, _ := slices.BinarySearchFunc(r.at, now.Add(-d), time.Time.Compare)
	return len(r.at) - i
}
