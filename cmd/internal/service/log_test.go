package service

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// Whoever reads the log in the morning finds each ending, each turn of the gate and of the ownership, once.
func TestLogHasWhatHappened(t *testing.T) {
	s := newSite(t)
	stop := s.start()
	s.isOwner()
	js := s.connect()
	session := s.signIn(js, "1001")
	s.endEachWay(js)
	s.outage(gatewaytest.Refusing)
	s.publish(js, `{"agent_id": "1001", "flag": "true", "id": "c-5"}`, nil)
	s.gateState("probing")
	s.outage(gatewaytest.NoOutage)
	s.gateState("open")
	s.wait("what waited is applied", func() bool { return len(s.log.lines(t, "result")) == 5 })
	stop()
	s.wantEndings("applied", "rejected", "expired", "failed", "applied")
	s.wantLines("the gate holds calls back", "state", "probing")
	s.wantLines("the gate is open again", "was", "probing")
	s.wantLines("ownership", "role", "standby", "owner")
	if strings.Contains(s.log.text(), session.GUID) {
		t.Error("the log shows a GUID")
	}
}

func (s *site) endEachWay(js jetstream.JetStream) {
	s.t.Helper()
	s.publish(js, `{"agent_id": "1001", "flag": "false", "id": "c-1"}`, nil)
	s.result(js, messages.Applied, "1001")
	s.publish(js, `{"agent_id": "1001", "flag": "yes", "id": "c-2"}`, nil)
	s.result(js, messages.Rejected, "1001")
	soon := time.Now().Add(300 * time.Millisecond).Format(time.RFC3339Nano)
	s.publish(js, `{"agent_id": "1002", "flag": "false", "id": "c-3", "valid_until": "`+soon+`"}`, nil)
	s.result(js, messages.Expired, "1002")
	remove := s.gateway.On("1001", gatewaytest.Rule{Retcode: "100-007", Message: "no"})
	s.publish(js, `{"agent_id": "1001", "flag": "false", "id": "c-4"}`, nil)
	s.result(js, messages.Failed, "1001")
	remove()
}

// wantEndings wants one line for each, in this order, all with the same keys and with times that people can read.
func (s *site) wantEndings(outcomes ...string) {
	s.t.Helper()
	levels := map[string]string{"applied": "INFO", "rejected": "WARN", "expired": "WARN", "failed": "WARN"}
	var got []string
	for _, line := range s.log.lines(s.t, "result") {
		outcome, _ := line["outcome"].(string)
		got = append(got, outcome)
		keys := slices.Sorted(maps.Keys(line))
		want := []string{
			"after", "agent", "attempts", "change", "flag", "level", "message", "msg", "outcome", "retcode", "seq", "time",
		}
		if !slices.Equal(keys, want) {
			s.t.Errorf("%s has the keys %v", outcome, keys)
		}
		if line["level"] != levels[outcome] {
			s.t.Errorf("%s is logged at %v", outcome, line["level"])
		}
		text, _ := line["after"].(string)
		if _, err := time.ParseDuration(text); err != nil {
			s.t.Errorf("%s after %v: %v", outcome, line["after"], err)
		}
	}
	if !slices.Equal(got, outcomes) {
		s.t.Errorf("endings %v", got)
	}
}

// wantLines wants the lines with that message to have these values of a key.
func (s *site) wantLines(message, key string, values ...string) {
	s.t.Helper()
	var got []string
	for _, line := range s.log.lines(s.t, message) {
		value, _ := line[key].(string)
		got = append(got, value)
	}
	if !slices.Equal(got, values) {
		s.t.Errorf("%q: %s is %v, want %v; the log:\n%s", message, key, got, values, s.log.text())
	}
}

// Whoever wants no colours gets a log without any, also where the format is meant for eyes.
func TestLogWithoutColours(t *testing.T) {
	for _, test := range []struct {
		noColor, term string
		colours       bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", test.noColor)
		t.Setenv("TERM", test.term)
		var out strings.Builder
		slog.New(logHandler(&out, slog.LevelInfo, true)).Error("something", "err", "wrong")
		if got := strings.Contains(out.String(), "\x1b"); got != test.colours || out.Len() == 0 {
			t.Errorf("NO_COLOR=%q TERM=%q: %q", test.noColor, test.term, out.String())
		}
	}
}

// What a stranger wrote moves no cursor in a terminal, in whichever format the log is.
func TestLogIsCleanOfStrangersTexts(t *testing.T) {
	const hostile = "a\x1b[2J\x9b\u009b31m\u202eb\r\nlevel=INFO\x07"
	for _, forEyes := range []bool{true, false} {
		t.Setenv("NO_COLOR", "1") // the colours are escapes too
		var out strings.Builder
		slog.New(logHandler(&out, slog.LevelInfo, forEyes)).Warn(hostile, "text", hostile, "err", errors.New(hostile), "took", time.Second)
		line := strings.TrimSuffix(out.String(), "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(line) {
			t.Errorf("for eyes: %v: %q", forEyes, line)
		}
		if strings.Count(line, "[2J") != 3 || !strings.Contains(line, "1s") {
			t.Errorf("for eyes: %v: %q is not all", forEyes, line)
		}
	}
}
