package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/status/httpauth"
	"idlepolicy/worker/stream/access"
)

func (c *Gateway) checkGateway(env *environment) {
	if env.given("IDLE_GATEWAY_URL") {
		u, err := url.Parse(c.GatewayURL)
		// If it is not known whether http is allowed, only that variable is reported.
		insecure := c.GatewayInsecure || env.wrong["IDLE_GATEWAY_INSECURE"] != ""
		env.check("IDLE_GATEWAY_URL", err == nil && isGateway(u, insecure))
		if env.given("IDLE_GATEWAY_URL") {
			c.GatewayURL = u.Scheme + "://" + strings.ToLower(u.Host)
		}
	}
	env.check("IDLE_GATEWAY_SERVER_NAME", c.GatewayServerName == "" || access.IsHost(c.GatewayServerName))
	env.check("IDLE_GATEWAY_TIMEOUT", c.GatewayTimeout > 0)
	env.check("IDLE_GATEWAY_CONNECTION_AGE", c.GatewayAge > 0)
	c.GatewayHosts = trimmed(c.GatewayHosts)
	for i, host := range c.GatewayHosts {
		c.GatewayHosts[i] = strings.ToLower(host)
		name, _, _ := net.SplitHostPort(host)
		env.check("IDLE_GATEWAY_HOSTS", name != "" && isAddress(host))
	}
	checkAuthorities(env, "IDLE_GATEWAY_CA", c.GatewayCA)
	checkPair(env, "IDLE_GATEWAY_CERT", c.GatewayCert, "IDLE_GATEWAY_KEY", c.GatewayKey)
}

func (c *Client) checkClient(env *environment) {
	c.NATSURLs = trimmed(c.NATSURLs)
	wrongServers := access.CheckServers(c.NATSURLs)
	env.check("IDLE_NATS_URL", wrongServers == nil, wrongServers)
	if c.NATSCreds != "" {
		err := CheckCredentials(c.NATSCreds)
		env.check("IDLE_NATS_CREDS", err == nil, err)
	}
	checkAuthorities(env, "IDLE_NATS_CA", c.NATSCA)
	checkPair(env, "IDLE_NATS_CERT", c.NATSCert, "IDLE_NATS_KEY", c.NATSKey)
	env.check("IDLE_NATS_DOMAIN", c.NATSDomain == "" || isToken(c.NATSDomain))
	env.check("IDLE_NATS_INBOX_PREFIX", c.NATSInboxPrefix == "" || !slices.ContainsFunc(strings.Split(c.NATSInboxPrefix, "."),
		func(token string) bool { return !isToken(token) }))
	env.check("IDLE_PREFIX", messages.CheckPrefix(c.Prefix) == nil)
}

func (c *Config) checkNumbers(env *environment) {
	env.check("IDLE_REPLICAS", c.Replicas >= 1 && c.Replicas <= 5)
	env.check("IDLE_STREAM_MAX_BYTES", !env.given("IDLE_STREAM_MAX_BYTES") || c.MaxBytes >= leastBytes)
	env.check("IDLE_RETENTION", c.Retention >= time.Second)
	env.check("IDLE_TAKEOVER", c.Takeover >= 2500*time.Millisecond)
	env.check("IDLE_RATE", c.Rate >= 0 && isFinite(c.Rate))
	env.check("IDLE_BURST", !env.given("IDLE_BURST") || c.Burst >= 1 && isFinite(c.Burst))
	env.check("IDLE_MAX_IN_FLIGHT", c.MaxInFlight >= 1 && c.MaxInFlight <= 10_000)
	env.check("IDLE_BACKOFF_INITIAL", c.BackoffInitial > 0)
	env.check("IDLE_BACKOFF_MAX", c.BackoffMax > 0)
	env.compare("IDLE_BACKOFF_MAX", c.BackoffMax >= c.BackoffInitial, "no less than", "IDLE_BACKOFF_INITIAL")
	env.check("IDLE_BACKOFF_MULTIPLIER", c.BackoffMultiplier >= 1 && isFinite(c.BackoffMultiplier))
	env.check("IDLE_BACKOFF_JITTER", c.BackoffJitter >= 0 && c.BackoffJitter <= 1)
	env.check("IDLE_MAX_ATTEMPTS", c.MaxAttempts >= 1)
	env.check("IDLE_VALIDITY", c.Validity > 0)
	env.check("IDLE_SHUTDOWN_GRACE", c.ShutdownGrace >= 0)
	checkDurations(env, reflect.ValueOf(c).Elem())
}

// longest bounds every duration, so that none that is added to an instant overflows.
const longest = 87600 * time.Hour

func checkDurations(env *environment, of reflect.Value) {
	for _, field := range variables(of.Type()) {
		if d, ok := reflect.TypeAssert[time.Duration](of.FieldByIndex(field.Index)); ok {
			env.check(field.Tag.Get("envconfig"), d <= longest, errors.New("the longest is 87600h, ten years"))
		}
	}
}

// leastBytes is the least limit of a stream: a message of the greatest usual size has to fit into it.
const leastBytes = 1 << 20

// isToken accepts a token of a subject.
func isToken(token string) bool {
	return token != "" && !strings.ContainsAny(token, ".*> \t\r\n")
}

func (c *Config) checkPlaces(env *environment) {
	env.check("IDLE_HTTP_ADDR", c.HTTPAddr == "" || isAddress(c.HTTPAddr))
	checkToken(env, "IDLE_HTTP_TOKEN_FILE", c.HTTPTokenFile)
	checkTokens(env, "IDLE_HTTP_PUBLISHERS_FILE", c.HTTPPublishersFile)
	checkPair(env, "IDLE_HTTP_CERT", c.HTTPCert, "IDLE_HTTP_KEY", c.HTTPKey)
	checkLog(env, c.LogFormat)
}

func checkLog(env *environment, format string) {
	level := strings.ToLower(text(env.variable("IDLE_LOG_LEVEL"))) // its type would also take INFO+2
	env.check("IDLE_LOG_LEVEL", slices.Contains([]string{"debug", "info", "warn", "error"}, level))
	env.check("IDLE_LOG_FORMAT", slices.Contains([]string{"auto", "tint", "json"}, format))
}

// derive fills in the defaults that are taken from another variable.
func (c *Gateway) derive(env *environment) {
	if len(c.GatewayHosts) > 0 || !env.given("IDLE_GATEWAY_URL") {
		return
	}
	if u, err := url.Parse(c.GatewayURL); err == nil {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		c.GatewayHosts = []string{net.JoinHostPort(u.Hostname(), port)}
	}
}

// isGateway accepts the address alone: the paths are the gateway's own, and a user part would end up in its logs.
func isGateway(u *url.URL, insecure bool) bool {
	hasScheme := u.Scheme == "https" || u.Scheme == "http" && insecure
	hasMore := u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != ""
	return hasScheme && !hasMore && access.HasServer(u)
}

// leastToken is the least length of a token: guessing is slow on the page, but may last for years.
const leastToken = 12

func checkToken(env *environment, name, file string) {
	if file == "" {
		return
	}
	token, err := os.ReadFile(file)
	if err == nil && len(bytes.TrimSpace(token)) < leastToken {
		err = errors.New("it is shorter")
	}
	env.check(name, err == nil, reason(err))
}

// checkTokens reads a file of tokens as the server does.
func checkTokens(env *environment, name, file string) {
	if file == "" {
		return
	}
	tokens := httpauth.Tokens{Path: file}
	err := tokens.Load()
	env.check(name, err == nil, err)
}

func checkAuthorities(env *environment, name, file string) {
	if file == "" {
		return
	}
	err := CheckAuthorities(file)
	env.check(name, err == nil, err)
}

// CheckAuthorities looks into a file as the TLS client will: it must hold at least one certificate. Its error, like that of
// CheckCredentials, leaves the name of the file to whoever says it.
func CheckAuthorities(file string) error {
	text, err := os.ReadFile(file)
	switch {
	case err != nil:
		return reason(err)
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		return errors.New("there is none in it that can be read")
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(text) {
		text = rest
	}
	if bytes.Contains(text, []byte("-----BEGIN")) {
		return errors.New("the last one in it is cut off")
	}
	return nil
}

// CheckCredentials looks into a file as the NATS client will. Its error leaves the name of the file to whoever says it.
func CheckCredentials(file string) error { return reason(access.CheckCredentials(file)) }

// checkPair loads the certificate with its key, if both can be read.
func checkPair(env *environment, certName, cert, keyName, key string) {
	switch {
	case cert == "" && key == "":
		return
	case key == "":
		env.checkFor(certName, false, keyName+" to be set with it")
		return
	case cert == "":
		env.checkFor(keyName, false, certName+" to be set with it")
		return
	}
	certPEM, certErr := os.ReadFile(cert)
	env.check(certName, certErr == nil, reason(certErr))
	keyPEM, keyErr := os.ReadFile(key)
	env.check(keyName, keyErr == nil, reason(keyErr))
	if certErr == nil && keyErr == nil {
		_, err := tls.X509KeyPair(certPEM, keyPEM)
		env.check(certName, err == nil, reason(err))
	}
}

// reason returns the cause of an error without the name of the file, which the line has already.
func reason(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

func trimmed(list []string) []string {
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func isFinite(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }

// isAddress accepts HOST:PORT and :PORT.
func isAddress(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && (host == "" || access.IsHost(host)) && access.IsPort(port)
}
