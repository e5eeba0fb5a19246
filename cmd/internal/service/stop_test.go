package service

import (
	"testing"
	"time"

	"idlepolicy/config"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

// IDLE_SHUTDOWN_GRACE=0 means that a stop waits for no call, however long it hangs.
func TestStopWithoutGraceWaitsForNoCall(t *testing.T) {
	s := newSite(t)
	s.config.ShutdownGrace, s.config.GatewayTimeout = 0, 2*natstest.Patience
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
	case <-time.After(natstest.Patience):
		t.Error("the stop waits for the call")
	}
}

// The owner would take 0 for its default of 20 s, which the test above does not notice.
func TestNoGraceIsNotTheDefault(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{0: -1, time.Minute: time.Minute} {
		s := Service{Config: config.Config{ShutdownGrace: grace}}
		if o := s.owner(nil, nil); o.Finished != want {
			t.Errorf("IDLE_SHUTDOWN_GRACE=%v lets a stop take %v, want %v", grace, o.Finished, want)
		}
	}
}
