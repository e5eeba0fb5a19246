package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/stream/natstest"
)

const gatewayURL = "https://gateway.example:8043"

// setEnv leaves nothing of ours in the environment but the pairs given.
func setEnv(t *testing.T, pairs ...string) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "IDLE_") {
			t.Setenv(name, value) // so that it is put back after the test
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// problemsOf loads an environment that is right but for the pairs given.
func problemsOf(t *testing.T, pairs ...string) Problems {
	t.Helper()
	setEnv(t, append([]string{"IDLE_GATEWAY_URL=" + gatewayURL}, pairs...)...)
	_, err := Load()
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("the error is a %T, want Problems", err)
	}
	return problems
}

func TestDefaults(t *testing.T) {
	setEnv(t, "IDLE_GATEWAY_URL="+gatewayURL)
	got, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Gateway: Gateway{
			GatewayURL: gatewayURL, GatewayTimeout: 5 * time.Second, GatewayAge: 5 * time.Minute,
			GatewayHosts: []string{"gateway.example:8043"},
		},
		Client:            Client{NATSURLs: []string{"nats://127.0.0.1:4222"}, Prefix: "idlepolicy"},
		Replicas:          1,
		Retention:         720 * time.Hour,
		Takeover:          3 * time.Second,
		Rate:              50,
		MaxInFlight:       32,
		BackoffInitial:    500 * time.Millisecond,
		BackoffMax:        30 * time.Second,
		BackoffMultiplier: 2,
		BackoffJitter:     0.5,
		MaxAttempts:       8,
		Validity:          12 * time.Hour,
		Reapply:           true,
		HTTPAddr:          "127.0.0.1:8080",
		LogLevel:          slog.LevelInfo,
		LogFormat:         "auto",
		ShutdownGrace:     20 * time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestValues(t *testing.T) {
	for pairs, ok := range map[string]func(Config) bool{
		"IDLE_RATE=0.5":                                  func(c Config) bool { return c.Rate == 0.5 && c.Burst == 0 },
		"IDLE_RATE=0":                                    func(c Config) bool { return c.Rate == 0 && c.Burst == 0 },
		"IDLE_RATE=200":                                  func(c Config) bool { return c.Rate == 200 && c.Burst == 0 },
		"IDLE_RATE=200 IDLE_BURST=2.5":                   func(c Config) bool { return c.Burst == 2.5 },
		"IDLE_RATE= IDLE_RETENTION= IDLE_REAPPLY=":       func(c Config) bool { return c.Rate == 50 && c.Retention == 720*time.Hour && c.Reapply },
		"IDLE_NATS_URL= IDLE_GATEWAY_HOSTS= IDLE_BURST=": func(c Config) bool { return len(c.NATSURLs) == 1 && len(c.GatewayHosts) == 1 && c.Burst == 0 },
		"IDLE_HTTP_ADDR=":                                func(c Config) bool { return c.HTTPAddr == "" },
		"IDLE_HTTP_ADDR=:0":                              func(c Config) bool { return c.HTTPAddr == ":0" },
		"IDLE_HTTP_ADDR=[::1]:80":                        func(c Config) bool { return c.HTTPAddr == "[::1]:80" },
		"IDLE_LOG_LEVEL=debug":                           func(c Config) bool { return c.LogLevel == slog.LevelDebug },
		"IDLE_GATEWAY_URL=HTTPS://Gateway.Example/": func(c Config) bool {
			return c.GatewayURL == "https://gateway.example" && c.GatewayHosts[0] == "gateway.example:443"
		},
		"IDLE_GATEWAY_URL=https://[fd00::1]:8043":                     func(c Config) bool { return c.GatewayHosts[0] == "[fd00::1]:8043" },
		"IDLE_GATEWAY_INSECURE=true IDLE_GATEWAY_URL=http://10.0.0.7": func(c Config) bool { return c.GatewayInsecure && c.GatewayHosts[0] == "10.0.0.7:80" },
		"IDLE_GATEWAY_HOSTS=A.example:8043,,b.example:8043":           nil,
		"IDLE_GATEWAY_HOSTS=A.example:8043,b.example:8043":            func(c Config) bool { return c.GatewayHosts[0] == "a.example:8043" && len(c.GatewayHosts) == 2 },
		"IDLE_NATS_URL=tls://a:4222,nats://u:p@b":                     func(c Config) bool { return c.NATSURLs[1] == "nats://u:p@b" },
		"IDLE_PREFIX=site-7.north_2":                                  func(c Config) bool { return c.Prefix == "site-7.north_2" },
		"IDLE_NATS_DOMAIN=hub IDLE_NATS_INBOX_PREFIX=_INBOX_idle.x IDLE_NATS_TLS_FIRST=true": func(c Config) bool {
			return c.NATSDomain == "hub" && c.NATSInboxPrefix == "_INBOX_idle.x" && c.NATSTLSFirst
		},
		"IDLE_STREAM_MAX_BYTES=10737418240": func(c Config) bool { return c.MaxBytes == 10<<30 },
		"IDLE_LOG_LEVEL=INFO":               func(c Config) bool { return c.LogLevel == slog.LevelInfo },
		"IDLE_LOG_LEVEL=Warn":               func(c Config) bool { return c.LogLevel == slog.LevelWarn },
		"IDLE_SHUTDOWN_GRACE=0s":            func(c Config) bool { return c.ShutdownGrace == 0 },
	} {
		t.Run(pairs, func(t *testing.T) {
			setEnv(t, append([]string{"IDLE_GATEWAY_URL=" + gatewayURL}, strings.Fields(pairs)...)...)
			got, err := Load()
			if ok == nil {
				if err == nil {
					t.Fatal("no problem was found")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !ok(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestWrongValues(t *testing.T) {
	const (
		gateway = `want https://HOST:PORT without user, path or query; plain http only with IDLE_GATEWAY_INSECURE=true`
		nats    = `want nats://, tls://, ws:// or wss:// with HOST:PORT, or several separated by commas, not ws with others`
		escape  = `in a user name, password or token write % as %25, # as %23, / as %2F, ? as %3F, @ as %40, : as %3A and a comma as %2C`
		hosts   = `want HOST:PORT, or several separated by commas`
		prefix  = `want 1 to 32 of a-z, 0-9, -, _ and single dots inside`
		addr    = `want HOST:PORT or :PORT, or nothing to turn it off`
		flight  = `want a whole number from 1 to 10000`
		rate    = `want a number of requests per second, 0 or more, decimals allowed`
		burst   = `want a number of requests, 1 or more, decimals allowed`
	)
	for _, test := range []struct{ pairs, line string }{
		{`IDLE_GATEWAY_URL=`, `IDLE_GATEWAY_URL is required: ` + gateway},
		{`IDLE_RETENTION=2562047h`, `IDLE_RETENTION="2562047h": want a duration of at least 1s, such as 720h (the longest is 87600h, ten years)`},
		{`IDLE_GATEWAY_URL=gateway:8043`, `IDLE_GATEWAY_URL="gateway:8043": ` + gateway},
		{`IDLE_GATEWAY_URL=http://gateway`, `IDLE_GATEWAY_URL="http://gateway": ` + gateway},
		{`IDLE_GATEWAY_URL=ftp://gateway IDLE_GATEWAY_INSECURE=true`, `IDLE_GATEWAY_URL="ftp://gateway": ` + gateway},
		{`IDLE_GATEWAY_URL=https://`, `IDLE_GATEWAY_URL="https://": ` + gateway},
		{`IDLE_GATEWAY_URL=https://:8043`, `IDLE_GATEWAY_URL="https://:8043": ` + gateway},
		{`IDLE_GATEWAY_URL=https://gateway:`, `IDLE_GATEWAY_URL="https://gateway:": ` + gateway},
		{`IDLE_GATEWAY_URL=https://gateway:80430`, `IDLE_GATEWAY_URL="https://gateway:80430": ` + gateway},
		{`IDLE_GATEWAY_URL=https://gateway:0`, `IDLE_GATEWAY_URL="https://gateway:0": ` + gateway},
		{`IDLE_GATEWAY_URL=http://gateway IDLE_GATEWAY_INSECURE=maybe`, `IDLE_GATEWAY_INSECURE="maybe": want true or false, 1 or 0, t or f`},
		{`IDLE_TAKEOVER=3`, `IDLE_TAKEOVER="3": want a duration of at least 2.5s (a unit is missing: 3s)`},
		{`IDLE_BACKOFF_INITIAL=0.5`, `IDLE_BACKOFF_INITIAL="0.5": want a duration above 0, such as 500ms (a unit is missing: 0.5s)`},
		{`IDLE_GATEWAY_URL=https://gateway/agentgateway`, `IDLE_GATEWAY_URL="https://gateway/***": ` + gateway},
		{`IDLE_GATEWAY_URL=https://gateway/?token=hush`, `IDLE_GATEWAY_URL="https://gateway/***": ` + gateway},
		{`IDLE_GATEWAY_URL=https://user:hush@gateway`, `IDLE_GATEWAY_URL="https://***@gateway": ` + gateway},
		{`IDLE_GATEWAY_CA=/nowhere`, `IDLE_GATEWAY_CA="/nowhere": want a file with PEM certificates (no such file or directory)`},
		{`IDLE_GATEWAY_CA=config.go`, `IDLE_GATEWAY_CA="config.go": want a file with PEM certificates (there is none in it that can be read)`},
		{`IDLE_GATEWAY_SERVER_NAME=gateway:8043`, `IDLE_GATEWAY_SERVER_NAME="gateway:8043": want a host name or an IP address, without port`},
		{`IDLE_GATEWAY_CERT=client.crt`, `IDLE_GATEWAY_CERT="client.crt": want IDLE_GATEWAY_KEY to be set with it`},
		{`IDLE_GATEWAY_KEY=client.key`, `IDLE_GATEWAY_KEY="client.key": want IDLE_GATEWAY_CERT to be set with it`},
		{`IDLE_GATEWAY_INSECURE=maybe`, `IDLE_GATEWAY_INSECURE="maybe": want true or false, 1 or 0, t or f`},
		{`IDLE_GATEWAY_TIMEOUT=5`, `IDLE_GATEWAY_TIMEOUT="5": want a duration above 0, such as 5s (a unit is missing: 5s)`},
		{`IDLE_GATEWAY_CONNECTION_AGE=0s`, `IDLE_GATEWAY_CONNECTION_AGE="0s": want a duration above 0, such as 5m`},
		{`IDLE_GATEWAY_TIMEOUT=0s`, `IDLE_GATEWAY_TIMEOUT="0s": want a duration above 0, such as 5s`},
		{`IDLE_GATEWAY_HOSTS=gateway`, `IDLE_GATEWAY_HOSTS="gateway": ` + hosts},
		{`IDLE_GATEWAY_HOSTS=:8043`, `IDLE_GATEWAY_HOSTS=":8043": ` + hosts},
		{`IDLE_GATEWAY_HOSTS=a:1,b`, `IDLE_GATEWAY_HOSTS="a:1,b": ` + hosts},
		{`IDLE_NATS_URL=localhost:4222`, `IDLE_NATS_URL="localhost:4222": ` + nats + ` (one of them does not begin so)`},
		{`IDLE_NATS_URL=http://localhost`, `IDLE_NATS_URL="http://localhost": ` + nats + ` (one of them does not begin so)`},
		{`IDLE_NATS_URL=nats://a,ws://b`, `IDLE_NATS_URL="nats://a,ws://b": ` + nats + ` (ws:// and wss:// do not go together with others)`},
		{`IDLE_NATS_URL=nats://user:hush@a:x,nats://hush@b`, `IDLE_NATS_URL="nats://***@***,nats://***@b": ` + nats + ` (its host or port is not one; ` + escape + `)`},
		{`IDLE_NATS_URL=nats://user:hu,sh@a`, `IDLE_NATS_URL="nats://***@a": ` + nats + ` (its host or port is not one; ` + escape + `)`},
		{`IDLE_NATS_URL=nats://idle:1234#hush@a`, `IDLE_NATS_URL="nats://***": ` + nats + ` (a NATS URL has no path, query or fragment; ` + escape + `)`},
		{`IDLE_NATS_URL=nats://idle:1234/hush@a`, `IDLE_NATS_URL="nats://***": ` + nats + ` (a NATS URL has no path, query or fragment; ` + escape + `)`},
		{`IDLE_NATS_URL=nats://to?hush@a`, `IDLE_NATS_URL="nats://***": ` + nats + ` (a NATS URL has no path, query or fragment; ` + escape + `)`},
		{`IDLE_NATS_URL=nats://a:4222#hush`, `IDLE_NATS_URL="nats://a:4222/***": ` + nats + ` (a NATS URL has no path, query or fragment)`},
		{`IDLE_NATS_CREDS=/nowhere`, `IDLE_NATS_CREDS="/nowhere": want a readable credentials file (no such file or directory)`},
		{`IDLE_NATS_CREDS=/dev/null`, `IDLE_NATS_CREDS="/dev/null": want a readable credentials file (it is empty)`},
		{`IDLE_NATS_CREDS=..`, `IDLE_NATS_CREDS="..": want a readable credentials file (is a directory)`},
		{`IDLE_NATS_CREDS=eyJhush.eyJ.sig`, `IDLE_NATS_CREDS="***": want a readable credentials file (no such file or directory)`},
		{`IDLE_NATS_CA=/nowhere`, `IDLE_NATS_CA="/nowhere": want a file with PEM certificates (no such file or directory)`},
		{`IDLE_NATS_CERT=/nowhere`, `IDLE_NATS_CERT="/nowhere": want IDLE_NATS_KEY to be set with it`},
		{`IDLE_NATS_KEY=/nowhere`, `IDLE_NATS_KEY="/nowhere": want IDLE_NATS_CERT to be set with it`},
		{`IDLE_PREFIX=Site`, `IDLE_PREFIX="Site": ` + prefix},
		{`IDLE_PREFIX=a..b`, `IDLE_PREFIX="a..b": ` + prefix},
		{`IDLE_PREFIX=.a`, `IDLE_PREFIX=".a": ` + prefix},
		{`IDLE_PREFIX=a*`, `IDLE_PREFIX="a*": ` + prefix},
		{`IDLE_PREFIX=a23456789012345678901234567890123`, `IDLE_PREFIX="a23456789012345678901234567890123": ` + prefix},
		{`IDLE_REPLICAS=6`, `IDLE_REPLICAS="6": want a whole number from 1 to 5`},
		{`IDLE_REPLICAS=0x3`, `IDLE_REPLICAS="0x3": want a whole number from 1 to 5`},
		{`IDLE_RETENTION=900ms`, `IDLE_RETENTION="900ms": want a duration of at least 1s, such as 720h`},
		{`IDLE_TAKEOVER=2.4s`, `IDLE_TAKEOVER="2.4s": want a duration of at least 2.5s`},
		{`IDLE_RATE=abc`, `IDLE_RATE="abc": ` + rate},
		{`IDLE_RATE=-1`, `IDLE_RATE="-1": ` + rate},
		{`IDLE_RATE=NaN`, `IDLE_RATE="NaN": ` + rate},
		{`IDLE_RATE=Inf`, `IDLE_RATE="Inf": ` + rate},
		{`IDLE_BURST=0`, `IDLE_BURST="0": ` + burst},
		{`IDLE_BURST=0.5`, `IDLE_BURST="0.5": ` + burst},
		{`IDLE_BURST=+Inf`, `IDLE_BURST="+Inf": ` + burst},
		{`IDLE_MAX_IN_FLIGHT=0`, `IDLE_MAX_IN_FLIGHT="0": ` + flight},
		{`IDLE_MAX_IN_FLIGHT=10001`, `IDLE_MAX_IN_FLIGHT="10001": ` + flight},
		{`IDLE_MAX_IN_FLIGHT=010`, `IDLE_MAX_IN_FLIGHT="010": ` + flight},
		{`IDLE_MAX_IN_FLIGHT=1.5`, `IDLE_MAX_IN_FLIGHT="1.5": ` + flight},
		{`IDLE_BACKOFF_INITIAL=0s`, `IDLE_BACKOFF_INITIAL="0s": want a duration above 0, such as 500ms`},
		{`IDLE_BACKOFF_MAX=-1s`, `IDLE_BACKOFF_MAX="-1s": want a duration above 0, such as 30s`},
		{`IDLE_BACKOFF_MAX=100ms`, `IDLE_BACKOFF_MAX="100ms": want no less than IDLE_BACKOFF_INITIAL="500ms" (the default)`},
		{`IDLE_BACKOFF_MULTIPLIER=0.9`, `IDLE_BACKOFF_MULTIPLIER="0.9": want a number, 1 or more, decimals allowed`},
		{`IDLE_BACKOFF_JITTER=1.1`, `IDLE_BACKOFF_JITTER="1.1": want a number from 0 to 1`},
		{`IDLE_MAX_ATTEMPTS=0`, `IDLE_MAX_ATTEMPTS="0": want a whole number, 1 or more`},
		{`IDLE_VALIDITY=0s`, `IDLE_VALIDITY="0s": want a duration above 0, such as 12h`},
		{`IDLE_REAPPLY=yes`, `IDLE_REAPPLY="yes": want true or false, 1 or 0, t or f`},
		{`IDLE_HTTP_ADDR=8080`, `IDLE_HTTP_ADDR="8080": ` + addr},
		{`IDLE_HTTP_ADDR=localhost:http`, `IDLE_HTTP_ADDR="localhost:http": ` + addr},
		{`IDLE_HTTP_TOKEN_FILE=/nowhere`, `IDLE_HTTP_TOKEN_FILE="/nowhere": want a file with a token of at least 12 characters (no such file or directory)`},
		{`IDLE_HTTP_TOKEN_FILE=/dev/null`, `IDLE_HTTP_TOKEN_FILE="/dev/null": want a file with a token of at least 12 characters (it is shorter)`},
		{`IDLE_LOG_LEVEL=loud`, `IDLE_LOG_LEVEL="loud": want debug, info, warn or error`},
		{`IDLE_LOG_LEVEL=info+2`, `IDLE_LOG_LEVEL="info+2": want debug, info, warn or error`},
		{`IDLE_LOG_FORMAT=xml`, `IDLE_LOG_FORMAT="xml": want auto, tint or json`},
		{`IDLE_SHUTDOWN_GRACE=-1s`, `IDLE_SHUTDOWN_GRACE="-1s": want a duration, 0 or more, such as 20s`},
		{`IDLE_RAET=5`, `IDLE_RAET: not a variable of this program; did you mean IDLE_RATE?`},
		{`IDLE_NATS_URLS=nats://user:hush@a`, `IDLE_NATS_URLS: not a variable of this program; did you mean IDLE_NATS_URL?`},
		{`IDLE_NATS_DOMAIN=a.b`, `IDLE_NATS_DOMAIN="a.b": want the name of a JetStream domain, without points, spaces and wildcards`},
		{`IDLE_NATS_INBOX_PREFIX=_INBOX.>`, `IDLE_NATS_INBOX_PREFIX="_INBOX.>": want a subject without wildcards, such as _INBOX_idle`},
		{`IDLE_NATS_INBOX_PREFIX=a.`, `IDLE_NATS_INBOX_PREFIX="a.": want a subject without wildcards, such as _INBOX_idle`},
		{`IDLE_NATS_TLS_FIRST=maybe`, `IDLE_NATS_TLS_FIRST="maybe": want true or false, 1 or 0, t or f`},
		{`IDLE_STREAM_MAX_BYTES=0`, `IDLE_STREAM_MAX_BYTES="0": want a whole number of bytes, at least 1048576`},
		{`IDLE_STREAM_MAX_BYTES=1GB`, `IDLE_STREAM_MAX_BYTES="1GB": want a whole number of bytes, at least 1048576`},
		{`IDLE_GATEWAY_TIMEOT=5s`, `IDLE_GATEWAY_TIMEOT: not a variable of this program; did you mean IDLE_GATEWAY_TIMEOUT?`},
	} {
		t.Run(test.pairs, func(t *testing.T) {
			got := problemsOf(t, strings.Fields(test.pairs)...)
			if len(got) != 1 || got[0] != test.line {
				t.Errorf("got  %s\nwant %s", got.Error(), test.line)
			}
			if strings.Contains(got.Error(), "hush") {
				t.Error("a secret is shown")
			}
		})
	}
}

func TestPastedKey(t *testing.T) {
	const key = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----"
	got := problemsOf(t, "IDLE_GATEWAY_CA="+key)
	if want := `IDLE_GATEWAY_CA="***": want a file with PEM certificates (`; !strings.HasPrefix(got.Error(), want) {
		t.Errorf("got %s, want it to begin with %s", got, want)
	}
	if strings.Contains(got.Error(), "hush") {
		t.Error("the key is shown")
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	setEnv(t, "IDLE_RAET=5", "IDLE_LOG_FORMAT=xml", "IDLE_RATE=abc", "IDLE_BACKOFF_MAX=soon", "IDLE_BACKOFF_INITIAL=0s",
		"IDLE_NATS_URL=nope", "IDLE_VALIDTY=1h")
	_, err := Load()
	if err == nil {
		t.Fatal("no problem was found")
	}
	var names []string
	for line := range strings.Lines(err.Error()) {
		names = append(names, line[:strings.IndexAny(line, "=: ")])
	}
	want := []string{
		"IDLE_GATEWAY_URL", "IDLE_NATS_URL", "IDLE_RATE", "IDLE_BACKOFF_INITIAL", "IDLE_BACKOFF_MAX", "IDLE_LOG_FORMAT",
		"IDLE_RAET", "IDLE_VALIDTY",
	}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("got problems with %v, want %v", names, want)
	}
}

// The variables without our prefix are other programs' own, and those of Kubernetes are nobody's mistake.
func TestOtherVariables(t *testing.T) {
	got := problemsOf(t, "RATE=abc", "GATEWAY_URL=abc", "IDLEWORKER_PORT=1", "KUBERNETES_SERVICE_HOST=10.0.0.1",
		"IDLE_STATUS_SERVICE_HOST=10.0.0.2", "IDLE_STATUS_PORT=tcp://10.0.0.2:80", "IDLE_STATUS_PORT_80_TCP_ADDR=10.0.0.2")
	if got != nil {
		t.Errorf("got %s, want no problem", got)
	}
}

// What looks like ours and is close to none of ours is another program's: docker links, and whatever a site has named so.
func TestStrayVariablesAreWarnings(t *testing.T) {
	strays := []string{
		"IDLE_NAME=/worker/idle", "IDLE_PORT=tcp://172.17.0.2:4222", "IDLE_PORT_4222_TCP_ADDR=172.17.0.2", "IDLE_GATEWAY_PORT=tcp://172.17.0.2:8043",
		"IDLE_GATEWAY_NAME=/worker/idle-gateway", "IDLE_NATS_ENV_TOKEN=hush", "IDLE_COLOUR_OF_DOOR=red",
	}
	setEnv(t, append(strays, "IDLE_GATEWAY_URL="+gatewayURL)...)
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	warnings := strings.Join(c.Warnings(), "\n")
	for _, stray := range strays {
		name, value, _ := strings.Cut(stray, "=")
		if strings.Count(warnings, name+" is not a variable") != 1 || strings.Contains(warnings, value) {
			t.Errorf("%s: the warnings are\n%s", stray, warnings)
		}
	}
	if _, err := LoadClient(); err != nil {
		t.Errorf("idlectl stops: %v", err)
	}
}

func TestUnusedProxyIsReported(t *testing.T) {
	setEnv(t, "IDLE_GATEWAY_URL="+gatewayURL, "HTTPS_PROXY=http://user:hush@proxy:3128")
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if w := strings.Join(c.Warnings(), "\n"); strings.Count(w, "HTTPS_PROXY is set and not used") != 1 || strings.Contains(w, "hush") {
		t.Errorf("the warnings are\n%s", w)
	}
}

// Whoever asks the worker that runs needs its address, and nothing else may keep it from asking.
func TestHTTPAddrAlone(t *testing.T) {
	for _, test := range []struct{ value, want string }{{"unset", "127.0.0.1:8080"}, {"", ""}, {":9", ":9"}} {
		setEnv(t, "IDLE_NATS_CREDS=/nowhere", "IDLE_GATEWAY_CA=/dev/null", "IDLE_RAET=5", "IDLE_RATE=x")
		if test.value != "unset" {
			t.Setenv("IDLE_HTTP_ADDR", test.value)
		}
		if got, err := LoadHTTPAddr(); err != nil || got != test.want {
			t.Errorf("%q: %q, %v", test.value, got, err)
		}
	}
	setEnv(t, "IDLE_HTTP_ADDR=8080")
	if _, err := LoadHTTPAddr(); err == nil || !strings.HasPrefix(err.Error(), `IDLE_HTTP_ADDR="8080": want HOST:PORT`) {
		t.Error(err)
	}
}

func TestLoadClient(t *testing.T) {
	setEnv(t, "IDLE_NATS_URL=tls://a, tls://b", "IDLE_PREFIX=north", "IDLE_RATE=abc")
	got, err := LoadClient()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Client{NATSURLs: []string{"tls://a", "tls://b"}, Prefix: "north"}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}

	setEnv(t, "IDLE_PREFIX=North", "IDLE_NATS_ULR=nats://a")
	if _, err = LoadClient(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want two problems", err)
	}
}

func TestClientCertificate(t *testing.T) {
	cert, key := certificate(t, t.TempDir())
	other, _ := certificate(t, t.TempDir())

	if got := problemsOf(t, "IDLE_GATEWAY_CERT="+cert, "IDLE_GATEWAY_KEY="+key, "IDLE_GATEWAY_CA="+cert,
		"IDLE_NATS_CERT="+other, "IDLE_NATS_KEY="+filepath.Join(filepath.Dir(other), "key.pem")); got != nil {
		t.Errorf("got %s, want no problem", got)
	}

	got := problemsOf(t, "IDLE_GATEWAY_CERT="+other, "IDLE_GATEWAY_KEY="+key).Error()
	want := `IDLE_GATEWAY_CERT="` + other + `": want a PEM certificate that fits the key in IDLE_GATEWAY_KEY ` +
		`(tls: private key does not match public key)`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	got = problemsOf(t, "IDLE_GATEWAY_CERT="+cert, "IDLE_GATEWAY_KEY=/nowhere").Error()
	if want := `IDLE_GATEWAY_KEY="/nowhere": want a file with a PEM key (no such file or directory)`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "user.creds")
	_, seed := natstest.WriteCredentials(t, file)
	if err := CheckCredentials(file); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(file, []byte(seed), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := problemsOf(t, "IDLE_NATS_CREDS="+file).Error(); !strings.Contains(got, "there is no user JWT in it") || strings.Contains(got, seed) {
		t.Error(got)
	}
	const missing = "no such file or directory"
	if err := CheckCredentials("/nowhere"); err == nil || err.Error() != missing {
		t.Errorf("%v, want %s", err, missing)
	}
}

// programs load the environments that the variables of a struct belong to.
var programs = map[reflect.Type]func() error{
	reflect.TypeFor[Config](): func() error { _, err := Load(); return err },
	reflect.TypeFor[Tap]():    func() error { _, err := LoadTap(); return err },
}

// Every duration is added to instants: none may be so long that the sum overflows.
func TestEveryDurationIsBounded(t *testing.T) {
	for of, load := range programs {
		for _, field := range variables(of) {
			if field.Type != reflect.TypeFor[time.Duration]() {
				continue
			}
			name := field.Tag.Get("envconfig")
			t.Run(of.Name()+" "+name, func(t *testing.T) {
				setEnv(t, "IDLE_GATEWAY_URL="+gatewayURL, name+"=2562047h")
				if err := load(); err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("%s=2562047h: %v", name, err)
				}
			})
		}
	}
}

// The sentence about a value that is neither true nor false names every word that would be right.
func TestEveryBooleanSaysWhatItAccepts(t *testing.T) {
	for of, load := range programs {
		for _, field := range variables(of) {
			if field.Type.Kind() != reflect.Bool {
				continue
			}
			name := field.Tag.Get("envconfig")
			t.Run(of.Name()+" "+name, func(t *testing.T) {
				for _, value := range []string{"true", "false", "1", "0", "t", "f", "TRUE", "False", "T"} {
					setEnv(t, "IDLE_GATEWAY_URL="+gatewayURL, name+"="+value)
					if err := load(); err != nil {
						t.Errorf("%s=%s: %v", name, value, err)
					}
				}
				for _, value := range []string{"yes", "on", "2", "y"} {
					setEnv(t, "IDLE_GATEWAY_URL="+gatewayURL, name+"="+value)
					want := fmt.Sprintf("%s=%q: want true or false, 1 or 0, t or f", name, value)
					if err := load(); err == nil || err.Error() != want {
						t.Errorf("%v, want %s", err, want)
					}
				}
			})
		}
	}
}
