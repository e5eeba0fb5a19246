package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/worker/stream/natstest"
)

// Damaged credentials stop the start and the check with one line, and nothing is sent.
func TestDamagedCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "user.creds")
	token, seed := natstest.WriteCredentials(t, file)
	wire := natstest.StartWire(t)
	env := []string{"IDLE_GATEWAY_URL=https://127.0.0.1:1", "IDLE_NATS_URL=" + wire.URL, "IDLE_NATS_CREDS=" + file, "IDLE_HTTP_ADDR="}
	for name, text := range natstest.Damaged(token, seed) {
		if name == "cut off before the last line" {
			continue // the client finds both in it
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{nil, {"-check"}} {
			status, out := ask(t, env, args...)
			if status != 1 || strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "IDLE_NATS_CREDS=") {
				t.Errorf("%s, %v: status %d:\n%s", name, args, status, out)
			}
			if strings.Contains(out+wire.Heard(), seed[:20]) {
				t.Errorf("%s, %v: the seed went out:\n%s\n%s", name, args, out, wire.Heard())
			}
		}
	}
	if wire.Heard() != "" {
		t.Errorf("something was sent:\n%s", wire.Heard())
	}
}
