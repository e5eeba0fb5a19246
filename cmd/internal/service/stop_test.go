package service

import (
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

// IDLE_SHUTDOWN_GRACE=0 means that a stop waits for no call, however long it hangs.
func TestStopWithoutGraceWaitsForNoCall(t *testing.T) {
	s := newSite(t)
	s.config.ShutdownGrace, s.config.GatewayTimeout = 0, time.Minute
	s.gateway.On("", gatewaytest.Rule{Fault: gatewaytest.Hang})
	stop := s.start()
	s.isOwner()
	js := s.connect()
	s.signIn(js, "1001")
	s.publish(js, `{"agent_id":"1001","flag":"false"}`, nil)
	s.wait("a call that hangs", func() bool { return s.gateway.Summary().Calls == 1 })
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(15 * time.Second): // the default grace is 20 s
		t.Error("the stop waits for the call")
	}
}
