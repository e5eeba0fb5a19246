package service

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// growth returns the percentage that is in force.
func growth() int {
	now := debug.SetGCPercent(burstGrowth)
	debug.SetGCPercent(now)
	return now
}

func TestMemoryIsSparedWhileLittleHappens(t *testing.T) {
	t.Setenv("GOGC", "")
	held := make([]byte, 10*quietRoom)
	defer runtime.KeepAlive(held)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); sparing(ctx) }()
	await := func(spared bool, meanwhile func()) {
		t.Helper()
		for end := time.Now().Add(time.Minute); (growth() <= 10) != spared; time.Sleep(10 * time.Millisecond) {
			if meanwhile(); time.Now().After(end) {
				t.Fatalf("the heap may grow by %d %%", growth())
			}
		}
	}
	await(true, func() {})
	await(false, func() { runtime.KeepAlive(make([]byte, quietBytes)) })
	await(true, func() {})
	stop()
	<-over
	if n := growth(); n != burstGrowth {
		t.Errorf("%d afterwards", n)
	}
}

func TestOperatorsDecideAboutMemory(t *testing.T) {
	t.Setenv("GOGC", "150")
	sparing(t.Context()) // returns at once
}
