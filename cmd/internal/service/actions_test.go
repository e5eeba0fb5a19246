package service

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker/gateway/gatewaytest"
)

const pageToken = "a-token-of-the-test"

func (s *site) withToken() {
	s.t.Helper()
	s.config.HTTPTokenFile = filepath.Join(s.t.TempDir(), "token")
	if err := os.WriteFile(s.config.HTTPTokenFile, []byte(pageToken+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) gateState(state string) {
	s.t.Helper()
	s.wait("the gate is "+state, func() bool {
		_, body := s.get("/metrics")
		return strings.Contains(body, `idlepolicy_gate_state{state="`+state+`"} 1`)
	})
}

func TestPagePausesAndResumes(t *testing.T) {
	s := newSite(t)
	s.withToken()
	s.start()
	s.isOwner()
	if code, body := s.post("/actions/pause", url.Values{"token": {pageToken}}); code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	s.gateState("paused")
	if code, body := s.post("/actions/resume", url.Values{"token": {pageToken}}); code != http.StatusOK {
		t.Fatalf("status %d: %s", code, body)
	}
	s.gateState("open")
	if lines := s.log.lines(t, "changed by an operator"); len(lines) != 2 || lines[0]["by"] != "status page of w1" {
		t.Errorf("logged %v", lines)
	}
	if strings.Contains(s.log.text(), pageToken) {
		t.Error("the log shows the token")
	}
}

func TestPageReplaysTheLastDeadLetter(t *testing.T) {
	s := newSite(t)
	s.withToken()
	s.start()
	s.isOwner()
	js := s.connect()
	s.signIn(js, "1001")
	remove := s.gateway.On("1001", gatewaytest.Rule{Retcode: "000-002", Message: "no"})
	s.publish(js, `{"agent_id": "1001", "flag": "false", "id": "c-1"}`, nil)
	s.result(js, messages.Failed, "1001")
	remove()
	form := url.Values{"token": {pageToken}, "agent": {"1001"}}
	s.wait("the dead letter is there", func() bool {
		code, _ := s.post("/actions/replay", form)
		return code == http.StatusOK
	})
	s.result(js, messages.Applied, "1001")
	if got, _ := s.gateway.Flag("1001"); got != "false" {
		t.Errorf("the agent's flag is %q", got)
	}
	if code, body := s.post("/actions/replay", url.Values{"token": {pageToken}, "agent": {"1002"}}); code != http.StatusBadGateway ||
		!strings.Contains(body, "no dead letter of agent 1002") {
		t.Errorf("status %d: %s", code, body)
	}
}

func TestPageIsReadOnlyWithoutToken(t *testing.T) {
	s := newSite(t)
	s.start()
	if code, _ := s.post("/actions/pause", url.Values{"token": {""}}); code != http.StatusNotFound {
		t.Errorf("status %d", code)
	}
	if _, page := s.get("/"); strings.Contains(page, "<form class=\"action\"") {
		t.Error("there are actions on the page")
	}
}
