package config

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/worker/stream/natstest"
)

// Whatever characters a secret has, and whether or not they were escaped: no line about a wrong value shows any of it.
func TestNoProblemShowsASecret(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(25) {
		secret := natstest.Secret(rand.New(rand.NewPCG(seed, 1))) //nolint:gosec // a test that fails has to fail again
		file := filepath.Join(dir, "secret")
		if err := os.WriteFile(file, []byte(secret[:10]+"\n"+secret), 0o600); err != nil {
			t.Fatal(err)
		}
		var pairs []string
		for _, text := range []string{
			"nats://idle:%s@a.example:4222", "nats://%s@a.example", "tls://%s:x@a.example:42x", "ws://idle:%s@a.example,nats://b",
			"idle:%s@a.example", "http://idle:%s@a.example", "nats://a.example/%s", "nats://a.example?%s", "nats://a.example#%s", "nats://idle:x%s",
			"nats://a.example,tls://idle:%s@b.example:99999",
		} {
			for _, form := range []string{secret, url.UserPassword("", secret).String()[1:]} {
				if strings.HasSuffix(text, "x%s") && strings.Contains(form, "@") {
					continue // what follows the @ cannot be told from a host
				}
				pairs = append(pairs, "IDLE_NATS_URL="+fmt.Sprintf(text, form), "IDLE_GATEWAY_URL="+fmt.Sprintf(text, form),
					"IDLE_GATEWAY_HOSTS="+fmt.Sprintf(text, form), "IDLE_HTTP_ADDR="+fmt.Sprintf(text, form), "IDLE_PREFIX="+fmt.Sprintf(text, form))
			}
		}
		for _, name := range []string{"IDLE_NATS_CREDS", "IDLE_NATS_CA", "IDLE_NATS_CERT", "IDLE_GATEWAY_CA", "IDLE_GATEWAY_KEY"} {
			pairs = append(pairs, name+"="+file)
		}
		for _, pair := range pairs {
			problems := problemsOf(t, pair)
			if part := natstest.Leak(problems.Error(), secret); part != "" {
				t.Fatalf("seed %d, %s: %q is shown:\n%v", seed, pair, part, problems)
			}
		}
	}
}
