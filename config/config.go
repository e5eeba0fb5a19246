// Package config reads the environment of the programs: every variable with its default, what it means, and what is
// wrong with its value. Only packages under cmd import it; all others are given values.
//
// The tags of Config are the one source of names and defaults. From them come the reading itself, the lines that
// report a wrong value, the text of -help and the tables in deploy/CONFIGURATION.md. The tags are
//
//	envconfig  the variable's full name
//	default    what an unset or empty variable stands for
//	otherwise  in words, the default of a variable that takes it from another one
//	required   "true" if there is no default
//	empty      what an empty variable means if that is not the default
//	desc       what the variable is for
//	want       what a right value looks like, for the line that reports a wrong one
package config

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Config is the environment of idleworker, read and checked.
type Config struct {
	Gateway

	Client

	Replicas  int           `envconfig:"IDLE_REPLICAS" default:"1" desc:"replicas of the streams and buckets that the worker creates" want:"a whole number from 1 to 5"`
	MaxBytes  int64         `envconfig:"IDLE_STREAM_MAX_BYTES" desc:"max_bytes of each stream and bucket that the worker creates, for accounts that require one" want:"a whole number of bytes, at least 1048576"`
	Retention time.Duration `envconfig:"IDLE_RETENTION" default:"720h" desc:"how long results and dead letters are kept" want:"a duration of at least 1s, such as 720h"`
	Takeover  time.Duration `envconfig:"IDLE_TAKEOVER" default:"3s" desc:"how long a silent owner keeps its place before a standby takes it, at least 2.5s" want:"a duration of at least 2.5s"`

	Rate float64 `envconfig:"IDLE_RATE" default:"50" desc:"requests per second to the gateway, retries included, decimals allowed; 0: no limit" want:"a number of requests per second, 0 or more, decimals allowed"`
	// Burst is 0 if it is not set: then it follows the rate, even one that operators set later.
	Burst       float64 `envconfig:"IDLE_BURST" otherwise:"a tenth of the rate" desc:"how many requests may go out at once after a pause, at least 1; has no effect if the rate is 0" want:"a number of requests, 1 or more, decimals allowed"`
	MaxInFlight int     `envconfig:"IDLE_MAX_IN_FLIGHT" default:"32" desc:"requests in flight at the same time; never more than one for one agent" want:"a whole number from 1 to 10000"`

	BackoffInitial    time.Duration `envconfig:"IDLE_BACKOFF_INITIAL" default:"500ms" desc:"the wait after the first failed attempt" want:"a duration above 0, such as 500ms"`
	BackoffMax        time.Duration `envconfig:"IDLE_BACKOFF_MAX" default:"30s" desc:"the longest wait between two attempts" want:"a duration above 0, such as 30s"`
	BackoffMultiplier float64       `envconfig:"IDLE_BACKOFF_MULTIPLIER" default:"2" desc:"how much longer each wait is than the one before" want:"a number, 1 or more, decimals allowed"`
	BackoffJitter     float64       `envconfig:"IDLE_BACKOFF_JITTER" default:"0.5" desc:"the share of a wait that is random, from 0 to 1" want:"a number from 0 to 1"`
	MaxAttempts       int           `envconfig:"IDLE_MAX_ATTEMPTS" default:"8" desc:"answers about this very change before it fails; an outage of the gateway and waiting for a sign-in use none" want:"a whole number, 1 or more"`

	Validity time.Duration `envconfig:"IDLE_VALIDITY" default:"12h" desc:"how long a change without valid_until stays in force, IDLE_RETENTION at most" want:"a duration above 0, such as 12h"`
	Reapply  bool          `envconfig:"IDLE_REAPPLY" default:"true" desc:"apply the policy in force again after each sign-in" want:"true or false, 1 or 0, t or f"`

	HTTPAddr      string `envconfig:"IDLE_HTTP_ADDR" default:"127.0.0.1:8080" empty:"off" desc:"/healthz, /readyz, /metrics and the status page at /; empty turns it off" want:"HOST:PORT or :PORT, or nothing to turn it off"`
	HTTPTokenFile string `envconfig:"IDLE_HTTP_TOKEN_FILE" desc:"file with the token that lets people pause, resume and replay on the status page; without it the page is read-only" want:"a file with a token of at least 12 characters"`

	HTTPPublishersFile string `envconfig:"IDLE_HTTP_PUBLISHERS_FILE" desc:"file with lines of NAME TOKEN: who may publish with POST /api/changes; without it nobody may; reread when it changes" want:"a file with lines of NAME TOKEN, the tokens of at least 12 characters"`
	HTTPCert           string `envconfig:"IDLE_HTTP_CERT" desc:"PEM file of the certificate for HTTPS on IDLE_HTTP_ADDR; needs IDLE_HTTP_KEY" want:"a PEM certificate that fits the key in IDLE_HTTP_KEY"`
	HTTPKey            string `envconfig:"IDLE_HTTP_KEY" desc:"PEM file of that certificate's key" want:"a file with a PEM key"`
	HTTPInsecure       bool   `envconfig:"IDLE_HTTP_INSECURE" default:"false" desc:"accepts publishers' tokens over plain HTTP from other machines, and warns at start" want:"true or false, 1 or 0, t or f"`

	LogLevel      slog.Level    `envconfig:"IDLE_LOG_LEVEL" default:"info" desc:"debug, info, warn or error" want:"debug, info, warn or error"`
	LogFormat     string        `envconfig:"IDLE_LOG_FORMAT" default:"auto" desc:"auto, tint or json; auto is tint on a terminal, JSON elsewhere" want:"auto, tint or json"`
	ShutdownGrace time.Duration `envconfig:"IDLE_SHUTDOWN_GRACE" default:"20s" desc:"how long a stop waits for calls in flight" want:"a duration, 0 or more, such as 20s"`

	notes []string // what is in the environment and has no effect, one sentence each
}

// Gateway is the part of the environment that the worker shares with idletap: where the gateway is, and how it is trusted.
type Gateway struct {
	GatewayURL        string        `envconfig:"IDLE_GATEWAY_URL" required:"true" desc:"the gateway, https://HOST:PORT; plain http only with IDLE_GATEWAY_INSECURE=true" want:"https://HOST:PORT without user, path or query; plain http only with IDLE_GATEWAY_INSECURE=true"`
	GatewayCA         string        `envconfig:"IDLE_GATEWAY_CA" desc:"PEM file of the authorities that the gateway's certificate is verified with, instead of the system's" want:"a file with PEM certificates"`
	GatewayServerName string        `envconfig:"IDLE_GATEWAY_SERVER_NAME" desc:"the name to verify in the gateway's certificate, if it is not the host of the URL" want:"a host name or an IP address, without port"`
	GatewayCert       string        `envconfig:"IDLE_GATEWAY_CERT" desc:"PEM file of the client certificate shown to the gateway; needs IDLE_GATEWAY_KEY" want:"a PEM certificate that fits the key in IDLE_GATEWAY_KEY"`
	GatewayKey        string        `envconfig:"IDLE_GATEWAY_KEY" desc:"PEM file of that certificate's key" want:"a file with a PEM key"`
	GatewayInsecure   bool          `envconfig:"IDLE_GATEWAY_INSECURE" default:"false" desc:"skips the verification of the gateway's certificate and warns at start" want:"true or false, 1 or 0, t or f"`
	GatewayTimeout    time.Duration `envconfig:"IDLE_GATEWAY_TIMEOUT" default:"5s" desc:"the time for one attempt" want:"a duration above 0, such as 5s"`
	GatewayAge        time.Duration `envconfig:"IDLE_GATEWAY_CONNECTION_AGE" default:"5m" desc:"the greatest age of a connection to the gateway, so that a change of its address is followed" want:"a duration above 0, such as 5m"`
	GatewayHosts      []string      `envconfig:"IDLE_GATEWAY_HOSTS" otherwise:"the host of IDLE_GATEWAY_URL" desc:"HOST:PORTs, comma-separated, that a session's gateway_url may name; others are ignored and reported" want:"HOST:PORT, or several separated by commas"`
}

// Client is the part of the environment that idlectl shares with the worker: where NATS is, and which site is meant.
type Client struct {
	NATSURLs  []string `envconfig:"IDLE_NATS_URL" default:"nats://127.0.0.1:4222" desc:"the NATS servers, several comma-separated" want:"nats://, tls://, ws:// or wss:// with HOST:PORT, or several separated by commas, not ws with others"`
	NATSCreds string   `envconfig:"IDLE_NATS_CREDS" desc:"NATS credentials file" want:"a readable credentials file"`
	NATSCA    string   `envconfig:"IDLE_NATS_CA" desc:"PEM file of the authorities that the NATS servers' certificates are verified with" want:"a file with PEM certificates"`
	NATSCert  string   `envconfig:"IDLE_NATS_CERT" desc:"PEM file of the client certificate shown to NATS; needs IDLE_NATS_KEY" want:"a PEM certificate that fits the key in IDLE_NATS_KEY"`
	NATSKey   string   `envconfig:"IDLE_NATS_KEY" desc:"PEM file of that certificate's key" want:"a file with a PEM key"`

	NATSDomain      string `envconfig:"IDLE_NATS_DOMAIN" desc:"JetStream domain that keeps the streams, for a connection to a leaf node" want:"the name of a JetStream domain, without points, spaces and wildcards"`
	NATSInboxPrefix string `envconfig:"IDLE_NATS_INBOX_PREFIX" desc:"prefix of the subjects that replies come to, for users who may not use the default" want:"a subject without wildcards, such as _INBOX_idle"`
	NATSTLSFirst    bool   `envconfig:"IDLE_NATS_TLS_FIRST" desc:"true: TLS before the server speaks, for servers with handshake_first" want:"true or false, 1 or 0, t or f"`

	Prefix string `envconfig:"IDLE_PREFIX" default:"idlepolicy" desc:"names one site: the first part of its subjects, streams and buckets" want:"1 to 32 of a-z, 0-9, -, _ and single dots inside"`
}

// Warnings returns what is not an error but may not be intended, one sentence each.
func (c *Config) Warnings() (all []string) {
	if c.GatewayInsecure {
		all = append(all, "IDLE_GATEWAY_INSECURE=true: the gateway's certificate is not verified: whoever is between here and there can read the agents' GUIDs")
	}
	if c.Validity > c.Retention {
		all = append(all, fmt.Sprintf("IDLE_VALIDITY=%v is longer than IDLE_RETENTION=%v: no change stays in force for longer than results are kept, so it counts as %v",
			c.Validity, c.Retention, c.Retention))
	}
	if c.ShutdownGrace < c.GatewayTimeout {
		all = append(all, fmt.Sprintf("IDLE_SHUTDOWN_GRACE=%v is shorter than IDLE_GATEWAY_TIMEOUT=%v: a stop may break off calls under way, and the next owner waits for them",
			c.ShutdownGrace, c.GatewayTimeout))
	}
	if c.HTTPInsecure && c.HTTPCert == "" && c.HTTPPublishersFile != "" {
		all = append(all, "IDLE_HTTP_INSECURE=true: publishers' tokens come over plain HTTP: whoever is between can read them and publish")
	}
	return append(all, c.notes...)
}

// Load reads idleworker's environment. Its error is of type Problems and holds everything that is wrong.
func Load() (Config, error) {
	var c Config
	env := read(&c)
	c.checkGateway(env)
	c.checkClient(env)
	c.checkNumbers(env)
	c.checkPlaces(env)
	c.derive(env)
	err := env.problems()
	c.notes = append(unusedProxy(c.GatewayURL), env.strays...)
	return c, err
}

// LoadHTTPAddr reads IDLE_HTTP_ADDR and nothing else, for programs that only ask the running worker.
func LoadHTTPAddr() (string, error) {
	var c struct {
		HTTPAddr string `envconfig:"IDLE_HTTP_ADDR" default:"127.0.0.1:8080" empty:"off"`
	}
	env := read(&c)
	env.check("IDLE_HTTP_ADDR", c.HTTPAddr == "" || isAddress(c.HTTPAddr))
	if line := env.wrong["IDLE_HTTP_ADDR"]; line != "" {
		return "", Problems{line}
	}
	return c.HTTPAddr, nil
}

// unusedProxy warns of a proxy in the environment, which other programs would use for the gateway but this one does not.
func unusedProxy(gateway string) []string {
	u, err := url.Parse(gateway)
	if err != nil {
		return nil
	}
	if proxy, err := httpproxy.FromEnvironment().ProxyFunc()(u); err == nil && proxy == nil {
		return nil
	}
	return []string{strings.ToUpper(u.Scheme) + "_PROXY is set and not used: calls to the gateway and connections to NATS go straight there; " +
		"NO_PROXY with the gateway's host silences this"}
}

// LoadClient reads idlectl's environment and ignores the worker's other variables. Its error is of type Problems.
func LoadClient() (Client, error) {
	var c Client
	env := read(&c)
	c.checkClient(env)
	return c, env.problems()
}
