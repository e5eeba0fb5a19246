package service

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	waveLook  = 2 * time.Second
	waveBytes = 4 << 20 // allocated from one look to the next; less is what an idle worker needs
)

// giveBack returns memory to the system each time a wave of changes is over, until ctx ends. The runtime keeps about twice
// of what is held, and collects nothing while little happens, but tens of thousands of changes wait for hours. Reading
// 20,000 of them took twice the memory for as long as they waited.
func giveBack(ctx context.Context) {
	tick := time.NewTicker(waveLook)
	defer tick.Stop()
	for w := (wave{}); ; {
		select {
		case <-tick.C:
			if w.over(allocated()) {
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return
		}
	}
}

// wave notices the end of a wave of work by what is allocated.
type wave struct {
	last uint64 // bytes allocated in all at the last look
	on   bool
}

// over reports whether a wave was on at the last look and is not any more.
func (w *wave) over(allocated uint64) bool {
	was := w.on
	w.on = allocated-w.last >= waveBytes
	w.last = allocated
	return was && !w.on
}

// allocated returns how many bytes the process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
