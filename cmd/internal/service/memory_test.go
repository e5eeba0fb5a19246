package service

import (
	"context"
	"runtime"
	"runtime/metrics"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is given back once after each wave, not while it lasts, and not again while nothing happens.
func TestWaveIsOverOnce(t *testing.T) {
	var w wave
	total := uint64(0)
	for i, look := range []struct {
		allocated uint64
		over      bool
	}{
		{0, false},
		{waveBytes, false},
		{waveBytes, false},
		{waveBytes - 1, true},
		{0, false},
		{1000, false},
		{10 * waveBytes, false},
		{1000, true},
		{1000, false},
	} {
		total += look.allocated
		if got := w.over(total); got != look.over {
			t.Errorf("look %d: over is %v, want %v", i, got, look.over)
		}
	}
}

// What a wave held is free for the system soon after it.
func TestMemoryIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		go giveBack(ctx)
		wave := make([]byte, 64<<20) // zeroes: pages that are not written to are given back like others
		runtime.KeepAlive(wave)
		time.Sleep(waveLook + 1)
		before := released()
		time.Sleep(waveLook)
		if after := released(); after < before+32<<20 {
			t.Errorf("%d MiB are released, %d before", after>>20, before>>20)
		}
		stop()
	})
}

// released is how much of the heap the system has back, in bytes.
func released() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
