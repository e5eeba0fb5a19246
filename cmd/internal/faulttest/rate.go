package faulttest

import (
	"fmt"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

// TooMany looks at the second that begins with each call, and says of which ones rate and burst do not allow as many
// calls as there were. Of a second in which this process stood still, it allows for what arrived together: on a
// busy machine the one that calls will have stood still as well.
func TooMany(calls gatewaytest.Record, rate, burst int, stalls *Stalls) []string {
	var breaches []string
	last := 0
	for first := range calls {
		for last < len(calls) && calls[last].At.Sub(calls[first].At) < time.Second {
			last++
		}
		if last-first <= rate+burst {
			continue
		}
		stood := stallFrom + stalls.Within(calls[first].At, calls[last-1].At) // shorter stalls are not noted
		if most := rate + burst + int(2*float64(rate)*stood.Seconds()); last-first > most {
			breaches = append(breaches, fmt.Sprintf("%d calls in the second from %s, want %d at most (stood still for %v)",
				last-first, calls[first].At.Format("15:04:05.000"), most, stood.Round(time.Millisecond)))
		}
	}
	return breaches
}
