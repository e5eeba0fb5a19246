package access

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// What is wrong with a list of URLs. None of these repeats a URL: it may hold a password.
var (
	errNoServer  = errors.New("there is none")
	errScheme    = errors.New("one of them does not begin so")
	errMoreParts = errors.New("a NATS URL has no path, query or fragment")
	errNoHost    = errors.New("its host or port is not one")
	errMixed     = errors.New("ws:// and wss:// do not go together with others")
	errEscape    = errors.New("in a user name, password or token write % as %25, # as %23, / as %2F, ? as %3F, @ as %40, : as %3A and a comma as %2C")
)

// CheckServers returns why the NATS client cannot, or must not, be given these URLs.
func CheckServers(urls []string) error {
	err := checkServers(urls)
	// Most URLs that are wrong and have a user part hold a password that was not escaped, and may have been cut at its comma.
	if err != nil && strings.Contains(strings.Join(urls, ","), "@") {
		return fmt.Errorf("%w; %w", err, errEscape)
	}
	return err
}

func checkServers(urls []string) error {
	if len(urls) == 0 {
		return errNoServer
	}
	sockets := 0
	for _, raw := range urls {
		u, err := url.Parse(raw)
		switch {
		case err != nil:
			return errNoHost
		case u.Scheme == "ws", u.Scheme == "wss":
			sockets++
		case u.Scheme != "nats" && u.Scheme != "tls", u.Opaque != "":
			return errScheme
		}
		switch {
		case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.HasSuffix(raw, "#"):
			return errMoreParts
		case !HasServer(u), strings.ContainsFunc(decodedUser(u), isControl):
			return errNoHost
		}
	}
	if sockets != 0 && sockets != len(urls) {
		return errMixed
	}
	return nil
}

func decodedUser(u *url.URL) string {
	password, _ := u.User.Password() // without one it is a token
	return u.User.Username() + password
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// HasServer reports whether a URL has a host and, after a colon, a port that can be called.
func HasServer(u *url.URL) bool {
	if u.Port() == "" && strings.HasSuffix(u.Host, ":") {
		return false
	}
	return IsHost(u.Hostname()) && (u.Port() == "" || IsPort(u.Port()) && strings.Trim(u.Port(), "0") != "")
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$`)

// IsHost accepts a host name or an IP address, an IPv6 one without brackets.
func IsHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}

// IsPort accepts 0 to 65535.
func IsPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil
}
