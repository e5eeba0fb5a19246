package service

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

func (s *site) check(fine bool, says ...string) {
	s.t.Helper()
	var out bytes.Buffer
	if got := Check(s.t.Context(), s.config, &out); got != fine {
		s.t.Errorf("the check says %t, want %t:\n%s", got, fine, out.String())
	}
	for _, want := range says {
		if !strings.Contains(out.String(), want) {
			s.t.Errorf("the check does not say %q:\n%s", want, out.String())
		}
	}
}

// A server without JetStream is named by the check and, once, by the worker, which goes on when the server has it.
func TestServerWithoutJetStreamIsNamed(t *testing.T) {
	s := newSite(t)
	natstest.Stop(s.nats)
	s.nats = natstest.StartPlain(t)
	s.config.NATSURLs = []string{s.nats.ClientURL()}
	const lacks = "offers no JetStream"
	s.check(false, "FAILED", lacks, s.nats.Addr().String(), "-js")
	s.start()
	s.wait("/readyz says why", func() bool { return strings.Contains(s.ready().Reason, lacks) })
	port := natstest.Port(s.nats)
	natstest.Stop(s.nats)
	s.nats = natstest.StartAt(t, t.TempDir(), port)
	s.isOwner()
	if n := strings.Count(s.log.text(), lacks); n != 1 {
		t.Errorf("said %d times:\n%s", n, s.log.text())
	}
}

// What no waiting mends ends the worker, and the check says the same.
func TestTakenSubjectsEndTheStart(t *testing.T) {
	s := newSite(t)
	if _, err := s.connect().CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"centre.1.result.>"}}); err != nil {
		t.Fatal(err)
	}
	const taken = "is taken by another stream: ORDERS"
	s.check(false, "FAILED", taken)
	w := Service{Config: s.config, Name: "w1", Log: slog.New(slog.DiscardHandler)}
	if err := w.Run(t.Context()); err == nil || !strings.Contains(err.Error(), taken) {
		t.Errorf("the worker ended with: %v", err)
	}
}

func TestWarningsAreLogged(t *testing.T) {
	s := newSite(t)
	s.config.Validity = 2 * s.config.Retention
	s.check(true, "warning IDLE_VALIDITY=2h0m0s")
	s.start()
	s.isOwner()
	if n := strings.Count(s.log.text(), "IDLE_VALIDITY=2h0m0s"); n != 1 {
		t.Errorf("said %d times:\n%s", n, s.log.text())
	}
}

// A rate that an operator set outlives the worker, and IDLE_RATE does not hold beside it.
func TestRateOfOperatorsIsLogged(t *testing.T) {
	s := newSite(t)
	s.config.Rate = 50
	stop := s.start()
	s.isOwner()
	js := s.connect()
	d, err := desk.On(js.Conn(), s.names)
	if err != nil {
		t.Fatal(err)
	}
	s.wait("operators can set the rate", func() bool { _, err := d.Rate(t.Context(), 1e6); return err == nil })
	stop()
	s.check(true, "warning an operator set the rate to 1000000 calls per second: IDLE_RATE=50 holds again after idlectl rate configured")
	s.start()
	s.isOwner()
	if n := len(s.log.lines(t, "an operator's rate holds, not the configured one")); n != 1 {
		t.Errorf("said %d times:\n%s", n, s.log.text())
	}
}

// Whoever starts a second worker on one machine learns which setting has to differ.
func TestTakenAddressIsNamed(t *testing.T) {
	s := newSite(t)
	s.start()
	s.config.HTTPAddr = strings.TrimPrefix(s.page, "http://")
	w := Service{Config: s.config, Name: "w2", Log: slog.New(slog.DiscardHandler)}
	if err := w.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "IDLE_HTTP_ADDR="+s.config.HTTPAddr+": ") {
		t.Errorf("the worker ended with: %v", err)
	}
}
