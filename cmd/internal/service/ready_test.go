package service

import (
	"net/http"
	"strings"
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

// What /readyz says while the worker waits for NATS, owns, has lost NATS, and has it back.
func TestReadyReportsTroubleWithNATS(t *testing.T) {
	s := newSite(t)
	dir, port := s.nats.StoreDir(), natstest.Port(s.nats)
	natstest.Stop(s.nats)
	s.start()
	r := s.ready()
	if r.Code != http.StatusServiceUnavailable || r.Role != "starting" || !strings.Contains(r.Reason, "NATS") {
		t.Errorf("before NATS is there: %+v", r)
	}
	s.nats = natstest.StartAt(t, dir, port)
	s.isOwner()
	if r := s.ready(); !r.Ready || !r.Connected || r.Owner != "w1" || r.Trouble != "" {
		t.Errorf("as owner: %+v", r)
	}
	natstest.Stop(s.nats)
	s.wait("the loss is told", func() bool {
		r := s.ready()
		return r.Code == http.StatusServiceUnavailable && !r.Connected && strings.HasPrefix(r.Reason, "not connected to NATS: connection to NATS lost at ")
	})
	if code, _ := s.get("/healthz"); code != http.StatusOK {
		t.Errorf("without NATS /healthz says %d: a restart mends nothing", code)
	}
	s.nats = natstest.StartAt(t, dir, port)
	s.isOwner()
}

// Results that cannot be stored, because their stream went away under the worker.
func TestReadyReportsThatItCannotTakePart(t *testing.T) {
	s := newSite(t)
	s.start()
	s.isOwner()
	js := s.connect()
	if err := js.DeleteStream(t.Context(), s.names.ResultsStream()); err != nil {
		t.Fatal(err)
	}
	s.publish(js, `{"agent_id": "1001", "flag": "what is this"}`, nil)
	s.wait("the trouble is told", func() bool {
		r := s.ready()
		return r.Code == http.StatusServiceUnavailable && !r.Ready && r.Reason != ""
	})
}

// A clean stop finishes the calls under way; meanwhile nobody should count on this process.
func TestReadyReportsThatItIsStopping(t *testing.T) {
	s := newSite(t)
	s.config.GatewayTimeout, s.config.ShutdownGrace = natstest.Patience, natstest.Patience
	stop := s.start()
	s.isOwner()
	js := s.connect()
	s.signIn(js, "1001")
	told := make(chan struct{})
	s.gateway.On("1001", gatewaytest.Rule{LandOn: told})
	s.publish(js, `{"agent_id": "1001", "flag": "false"}`, nil)
	s.wait("the call is under way", func() bool { return s.gateway.NumCalls() == 1 })
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	s.wait("the stop is told", func() bool {
		r := s.ready()
		return r.Code == http.StatusServiceUnavailable && r.Reason == "it is stopping" && r.Role == "owner"
	})
	close(told)
	<-stopped
	s.result(js, messages.Applied, "1001")
}
