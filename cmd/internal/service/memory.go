package service

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// In a burst time counts, and for the rest of the day memory does: tens of thousands of changes can wait for hours.
const (
	memoryLook  = 2 * time.Second
	quietBytes  = 4 << 20 // allocated from one look to the next
	quietRoom   = 4 << 20 // by which the heap may grow then before it is collected
	burstGrowth = 100     // percent by which it may grow else
)

// sparing has the process hold little memory while little happens, until ctx ends. Where operators have set GOGC, they
// have decided for themselves.
func sparing(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(burstGrowth)
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	last, quiet := allocated(), false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := allocated()
		was := quiet
		quiet = now-last < quietBytes
		last = now
		switch {
		case quiet && !was:
			debug.FreeOSMemory()
			debug.SetGCPercent(quietGrowth())
		case was && !quiet:
			debug.SetGCPercent(burstGrowth)
		}
	}
}

// quietGrowth turns room into a percentage of what is held. A small heap needs no sparing: collecting it all the time
// would only cost time.
func quietGrowth() int {
	held := measured("/gc/heap/live:bytes")
	return int(min(burstGrowth, 100*quietRoom/max(1, held)))
}

// allocated returns how many bytes were allocated so far.
func allocated() uint64 { return measured("/gc/heap/allocs:bytes") }

func measured(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
