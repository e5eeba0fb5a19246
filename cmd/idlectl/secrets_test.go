package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/worker/stream/natstest"
)

// Random secrets go into every flag and file that takes one, escaped and not; nothing that the tool prints shows a part of one.
func TestNothingPrintedShowsASecret(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	file, context := filepath.Join(dir, "secret"), filepath.Join(dir, "context.json")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range uint64(15) {
		secret := natstest.Secret(rand.New(rand.NewPCG(seed, 2))) //nolint:gosec // a test that fails has to fail again
		write(file, secret)
		runs := [][]string{
			{"session", "put", "1001", "--guid", secret},
			{"session", "put", "1001", "--guid-file", file},
			{"session", "put", secret, "--guid-file", file},
			{"session", "list"},
			{"session", "list", "--json"},
			{"explain", "1001"},
			{"explain", "1001", "--json"},
			{"session", "list", "--creds", file},
			{"session", "list", "--tls-ca", file},
			{"session", "list", "--tls-cert", file, "--tls-key", file},
		}
		for _, form := range []string{secret, url.UserPassword("", secret).String()[1:]} {
			for _, u := range []string{"nats://idle:" + form + "@127.0.0.1:1", "nats://" + form + "@127.0.0.1:1", "idle:" + form + "@127.0.0.1:1"} {
				text, err := json.Marshal(map[string]string{"url": u, "token": secret, "password": secret})
				if err != nil {
					t.Fatal(err)
				}
				named := fmt.Sprintf("%s.%d", context, len(runs))
				write(named, string(text))
				runs = append(runs, []string{"session", "list", "--server", u}, []string{"session", "list", "--context", named})
			}
		}
		for _, args := range runs {
			var out strings.Builder
			run(t.Context(), args, s.environment, strings.NewReader(""), &out, &out)
			if part := natstest.Leak(out.String(), secret); part != "" {
				t.Errorf("seed %d, %q: %q is printed:\n%s", seed, args, part, out.String())
			}
		}
	}
}
