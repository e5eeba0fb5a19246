package worker

import (
	"testing"
	"time"
)

// Many systems write the last year that RFC 3339 knows for what never ends.
func TestInstantsThatNeverCome(t *testing.T) {
	bubble(t, Policy{}, func(s *site) {
		s.signIn("1001", "g1", 1)
		s.start()
		s.publish(wish("1001", "a", `,"id":"for-good","valid_until":"9999-12-31T23:59:59Z"`))
		s.publish(wish("1001", "b", `,"id":"never","effective_at":"9999-12-31T00:00:00Z","valid_until":"9999-12-31T23:59:59Z"`))
		s.publish(wish("1001", "c", `,"id":"never-either","effective_at":"2999-01-01T00:00:00Z"`))
		s.pass(time.Hour)
		s.wantTold("applied 1001 for-good", "waiting 1001 never", "waiting 1001 never-either")
	})
}
