package stream

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"idlepolicy/worker/stream/natstest"
	"idlepolicy/worker/view"
)

// logText is a log that may be read while it is written.
type logText struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logText) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logText) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// An owner that loses NATS logs that once, with the reason, and not all that fails because of it.
func TestLostConnectionIsOneWarning(t *testing.T) {
	s := newSite(t)
	log := &logText{}
	s.log = slog.NewTextHandler(log, nil)
	a := s.startOwner("a")
	s.signIn("1001", "g1")
	before := len(log.lines())
	port := natstest.Port(s.server)
	natstest.Stop(s.server)
	s.wait("it notices that it cannot take part and hears of no sign-ins", func() bool {
		a.owner.troubles.mu.Lock()
		defer a.owner.troubles.mu.Unlock()
		_, sessions := a.owner.troubles.now["sign-ins are not heard of"]
		_, part := a.owner.troubles.now[takingPart]
		return sessions && part
	})
	if why := a.owner.State().Trouble; !strings.HasPrefix(why, "connection to NATS lost at ") || strings.Contains(why, "sign-ins") {
		t.Errorf("while it lasts the trouble is %q", why)
	}
	warned := 0
	for _, line := range log.lines()[before:] {
		if strings.Contains(line, "level=WARN") && !strings.Contains(line, "NATS cannot be reached, still trying") { // which has the address
			warned++
		}
	}
	if warned != 1 {
		t.Errorf("%d warnings, want 1:\n%s", warned, strings.Join(log.lines()[before:], "\n"))
	}

	s.startServer(port)
	s.wait("it is the owner again", func() bool { st := a.owner.State(); return st.Role == view.RoleOwner && st.Trouble == "" })
	if all := strings.Join(log.lines(), "\n"); !strings.Contains(all, "connected to NATS again") {
		t.Errorf("the log does not say that it is back:\n%s", all)
	}
}

// What still fails once the connection is back is logged then.
func TestTroubleThatOutlastsTheConnectionIsLogged(t *testing.T) {
	log := &logText{}
	var all troubles
	all.logTo(slog.New(slog.NewTextHandler(log, nil)))
	all.lose(errors.New("EOF"))
	all.report("work", errors.New("broken"))
	if text := strings.Join(log.lines(), ""); text != "" {
		t.Errorf("logged while the connection is lost: %s", text)
	}
	all.find()
	all.report("work", errors.New("broken"))
	all.report("work", errors.New("broken"))
	if lines := log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "work: broken") {
		t.Errorf("logged afterwards: %q", lines)
	}
}
