package gatewaytest

import "time"

// Capacity is how many calls the gateway takes, or a proxy in front of it. What is over it gets a page.
type Capacity struct {
	Concurrent int           // at once; 0: no limit
	PerSecond  int           // in any one second; 0: no limit
	Status     int           // of the page; default 503
	RetryAfter time.Duration // 0: not said
	Date       bool          // Retry-After as an HTTP date instead of seconds
}

// SetCapacity sets the capacity from now on. The zero value takes all calls.
func (g *Gateway) SetCapacity(c Capacity) {
	if c.Status == 0 {
		c.Status = 503
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.capacity = capacity{
		Capacity: c, underway: g.capacity.underway,
		refusal: &Rule{Status: c.Status, RetryAfter: c.RetryAfter, Date: c.Date},
		taken:   make([]time.Time, c.PerSecond),
	}
}

// capacity counts exactly, unlike a bucket of tokens: a call is one too many if the call so many places before it was
// taken less than a second ago.
type capacity struct {
	Capacity
	refusal  *Rule
	underway int
	taken    []time.Time // a ring of the last PerSecond calls
	at       int         // the oldest of them
}

func (c *capacity) take(now time.Time) bool {
	if c.Concurrent > 0 && c.underway >= c.Concurrent {
		return false
	}
	if c.PerSecond > 0 {
		if oldest := c.taken[c.at]; !oldest.IsZero() && now.Sub(oldest) < time.Second {
			return false
		}
		c.taken[c.at] = now
		c.at = (c.at + 1) % c.PerSecond
	}
	return true
}
