package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What users of idletap rely on.
func TestTapTable(t *testing.T) {
	want := map[string]string{
		"IDLE_GATEWAY_URL": "required", "IDLE_TAP_ADDR": "127.0.0.1:8044", "IDLE_TAP_CERT": "", "IDLE_TAP_KEY": "",
		"IDLE_TAP_INSECURE": "false", "IDLE_TAP_SILENCE": "120s", "IDLE_TAP_REWRITE_HOST": "false",
		"IDLE_HTTP_ADDR": "127.0.0.1:8081", "IDLE_PREFIX": "idlepolicy", "IDLE_LOG_LEVEL": "info", "IDLE_SHUTDOWN_GRACE": "20s",
	}
	got := map[string]string{}
	for _, row := range TapTable() {
		got[row.Variable] = row.Default
		if row.Meaning == "" {
			t.Errorf("%s has no meaning", row.Variable)
		}
	}
	for name, def := range want {
		if has, ok := got[name]; !ok || has != def {
			t.Errorf("%s: %q (%t), want %q", name, has, ok, def)
		}
	}
	for _, field := range variables(reflect.TypeFor[Tap]()) {
		if field.Tag.Get("want") == "" {
			t.Errorf("%s does not say what it wants", field.Tag.Get("envconfig"))
		}
	}
}

func writersFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "writers")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadTap(t *testing.T) {
	for _, test := range []struct {
		set   map[string]string
		wrong []string // in the order of the table; none: it is right
	}{
		{nil, nil},
		{map[string]string{"IDLE_TAP_ADDR": "[::1]:9000"}, nil},
		{map[string]string{"IDLE_TAP_ADDR": "localhost:9000", "IDLE_TAP_SILENCE": "1s"}, nil},
		{map[string]string{"IDLE_TAP_ADDR": ":8044", "IDLE_TAP_INSECURE": "true"}, nil},
		{map[string]string{"IDLE_RATE": "of the worker's", "IDLE_HTTP_ADDR": ""}, nil},
		{map[string]string{"IDLE_TAP_ADDR": ":8044"}, []string{`IDLE_TAP_ADDR=":8044": want an address of loopback`}},
		{map[string]string{"IDLE_TAP_ADDR": "10.0.0.7"}, []string{`IDLE_TAP_ADDR="10.0.0.7": want HOST:PORT`}},
		{map[string]string{"IDLE_TAP_CERT": "no-such-file"}, []string{`IDLE_TAP_CERT="no-such-file": want IDLE_TAP_KEY`}},
		{map[string]string{"IDLE_TAP_SILENCE": "10ms", "IDLE_LOG_FORMAT": "xml"}, []string{"IDLE_TAP_SILENCE", "IDLE_LOG_FORMAT"}},
		{map[string]string{"IDLE_TAP_SILENSE": "2m"}, []string{"IDLE_TAP_SILENSE: not a variable of this program; did you mean IDLE_TAP_SILENCE?"}},
		{map[string]string{"IDLE_GATEWAY_URL": "http://gateway.example"}, []string{"IDLE_GATEWAY_URL="}},
		{
			map[string]string{"IDLE_HTTP_ADDR": "127.0.0.1:8044"},
			[]string{`IDLE_HTTP_ADDR="127.0.0.1:8044": want an address other than IDLE_TAP_ADDR="127.0.0.1:8044" (the default)`},
		},
		{
			map[string]string{"IDLE_TAP_ADDR": "localhost:8081"},
			[]string{`IDLE_HTTP_ADDR="127.0.0.1:8081" (the default): want an address other than IDLE_TAP_ADDR="localhost:8081"`},
		},
		{map[string]string{"IDLE_HTTP_ADDR": ":8044"}, []string{`IDLE_HTTP_ADDR=":8044": want an address other than`}},
		{map[string]string{"IDLE_HTTP_ADDR": "[::]:8044"}, []string{`IDLE_HTTP_ADDR="[::]:8044": want an address other than`}},
		{
			map[string]string{"IDLE_TAP_ADDR": "0.0.0.0:8081", "IDLE_TAP_INSECURE": "true"},
			[]string{`IDLE_HTTP_ADDR="127.0.0.1:8081" (the default): want an address other than IDLE_TAP_ADDR="0.0.0.0:8081"`},
		},
		{map[string]string{"IDLE_TAP_ADDR": "127.0.0.1:0", "IDLE_HTTP_ADDR": "127.0.0.1:0"}, nil}, // any free ports
		{map[string]string{"IDLE_HTTP_ADDR": "127.0.0.2:8044"}, nil},
		{map[string]string{"IDLE_HTTP_ADDR": "[::1]:8044"}, nil},
		{map[string]string{"IDLE_TAP_ADDR": "8044", "IDLE_HTTP_ADDR": "8044"}, []string{`IDLE_TAP_ADDR="8044": want HOST:PORT`, `IDLE_HTTP_ADDR="8044": want HOST:PORT`}},
		{map[string]string{"IDLE_HTTP_WRITERS_FILE": writersFile(t, "middleware a-token-of-some-length\n")}, nil},
		{map[string]string{"IDLE_HTTP_WRITERS_FILE": "no-such-file"}, []string{`IDLE_HTTP_WRITERS_FILE="no-such-file": want a file with lines of NAME TOKEN`}},
		{map[string]string{"IDLE_HTTP_WRITERS_FILE": writersFile(t, "middleware short\n")}, []string{`IDLE_HTTP_WRITERS_FILE="`}},
		{map[string]string{"IDLE_HTTP_WRITERS_FILE": writersFile(t, "")}, []string{`IDLE_HTTP_WRITERS_FILE="`}},
	} {
		t.Run("", func(t *testing.T) {
			t.Setenv("IDLE_GATEWAY_URL", "https://gateway.example:8043")
			for name, value := range test.set {
				t.Setenv(name, value)
			}
			c, err := LoadTap()
			if len(test.wrong) == 0 {
				if err != nil || c.Silence < time.Second || c.GatewayURL != "https://gateway.example:8043" {
					t.Errorf("%v: %v", test.set, err)
				}
				return
			}
			problems, _ := err.(Problems) //nolint:errorlint // as documented
			if len(problems) != len(test.wrong) {
				t.Fatalf("%v: %q, want %q", test.set, problems, test.wrong)
			}
			for i, want := range test.wrong {
				if !strings.HasPrefix(problems[i], want) {
					t.Errorf("%q, want %q", problems[i], want)
				}
			}
		})
	}
}
