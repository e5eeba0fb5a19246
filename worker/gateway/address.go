package gateway

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// The path of the one call. Agent and flag are all that differs, and both are letters and digits only.
const (
	pathHead = "/agentgateway/resource/onlineagent/"
	pathMid  = "/autoenteridle/"
)

// server is one address that calls may go to.
type server struct{ scheme, host string }

func (s server) url(agent, flag string) *url.URL {
	return &url.URL{Scheme: s.scheme, Host: s.host, Path: pathHead + agent + pathMid + flag}
}

// hostHeader returns the Host header for an address. The zone of an IPv6 address is left out, because it is local to this machine.
func (s server) hostHeader() string {
	address, rest, zoned := strings.Cut(s.host, "%")
	if !zoned {
		return s.host
	}
	_, port, _ := strings.Cut(rest, "]")
	return address + "]" + port
}

// parseServer parses the scheme with HOST:PORT. It refuses a path, which would lead to something that is not the gateway.
func parseServer(raw string, insecure bool) (server, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return server{}, fmt.Errorf("not of the form https://HOST:PORT")
	case u.Scheme != "https" && (u.Scheme != "http" || !insecure):
		return server{}, fmt.Errorf("not https")
	}
	return server{u.Scheme, strings.ToLower(u.Host)}, nil
}

// hostPort returns the host with its port, which is the scheme's if the URL has none.
func (s server) hostPort() string {
	if _, _, err := net.SplitHostPort(s.host); err == nil {
		return s.host
	}
	port := "443"
	if s.scheme == "http" {
		port = "80"
	}
	return net.JoinHostPort(strings.Trim(s.host, "[]"), port)
}

// serverFor returns where a session's calls go: to the gateway that the session names if operators allow it, otherwise to the
// configured one. A record in the registry must not be able to send credentials elsewhere.
func (c *Client) serverFor(named string) server {
	s, why := c.choose(named)
	if why != "" {
		c.report(named, why)
	}
	return s
}

// Ignored returns why a session's calls do not go to the gateway that it names; empty: they do, or it names none. The text does not
// contain the address.
func (c *Client) Ignored(named string) (why string) {
	_, why = c.choose(named)
	return why
}

// Address returns HOST:PORT of the gateway that a session's calls go to; empty: the configured one.
func (c *Client) Address(named string) string {
	if s, _ := c.choose(named); s != c.home {
		return s.hostPort()
	}
	return ""
}

func (c *Client) choose(named string) (to server, why string) {
	if named == "" {
		return c.home, ""
	}
	s, err := parseServer(named, c.Insecure)
	switch {
	case err != nil:
		return c.home, err.Error()
	case s != c.home && !slices.Contains(c.Hosts, s.hostPort()):
		return c.home, "its host is not among the allowed ones (IDLE_GATEWAY_HOSTS)"
	}
	return s, ""
}

// maxReported bounds how many ignored gateways are remembered.
const maxReported = 100

// report logs each ignored gateway once.
func (c *Client) report(named, why string) {
	host := "(a URL that cannot be read)"
	if u, err := url.Parse(named); err == nil {
		host = u.Scheme + "://" + u.Host
	}
	c.mu.Lock()
	_, known := c.ignored[host]
	if !known && len(c.ignored) < maxReported {
		c.ignored[host] = struct{}{}
	} else {
		known = true
	}
	c.mu.Unlock()
	if !known {
		c.log().Warn("gateway_url of a session is ignored, its calls go to the configured gateway", "gateway_url", host, "why", why)
	}
}
