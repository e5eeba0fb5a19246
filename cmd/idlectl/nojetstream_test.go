package main

import (
	"strings"
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/natstest"
)

// verbs are all of them, with arguments that could be right.
var verbs = []string{
	"publish -", "results --last 1", "batch b", "status", "explain 1001", "session list", "session put 1001 --guid " + guid,
	"session delete 1001", "dead list", "dead show 1", "dead replay 1", "dead purge 1 --yes", "pause", "resume", "rate 5",
}

// Every verb names what is missing in one sentence, and ends with a status that tells what cannot be reached from what
// failed.
func TestWhatIsMissingIsNamed(t *testing.T) {
	withoutJetStream := &site{t: t, url: natstest.StartPlain(t).ClientURL(), names: messages.Names{Prefix: "idlepolicy"}}
	noStreams, noWorker := emptySite(t), newSite(t)

	asks := map[string]bool{"status": true, "pause": true, "resume": true, "rate 5": true}
	for _, verb := range verbs {
		check := func(s *site, status int, want string) {
			t.Helper()
			o := s.runWith(t.Context(), `{"agent_id":"1001","flag":"f"}`, strings.Fields(verb)...)
			if o.status != status || !strings.Contains(o.errout, want) || strings.Count(o.errout, "idlectl: ") != 1 {
				t.Errorf("%s: status %d, want %d and %q:\n%s", verb, o.status, status, want, o.errout)
			}
		}
		check(withoutJetStream, statusUnreachable, "offers no JetStream")
		if asks[verb] {
			check(noWorker, statusFailed, "no worker answers")
		} else {
			check(noStreams, statusUnreachable, "is the worker running with another IDLE_PREFIX?")
		}
	}
}
