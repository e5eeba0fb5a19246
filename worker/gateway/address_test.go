package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestAddressesThatMayBeCalled(t *testing.T) {
	const home = "https://gw.example:8043"
	for _, test := range []struct {
		named    string
		hosts    []string
		insecure bool
		want     string
	}{
		{"", nil, false, home},
		{"https://gw.example:8043", nil, false, home},
		{"https://GW.example:8043/", nil, false, home},
		{"https://node2.example:8043", nil, false, home},
		{"https://node2.example:8043", []string{"node2.example:8043"}, false, "https://node2.example:8043"},
		{"https://node2.example", []string{"node2.example:443"}, false, "https://node2.example"},
		{"https://node2.example:9", []string{"node2.example:8043"}, false, home},
		{"http://node2.example:8043", []string{"node2.example:8043"}, false, home},
		{"http://node2.example:8043", []string{"node2.example:8043"}, true, "http://node2.example:8043"},
		{"https://node2.example:8043/else/where", []string{"node2.example:8043"}, false, home},
		{"https://node2.example:8043?x", []string{"node2.example:8043"}, false, home},
		{"https://u:p@node2.example:8043", []string{"node2.example:8043"}, false, home},
		{"https://[::1]:8043", []string{"[::1]:8043"}, false, "https://[::1]:8043"},
		{"https://[::1]", []string{"[::1]:443"}, false, "https://[::1]"},
		{"::", nil, false, home},
	} {
		c := &Client{URL: home, Hosts: test.hosts, Insecure: test.insecure, Log: slog.New(slog.DiscardHandler)}
		if err := c.Open(); err != nil {
			t.Fatal(err)
		}
		if s := c.serverFor(test.named); s.scheme+"://"+s.host != test.want {
			t.Errorf("%s with %q: %s://%s, want %s", test.named, test.hosts, s.scheme, s.host, test.want)
		}
		homely := test.named == "" || strings.EqualFold(strings.TrimSuffix(test.named, "/"), home)
		if why := c.Ignored(test.named); (why != "") != (test.want == home && !homely) {
			t.Errorf("%s with %q is ignored because %q", test.named, test.hosts, why)
		}
	}
}

func TestIgnoredAddressIsReportedOnce(t *testing.T) {
	var log bytes.Buffer
	c := &Client{URL: "https://gw.example:8043", Log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.serverFor("https://a.example:1/x")
		c.serverFor("https://b.example:1")
	}
	if n := strings.Count(log.String(), "ignored"); n != 2 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for url, want := range map[string]string{
		"http://gw:8043":          "not https",
		"https://":                "https://HOST:PORT",
		"https://gw:8043/path":    "https://HOST:PORT",
		"https://user@gw:8043":    "https://HOST:PORT",
		"ftp://gw":                "not https",
		"https://gw:8043?x=y":     "https://HOST:PORT",
		"https://gw:8043#section": "https://HOST:PORT",
	} {
		err := (&Client{URL: url}).Open()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", url, err, want)
		}
	}
}

// The zone of an IPv6 address is for dialling only, and the configured name is for the configured host only.
func TestCredentialsSentToServers(t *testing.T) {
	for raw, want := range map[string]struct{ dial, host, name string }{
		"https://[fe80::1%25eth0]:8043": {"[fe80::1%eth0]:8043", "[fe80::1]:8043", "fe80::1"},
		"https://[fe80::1%25eth0]":      {"[fe80::1%eth0]:443", "[fe80::1]", "fe80::1"},
		"https://[::1]:8043":            {"[::1]:8043", "[::1]:8043", "::1"},
		"https://node2.example:8043":    {"node2.example:8043", "node2.example:8043", "node2.example"},
		"https://gw.example:8043":       {"gw.example:8043", "gw.example:8043", "inside.example"},
	} {
		c := &Client{URL: "https://gw.example:8043", ServerName: "inside.example"}
		if err := c.Open(); err != nil {
			t.Fatal(err)
		}
		s, err := parseServer(raw, false)
		if err != nil {
			t.Fatal(err)
		}
		config, err := c.config(s.hostPort())
		if err != nil {
			t.Fatal(err)
		}
		if s.hostPort() != want.dial || s.hostHeader() != want.host || config.ServerName != want.name {
			t.Errorf("%s: dials %s, sends %s, verifies %s, want %+v", raw, s.hostPort(), s.hostHeader(), config.ServerName, want)
		}
	}
}
