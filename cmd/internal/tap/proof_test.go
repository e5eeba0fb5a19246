package tap

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// scripted is a gateway that gives the answer that is set to whatever it is asked.
type scripted struct {
	header http.Header
	body   string
}

// RoundTrip implements http.RoundTripper.
func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: s.header.Clone(), ContentLength: int64(len(s.body)),
		Body: io.NopCloser(strings.NewReader(s.body)), Request: r,
	}, nil
}

const (
	jsonType = "application/json;charset=UTF-8"
	good     = `{"result": {}, "message": "success", "retcode": "0"}`
	refusal  = `{"message": "not signed in", "retcode": "100-006"}`
	ended    = `{"message": "signed out", "retcode": "100-008"}`
)

// asked is a request and the answer to it.
type asked struct{ method, path, guid, kind, answer string }

func (a *asked) through(p *Proxy, gateway *scripted, header http.Header) *httptest.ResponseRecorder {
	gateway.header, gateway.body = http.Header{"Content-Type": {a.kind}}, a.answer
	if gateway.header.Get("Content-Type") == "" {
		gateway.header.Set("Content-Type", jsonType)
	}
	maps.Copy(gateway.header, header)
	r := httptest.NewRequest(a.method, "/agentgateway/resource/"+a.path, http.NoBody)
	r.Header.Set("Guid", "JSESSIONID="+a.guid)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// TestAnswersThatProveASession passes requests of many kinds through the proxy. Agent 1001 shows g2, which came in the place
// of g1; agent 1002 is a supervisor who shows s1.
func TestAnswersThatProveASession(t *testing.T) {
	poll := func(answer string) asked { return asked{"GET", "agentevent/1001", "g2", "", answer} }
	own := func(method, path, answer string) asked { return asked{method, path, "g2", "", answer} }
	for _, test := range []struct {
		name                 string
		first, between, last asked // the second comes when 1 s is left of the 10 s
		ends                 string
	}{
		{"polls refused", poll(refusal), asked{}, poll(ended), "1001"},
		{"a poll between", poll(refusal), poll(good), poll(refusal), ""},
		{"says free", poll(refusal), own("PUT", "onlineagent/1001/sayfree", good), poll(refusal), ""},
		{"answers a call", poll(refusal), own("PUT", "voicecall/1001/answer", good), poll(refusal), ""},
		{"asks for its state", poll(refusal), own("GET", "onlineagent/1001/agentstatus", good), poll(refusal), ""},
		{"a resource without an agent", poll(refusal), own("GET", "agentgroup", good), poll(refusal), ""},
		{"a path that is not the gateway's", poll(refusal), own("GET", "../health", good), poll(refusal), ""},
		{"acts on another agent", poll(refusal), own("PUT", "onlineagent/1003/sayfree", good), poll(refusal), ""},
		{"polls for another agent", poll(refusal), own("GET", "agentevent/1003", good), poll(refusal), ""},
		{"signs another agent out", poll(refusal), own("DELETE", "onlineagent/1003/forcelogout", good), poll(refusal), ""},
		{"a number as the code", poll(refusal), own("PUT", "onlineagent/1001/sayfree", `{"retcode": 0}`), poll(refusal), ""},

		{"another failure", poll(refusal), own("PUT", "onlineagent/1001/sayfree", `{"retcode": "100-009"}`), poll(refusal), "1001"},
		{"no code", poll(refusal), own("PUT", "onlineagent/1001/sayfree", `{}`), poll(refusal), "1001"},
		{"not JSON", poll(refusal), asked{"PUT", "onlineagent/1001/sayfree", "g2", "text/event-stream", good}, poll(refusal), "1001"},
		{"longer than is looked at", poll(refusal), own("GET", "calldata/1001", good+strings.Repeat(" ", mostPeeked)), poll(refusal), "1001"},
		{"another agent's GUID", poll(refusal), asked{"PUT", "onlineagent/1001/sayfree", "s1", "", good}, poll(refusal), "1001"},
		{"nobody's GUID", poll(refusal), asked{"PUT", "onlineagent/1001/sayfree", "x1", "", good}, poll(refusal), "1001"},

		{
			"nothing but refusals of other requests", own("PUT", "onlineagent/1001/sayfree", refusal),
			asked{},
			own("PUT", "voicecall/1001/answer", ended), "1001",
		},
		{"a refused request before a refused poll", own("PUT", "onlineagent/1001/sayfree", refusal), asked{}, poll(refusal), "1001"},
		{
			"a good answer between refusals of others", own("PUT", "onlineagent/1001/sayfree", refusal), own("PUT", "voicecall/1001/answer", good),
			own("PUT", "onlineagent/1001/sayfree", refusal), "",
		},
		{
			"refusals of the GUID before",
			asked{"PUT", "onlineagent/1001/sayfree", "g1", "", refusal},
			asked{},
			asked{"PUT", "onlineagent/1001/sayfree", "g1", "", refusal},
			"",
		},
		{
			"a supervisor acts on one who is signed out",
			asked{"PUT", "onlineagent/1003/sayfree", "s1", "", refusal},
			asked{},
			asked{"PUT", "onlineagent/1003/sayfree", "s1", "", refusal},
			"",
		},
		{
			"a supervisor acts on one whose session is good",
			asked{"PUT", "onlineagent/1001/sayfree", "s1", "", refusal},
			asked{},
			asked{"PUT", "onlineagent/1001/sayfree", "s1", "", refusal},
			"",
		},
		{
			"a resource without an agent is refused",
			asked{"GET", "agentgroup", "s1", "", refusal},
			asked{},
			asked{"GET", "agentgroup", "s1", "", refusal},
			"",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
				t.Helper()
				gateway := &scripted{}
				p := &Proxy{
					Gateway: &url.URL{Scheme: "https", Host: "gateway.example"}, Transport: gateway, Registry: taps[0],
					Metrics: NewMetrics(""), Log: taps[0].Log,
				}
				for _, in := range []struct {
					request asked
					gives   string
				}{
					{asked{"PUT", "onlineagent/1001", "", "", good}, "g1"},
					{asked{"GET", "agentevent/1001", "g1", "", good}, "g2"},
					{asked{"PUT", "onlineagent/1002", "", "", good}, "s1"},
				} {
					in.request.through(p, gateway, http.Header{"Set-Guid": {in.gives}})
				}
				for i, request := range []asked{test.first, test.between, test.last} {
					if i > 0 {
						time.Sleep([]time.Duration{overAfter - time.Second, time.Second}[i-1])
					}
					if request.method == "" {
						continue
					}
					if got := request.through(p, gateway, nil).Body.String(); got != request.answer {
						t.Errorf("%s %s was answered with %d bytes, want the %d that the gateway sent", request.method, request.path, len(got), len(request.answer))
					}
				}
				for agent, guid := range map[string]string{"1001": "g2", "1002": "s1", "1003": ""} {
					if agent == test.ends {
						guid = ""
					}
					m.want(t, agent, guid)
				}
			})
		})
	}
}

// A GUID that no sign-in or poll brought is not adopted from any other request, whoever is in its path.
func TestOnlyPollsAreAdopted(t *testing.T) {
	bubble(t, 1, func(t *testing.T, m *memory, taps []*Registry) {
		t.Helper()
		gateway := &scripted{}
		p := &Proxy{
			Gateway: &url.URL{Scheme: "https", Host: "gateway.example"}, Transport: gateway, Registry: taps[0],
			Metrics: NewMetrics(""), Log: taps[0].Log,
		}
		for _, path := range []string{"onlineagent/1001/sayfree", "onlineagent/1001/agentstatus", "voicecall/1001/answer"} {
			request := asked{"PUT", path, "x1", "", good}
			request.through(p, gateway, nil)
		}
		m.want(t, "1001", "")
		request := asked{"GET", "agentevent/1001", "x1", "", good}
		request.through(p, gateway, nil)
		m.want(t, "1001", "x1")
	})
}
