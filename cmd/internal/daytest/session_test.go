package daytest

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// otherGateway is a second node of the gateway.
func (s *site) otherGateway() *gatewaytest.Gateway {
	s.t.Helper()
	g, err := gatewaytest.Start(gatewaytest.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(g.Close)
	return g
}

// trust has workers accept the certificates of more gateways.
func (s *site) trust(more ...*gatewaytest.Gateway) {
	s.t.Helper()
	authorities := s.gateway.CA()
	for _, g := range more {
		authorities = append(authorities, g.CA()...)
	}
	s.config.GatewayCA = filepath.Join(s.t.TempDir(), "authorities.pem")
	if err := os.WriteFile(s.config.GatewayCA, authorities, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// A session names its own gateway. Calls go there if operators allow it, else to the configured one, which is told
// once: whoever can write the registry must not be able to have GUIDs sent to him.
func TestGatewayOfASession(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	allowed, stranger := s.otherGateway(), s.otherGateway()
	s.trust(allowed, stranger)
	s.config.GatewayHosts = []string{hostOf(t, s.gateway.URL()), hostOf(t, allowed.URL())}
	s.start()
	s.register("1001", messages.Session{GUID: allowed.SignIn("1001"), GatewayURL: allowed.URL()})
	for _, agent := range []string{"1002", "1003"} {
		s.register(agent, messages.Session{GUID: s.gateway.SignIn(agent), GatewayURL: stranger.URL()})
	}
	s.register("1004", messages.Session{GUID: s.gateway.SignIn("1004"), GatewayURL: strings.Replace(s.gateway.URL(), "https", "http", 1)})
	s.publish(item{Agents: []string{"1001", "1002", "1003", "1004"}, Flag: "false"})
	s.waitFinished()
	if n := len(s.results.pick(0, messages.Applied)); n != 4 {
		t.Errorf("%d applied, want 4", n)
	}
	if flag, _ := allowed.Flag("1001"); flag != "false" || len(s.gateway.CallsOf("1001")) != 0 {
		t.Errorf("agent 1001 has the flag %s at the gateway of its session", flag)
	}
	if n := stranger.NumCalls(); n != 0 {
		t.Errorf("%d calls went to a gateway that is not allowed", n)
	}
	if told := s.log.lines("gateway_url of a session is ignored", hostOf(t, stranger.URL())); len(told) != 1 {
		t.Errorf("it was told %d times that a gateway_url is ignored, want once: %q", len(told), told)
	}
}

// Behind some load balancers a call is refused without the cookies of the sign-in.
func TestCookiesAreSent(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.start()
	const secret = "node-7-of-the-load-balancer"
	s.guids.add(secret)
	s.gateway.RequireCookie(agent, "route="+secret)
	session := messages.Session{GUID: s.gateway.SignIn(agent), Cookies: []string{"lang=en"}}
	s.register(agent, session)
	s.known(agent, session)
	seq := s.publish(item{Agent: agent, Flag: "false", ID: "c"})
	s.wait("without the cookie it waits", func() bool { return s.results.has(seq, messages.Waiting) })
	session.Cookies = append(session.Cookies, "route="+secret)
	s.register(agent, session)
	s.waitFinished()
	s.wantResults("waiting c, applied c")
	if calls := s.gateway.CallsOf(agent); len(calls) != 2 {
		t.Errorf("%d calls, want one without and one with the cookie", len(calls))
	}
}

// A record that cannot be used is told once, without its content, and its agent counts as not signed in.
func TestUnusableSessions(t *testing.T) {
	s := newSite(t, gatewaytest.Options{})
	s.start()
	const secret = "Xk3v9-a-GUID-that-slipped-into-the-wrong-place"
	s.guids.add(secret)
	bad := map[string]string{
		"1001": `{"guid": 7, "note": "` + secret + `"}`,
		"1002": `{"guid": "` + secret,
		"1003": `{"gateway_url": "` + secret + `"}`,
		"1004": secret + " " + secret,
		"boss": secret,
	}
	for range 3 { // desktops write their records again and again
		for key, text := range bad {
			s.registerText(key, text)
		}
	}
	s.settled()
	for key := range bad {
		if told := s.log.lines(`"unusable session"`, `"`+key+`"`); len(told) != 1 {
			t.Errorf("%s: told %d times, want once: %q", key, len(told), told)
		}
	}
	seq := s.publish(item{Agents: []string{"1001", "1002", "1003", "1004"}, Flag: "false"})
	s.wait("they wait", func() bool { return len(s.results.pick(seq, messages.Waiting)) == 4 })
	for _, agent := range []string{"1001", "1002", "1003", "1004"} {
		s.signIn(agent)
	}
	s.waitFinished()
	if n := len(s.results.pick(seq, messages.Applied)); n != 4 {
		t.Errorf("%d applied after proper records came, want 4", n)
	}
}
