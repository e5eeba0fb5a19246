package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/config"
	"idlepolicy/worker/stream/natstest"
)

// Damaged credentials never leave this machine, whichever way the tool is told of them.
func TestDamagedCredentialsAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "user.creds")
	token, seed := natstest.WriteCredentials(t, file)
	wire := natstest.StartWire(t)
	context := filepath.Join(dir, "context.json")
	if err := os.WriteFile(context, []byte(`{"url":"`+wire.URL+`","creds":"`+file+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("IDLE_NATS_URL", wire.URL)
	for name, text := range natstest.Damaged(token, seed) {
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(text, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "cut off before the last line" {
			continue // the client finds both in it
		}
		for _, args := range []string{"status", "status --creds " + file, "status --context " + context} {
			t.Setenv("IDLE_NATS_CREDS", "")
			if args == "status" {
				t.Setenv("IDLE_NATS_CREDS", file)
			}
			var out strings.Builder
			if got := run(t.Context(), strings.Fields(args), config.LoadClient, strings.NewReader(""), &out, &out); got == statusFine {
				t.Errorf("%s, %s: not refused: %s", name, args, out.String())
			}
			if strings.Contains(out.String()+wire.Heard(), seed[:20]) {
				t.Fatalf("%s, %s: the seed went out: %s\n%s", name, args, out.String(), wire.Heard())
			}
		}
	}
}
