package main_test

import (
	"fmt"
	"strings"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

// stir makes everything happen that can be said something about, and returns the credentials that took part.
func (s *site) stir(w *worker) []string {
	s.t.Helper()
	const badGUID = "b4d0c0de-0000-4000-8000-00000badbad0"
	secrets := []string{badGUID, cookie[strings.Index(cookie, "=")+1:]}
	for _, agent := range []string{"1001", "1002", "1003", "1004", "1005", "1006"} {
		secrets = append(secrets, s.signInWithCookie(agent))
	}
	// Records that cannot be used, and one that leads elsewhere.
	for agent, record := range map[string]string{
		"1007": `{"guid":"` + badGUID + `","cookies":[1]}`, "1008": badGUID + " two words", "1009": `{"guid":["` + badGUID + `"]}`,
		"1010": `{"guid":"` + badGUID + `","gateway_url":"https://elsewhere.example:1/` + badGUID + `"}`,
	} {
		if _, err := s.registry().Put(s.t.Context(), agent, []byte(record)); err != nil {
			s.t.Fatal(err)
		}
	}
	s.gateway.On("1002", gatewaytest.Rule{Retcode: "000-002"})
	s.gateway.On("1003", gatewaytest.Rule{Retcode: "100-007"})
	s.gateway.On("1004", gatewaytest.Rule{Times: 1, Fault: gatewaytest.Cut})
	s.gateway.On("1005", gatewaytest.Rule{Times: 1, Status: 302, Location: "https://elsewhere.example/"})
	secrets = append(secrets, s.gateway.Rotate("1006")) // the registry keeps the old one
	for agent := 1001; agent <= 1010; agent++ {
		s.publish(fmt.Sprintf(`{"agent_id":%d,"flag":"false"}`, agent))
	}
	s.publish(`{"agent_id":"1001","flag":"yes"}`, `nothing`)
	s.waitEnded(7)
	if err := s.gateway.SetOutage(gatewaytest.Resetting); err != nil {
		s.t.Fatal(err)
	}
	s.publish(`{"agent_id":"1001","flag":"true"}`)
	s.await(func() bool { return strings.Contains(w.Output(), "the gate holds calls back") }, func() string { return "an outage in the log" })
	if err := s.gateway.SetOutage(gatewaytest.NoOutage); err != nil {
		s.t.Fatal(err)
	}
	s.waitEnded(8)
	for _, r := range s.seen() {
		if r.Outcome == messages.Waiting && r.AgentID == "1006" && r.Retcode != "100-006" {
			s.t.Errorf("agent 1006: %+v", r)
		}
	}
	return secrets
}

// said is everything that comes out of a worker, by what it is.
func (s *site) said(w *worker) map[string]string {
	s.t.Helper()
	_, check := ask(s.t, s.env(), "-check")
	all := map[string]string{"the log": w.Output(), "the lines of -check": check}
	for _, path := range []string{"/metrics", "/", "/readyz", "/healthz", "/agents/1001", "/agents/1006"} {
		_, all[path] = w.get(path)
	}
	for _, stream := range []string{names.ResultsStream(), names.DeadStream(), "KV_" + names.AppliedBucket(), "KV_" + names.ControlBucket()} {
		var text strings.Builder
		for _, m := range s.all(stream) {
			fmt.Fprintf(&text, "%s %v %s\n", m.Subject(), m.Headers(), m.Data())
		}
		if all["the messages of "+stream] = text.String(); text.Len() == 0 {
			s.t.Errorf("%s is empty", stream)
		}
	}
	return all
}
