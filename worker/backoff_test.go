package worker

import (
	"math"
	"testing"
	"time"
)

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func TestBackoffPause(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 10 * time.Second, Multiplier: 3}.withDefaults()
	for i, want := range []int{1, 3, 9, 10, 10} {
		if got := b.Pause(i + 1); got != seconds(want) {
			t.Errorf("pause %d is %v, want %v", i+1, got, seconds(want))
		}
	}
	if got := b.Pause(10_000); got != 10*time.Second {
		t.Errorf("pause 10,000 is %v", got)
	}
}

func TestBackoffJitter(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 10 * time.Second, Jitter: 0.5}.withDefaults()
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for range 2000 {
		p := b.Pause(2)
		low, high = min(low, p), max(high, p)
	}
	if low < time.Second || high > 3*time.Second+time.Nanosecond {
		t.Errorf("pauses from %v to %v, want within 1s to 3s", low, high)
	}
	if low > 1200*time.Millisecond || high < 2800*time.Millisecond {
		t.Errorf("pauses from %v to %v are hardly left to chance", low, high)
	}
}

// Fault M: the jitter came after the cap.
func TestBackoffNeverExceedsItsMaximum(t *testing.T) {
	b := Backoff{Initial: time.Second, Max: 30 * time.Second, Jitter: 0.5}.withDefaults()
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for range 1000 {
		p := b.Pause(10)
		low, high = min(low, p), max(high, p)
	}
	if high > 30*time.Second || high < 29*time.Second || low > 11*time.Second {
		t.Errorf("the tenth pause is from %v to %v, want spread up to 30s", low, high)
	}
}
