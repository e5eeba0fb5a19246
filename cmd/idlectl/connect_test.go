package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/config"
)

func TestFlagsOverrideTheEnvironment(t *testing.T) {
	s := newSite(t)
	wrong := func() (config.Client, error) {
		return config.Client{Prefix: "idlepolicy"}, config.Problems{`IDLE_NATS_URL="nonsense": want nats://`}
	}
	for _, test := range []struct {
		args   string
		load   func() (config.Client, error)
		status int
		want   string
	}{
		{"session list", wrong, statusUsage, "IDLE_NATS_URL"},
		{"session list -s " + s.url, wrong, statusFine, "nobody is signed in"},
		{"session list --server " + strings.TrimPrefix(s.url, "nats://"), wrong, statusFine, "nobody is signed in"},
		{"session list --server nats://me:geheim@%zz", s.environment, statusUsage, "--server \"nats://***@***\": want nats://"},
		{"session list --server nats://me:1234#geheim@127.0.0.1", s.environment, statusUsage, "# as %23"},
		{"session list --server nats://me:geheim@127.0.0.1:1", s.environment, statusUnreachable, "nats://***@127.0.0.1:1"},
		{"session list --prefix A", s.environment, statusUsage, "--prefix: want"},
		{"session list --prefix other", s.environment, statusUnreachable, "no bucket other_sessions"},
		{"session list --tls-cert x.pem", s.environment, statusUsage, "--tls-cert and --tls-key"},
		{"session list --tls-ca /no/such.pem", s.environment, statusUsage, "--tls-ca \"/no/such.pem\": want a file with PEM certificates (no such file or directory)"},
		{"session list --tls-ca /dev/null", s.environment, statusUsage, "--tls-ca \"/dev/null\": want a file with PEM certificates"},
		{"session list --creds /none", s.environment, statusUsage, "--creds \"/none\": want a credentials file"},
		{"session list --creds /dev/null", s.environment, statusUsage, "(it is empty)"},
		{"session list --tls-cert /dev/null --tls-key /dev/null", s.environment, statusUsage, "--tls-cert and --tls-key: want"},
		{"rate -1", s.environment, statusUsage, "rate: -1 is not a flag, and no number below 0 is allowed"},
		{"dead show -1", s.environment, statusUsage, "dead show: -1 is not a flag"},
		{"rate -x", s.environment, statusUsage, "unknown shorthand flag"},
		{"results --last x", s.environment, statusUsage, "--last \"x\": want a whole number"},
		{"dead list --limit 99999999999999999999", s.environment, statusUsage, "--limit \"99999999999999999999\": want a whole number"},
		{"publish - --timeout 5", s.environment, statusUsage, "--timeout \"5\": want a duration such as 10m"},
		{"publish - --wait=maybe", s.environment, statusUsage, "--wait \"maybe\": want true or false"},
		{"results --batch a.b", s.environment, statusUsage, "batch \"a.b\": want"},
		{"dead list --batch a.b", s.environment, statusUsage, "batch \"a.b\": want"},
		{"dead list --since 2h --until 3h", s.environment, statusUsage, "--since 2h --until 3h: no letter can match both"},
		{"session list", func() (config.Client, error) { return config.Client{}, errors.New("no environment") }, statusUsage, "no environment"},
		{"sessions", s.environment, statusUsage, "unknown command"},
		{"session list --jsn", s.environment, statusUsage, "unknown flag"},
		{"-help", s.environment, statusFine, "Exit status:"},
		{"dead replay -help", s.environment, statusFine, "--force"},
		{"-version", s.environment, statusFine, "idlectl version"},
		{"completion bash", s.environment, statusFine, "bash completion"},
	} {
		var out, errout bytes.Buffer
		status := run(t.Context(), strings.Fields(test.args), test.load, strings.NewReader(""), &out, &errout)
		text := out.String() + errout.String()
		if status != test.status || !strings.Contains(text, test.want) {
			t.Errorf("%s: status %d, want %d with %q:\n%.500s", test.args, status, test.status, test.want, text)
		}
		if strings.Contains(text, "strconv") {
			t.Errorf("%s says what nobody typed: %s", test.args, text)
		}
		if strings.Contains(text, "geheim") {
			t.Errorf("%s shows a password: %s", test.args, text)
		}
	}
}

func TestContextOfTheNATSCommand(t *testing.T) {
	s := newSite(t)
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	folder := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ours":  `{"description":"a site","url":"` + s.url + `"}`,
		"gone":  `{"url":"nats://me:geheim@127.0.0.1:1"}`,
		"leaf":  `{"url":"` + s.url + `","jetstream_domain":"hub"}`,
		"empty": `nonsense`,
	} {
		if err := os.WriteFile(filepath.Join(folder, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wrong := func() (config.Client, error) {
		return config.Client{Prefix: "idlepolicy"}, config.Problems{`IDLE_NATS_URL="nonsense": want nats://`}
	}
	for _, test := range []struct {
		args   string
		status int
		want   string
	}{
		{"session list --context ours", statusFine, "nobody is signed in"},
		{"session list --context ours --prefix other", statusUnreachable, "no bucket other_sessions on " + s.url},
		{"session list --context gone", statusUnreachable, `the context "gone"`},
		{"session list --context leaf", statusUnreachable, `no JetStream domain "hub" answers`},
		{"session list --context empty", statusUnreachable, `the context "empty"`},
		{"session list --context missing", statusUnreachable, `unknown context "missing"`},
		{"session list --context ours --server x", statusUsage, "want no --server"},
		{"__complete session list --context o", statusFine, "ours"},
	} {
		var out, errout bytes.Buffer
		status := run(t.Context(), strings.Fields(test.args), wrong, strings.NewReader(""), &out, &errout)
		text := out.String() + errout.String()
		if status != test.status || !strings.Contains(text, test.want) || strings.Contains(text, "geheim") {
			t.Errorf("%s: status %d, want %d with %q:\n%.500s", test.args, status, test.status, test.want, text)
		}
	}
}
