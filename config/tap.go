package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"time"
)

// Tap is the environment of idletap, read and checked.
type Tap struct {
	Gateway

	Addr        string        `envconfig:"IDLE_TAP_ADDR" default:"127.0.0.1:8044" desc:"where desktops reach the tap; beyond loopback it needs IDLE_TAP_CERT and IDLE_TAP_KEY, or IDLE_TAP_INSECURE=true" want:"HOST:PORT or :PORT"`
	Cert        string        `envconfig:"IDLE_TAP_CERT" desc:"PEM file of the certificate shown to desktops; without it they are served plain HTTP; needs IDLE_TAP_KEY" want:"a PEM certificate that fits the key in IDLE_TAP_KEY"`
	Key         string        `envconfig:"IDLE_TAP_KEY" desc:"PEM file of that certificate's key" want:"a file with a PEM key"`
	Insecure    bool          `envconfig:"IDLE_TAP_INSECURE" default:"false" desc:"serves plain HTTP on every address and warns at start" want:"true or false, 1 or 0, t or f"`
	Silence     time.Duration `envconfig:"IDLE_TAP_SILENCE" default:"120s" desc:"an agent without any request and answer for this long counts as signed out" want:"a duration of at least 1s, such as 120s"`
	RewriteHost bool          `envconfig:"IDLE_TAP_REWRITE_HOST" default:"false" desc:"false: Host passes as the desktop sent it; true: it becomes the gateway's own" want:"true or false, 1 or 0, t or f"`

	Client

	HTTPAddr      string        `envconfig:"IDLE_HTTP_ADDR" default:"127.0.0.1:8081" empty:"off" desc:"/healthz, /readyz, /metrics and /api/sessions/AGENT; empty turns it off" want:"HOST:PORT or :PORT, or nothing to turn it off"`
	WritersFile   string        `envconfig:"IDLE_HTTP_WRITERS_FILE" desc:"file of NAME TOKEN lines: middleware with one of the tokens may PUT and DELETE /api/sessions/AGENT; read again when it changes" want:"a file with lines of NAME TOKEN, the tokens of at least 12 characters"`
	HTTPCert      string        `envconfig:"IDLE_HTTP_CERT" desc:"PEM file of the certificate for HTTPS on IDLE_HTTP_ADDR; needs IDLE_HTTP_KEY" want:"a PEM certificate that fits the key in IDLE_HTTP_KEY"`
	HTTPKey       string        `envconfig:"IDLE_HTTP_KEY" desc:"PEM file of that certificate's key" want:"a file with a PEM key"`
	HTTPInsecure  bool          `envconfig:"IDLE_HTTP_INSECURE" default:"false" desc:"accepts tokens over plain HTTP from other machines too" want:"true or false, 1 or 0, t or f"`
	LogLevel      slog.Level    `envconfig:"IDLE_LOG_LEVEL" default:"info" desc:"debug, info, warn or error" want:"debug, info, warn or error"`
	LogFormat     string        `envconfig:"IDLE_LOG_FORMAT" default:"auto" desc:"auto, tint or json; auto is tint on a terminal, JSON elsewhere" want:"auto, tint or json"`
	ShutdownGrace time.Duration `envconfig:"IDLE_SHUTDOWN_GRACE" default:"20s" desc:"how long a stop waits for requests in flight; a poll takes 10s" want:"a duration, 0 or more, such as 20s"`

	notes []string // warnings that do not come from a value
}

// Warnings returns what is not an error but may not be intended, one sentence each.
func (c *Tap) Warnings() (all []string) {
	if c.GatewayInsecure {
		all = append(all, "IDLE_GATEWAY_INSECURE=true: the gateway's certificate is not verified: whoever is between here and there can read the agents' GUIDs")
	}
	if c.Insecure && c.Cert == "" && !isLoopback(c.Addr) {
		all = append(all, fmt.Sprintf("IDLE_TAP_INSECURE=true: desktops reach IDLE_TAP_ADDR=%s over plain HTTP: whoever is between can read passwords and GUIDs", c.Addr))
	}
	return append(all, c.notes...)
}

// LoadTap reads idletap's environment. Its error is of type Problems and holds everything that is wrong.
func LoadTap() (Tap, error) {
	var c Tap
	env := read(&c)
	c.checkGateway(env)
	c.checkClient(env)
	env.check("IDLE_TAP_ADDR", isAddress(c.Addr))
	checkPair(env, "IDLE_TAP_CERT", c.Cert, "IDLE_TAP_KEY", c.Key)
	if c.Cert == "" && !c.Insecure && env.wrong["IDLE_TAP_INSECURE"] == "" {
		env.checkFor("IDLE_TAP_ADDR", isLoopback(c.Addr),
			"an address of loopback, such as 127.0.0.1:8044, or IDLE_TAP_CERT and IDLE_TAP_KEY for HTTPS, or IDLE_TAP_INSECURE=true")
	}
	env.check("IDLE_TAP_SILENCE", c.Silence >= time.Second)
	env.check("IDLE_HTTP_ADDR", c.HTTPAddr == "" || isAddress(c.HTTPAddr))
	env.compare("IDLE_HTTP_ADDR", !overlap(c.Addr, c.HTTPAddr), "an address other than", "IDLE_TAP_ADDR")
	checkPair(env, "IDLE_HTTP_CERT", c.HTTPCert, "IDLE_HTTP_KEY", c.HTTPKey)
	checkTokens(env, "IDLE_HTTP_WRITERS_FILE", c.WritersFile)
	env.check("IDLE_SHUTDOWN_GRACE", c.ShutdownGrace >= 0)
	checkLog(env, c.LogFormat)
	checkDurations(env, reflect.ValueOf(&c).Elem())
	c.derive(env)
	err := env.problems()
	c.notes = append(unusedProxy(c.GatewayURL), env.strays...)
	return c, err
}

// overlap reports whether one process cannot listen on both addresses.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" { // 0 is any port that is free
		return false
	}
	return hostA == hostB || isEvery(hostA) || isEvery(hostB) || isLoopback(a) && isLoopback(b) && (hostA == "localhost" || hostB == "localhost")
}

// isEvery reports whether a host stands for every address of this machine.
func isEvery(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// isLoopback reports whether only this machine can reach an address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
