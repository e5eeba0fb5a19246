package config

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables into deploy/CONFIGURATION.md")

// What users rely on: a name or a default that changes here changes for them.
func TestTable(t *testing.T) {
	want := [][2]string{
		{"IDLE_GATEWAY_URL", "required"},
		{"IDLE_GATEWAY_CA", ""},
		{"IDLE_GATEWAY_SERVER_NAME", ""},
		{"IDLE_GATEWAY_CERT", ""},
		{"IDLE_GATEWAY_KEY", ""},
		{"IDLE_GATEWAY_INSECURE", "false"},
		{"IDLE_GATEWAY_TIMEOUT", "5s"},
		{"IDLE_GATEWAY_CONNECTION_AGE", "5m"},
		{"IDLE_GATEWAY_HOSTS", "the host of IDLE_GATEWAY_URL"},
		{"IDLE_NATS_URL", "nats://127.0.0.1:4222"},
		{"IDLE_NATS_CREDS", ""},
		{"IDLE_NATS_CA", ""},
		{"IDLE_NATS_CERT", ""},
		{"IDLE_NATS_KEY", ""},
		{"IDLE_NATS_DOMAIN", ""},
		{"IDLE_NATS_INBOX_PREFIX", ""},
		{"IDLE_NATS_TLS_FIRST", ""},
		{"IDLE_PREFIX", "idlepolicy"},
		{"IDLE_REPLICAS", "1"},
		{"IDLE_STREAM_MAX_BYTES", ""},
		{"IDLE_RETENTION", "720h"},
		{"IDLE_TAKEOVER", "3s"},
		{"IDLE_RATE", "50"},
		{"IDLE_BURST", "a tenth of the rate"},
		{"IDLE_MAX_IN_FLIGHT", "32"},
		{"IDLE_BACKOFF_INITIAL", "500ms"},
		{"IDLE_BACKOFF_MAX", "30s"},
		{"IDLE_BACKOFF_MULTIPLIER", "2"},
		{"IDLE_BACKOFF_JITTER", "0.5"},
		{"IDLE_MAX_ATTEMPTS", "8"},
		{"IDLE_VALIDITY", "12h"},
		{"IDLE_REAPPLY", "true"},
		{"IDLE_HTTP_ADDR", "127.0.0.1:8080"},
		{"IDLE_HTTP_TOKEN_FILE", ""},
		{"IDLE_HTTP_PUBLISHERS_FILE", ""},
		{"IDLE_HTTP_CERT", ""},
		{"IDLE_HTTP_KEY", ""},
		{"IDLE_HTTP_INSECURE", "false"},
		{"IDLE_LOG_LEVEL", "info"},
		{"IDLE_LOG_FORMAT", "auto"},
		{"IDLE_SHUTDOWN_GRACE", "20s"},
	}
	var got [][2]string
	for _, row := range Table() {
		got = append(got, [2]string{row.Variable, row.Default})
		if row.Meaning == "" {
			t.Errorf("%s has no meaning", row.Variable)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, field := range variables(reflect.TypeFor[Config]()) {
		if field.Tag.Get("want") == "" {
			t.Errorf("%s does not say what it wants", field.Tag.Get("envconfig"))
		}
	}
}

func TestWriteHelp(t *testing.T) {
	var out bytes.Buffer
	if err := WriteHelp(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(Table())+1 {
		t.Fatalf("got %d lines, want %d", len(lines), len(Table())+1)
	}
	column := strings.Index(lines[0], "MEANING")
	for i, row := range Table() {
		if line := lines[i+1]; !strings.HasPrefix(line, row.Variable+" ") || line[column:] != row.Meaning {
			t.Errorf("line %q does not show %+v", line, row)
		}
	}
}

func TestDocumentShowsTheTables(t *testing.T) {
	const file = "../deploy/CONFIGURATION.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fresh := text
	for name, table := range map[string][]Row{"config": Table(), "config tap": TapTable()} {
		part := regexp.MustCompile(`(?s)(<!-- ` + name + `:begin -->\n)(.*)(<!-- ` + name + `:end -->)`)
		found := part.FindSubmatch(text)
		if found == nil {
			t.Fatalf("%s has no lines <!-- %s:begin --> and <!-- %s:end -->", file, name, name)
		}
		if string(found[2]) != markdown(table) && !*update {
			t.Errorf(`the table between <!-- %s:begin --> and its end is not the one of the tags; "go test ./config -update" writes it`, name)
		}
		fresh = part.ReplaceAllLiteral(fresh, []byte(string(found[1])+markdown(table)+string(found[3])))
	}
	if *update {
		if err := os.WriteFile(file, fresh, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
