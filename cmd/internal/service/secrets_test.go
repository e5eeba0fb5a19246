package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/natstest"
)

// Random passwords, tokens, GUIDs and cookies go into every place that takes one, usable or not. None of them, nor a part of one, is
// in anything that comes out of the process.
func TestNothingShowsASecret(t *testing.T) {
	seed := rand.Uint64() //nolint:gosec // a test that fails has to fail again
	t.Logf("seed %d", seed)
	h := &hush{t: t, r: rand.New(rand.NewPCG(seed, 0)), site: newSite(t)} //nolint:gosec // as above
	s := h.site
	natstest.Stop(s.nats)
	password := h.secret()
	s.nats = natstest.StartConfig(t, "jetstream { store_dir: STORE }\nauthorization { user: idle, password: "+strconv.Quote(password)+" }")
	address := url.URL{Scheme: "nats", User: url.UserPassword("idle", password), Host: s.nats.Addr().String()}
	s.config.NATSURLs = []string{strings.ReplaceAll(address.String(), ",", "%2C")} // a comma separates URLs
	s.config.HTTPTokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(s.config.HTTPTokenFile, []byte(h.secret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.level = slog.LevelDebug
	s.start()
	s.isOwner()
	js := s.connect()
	agents := h.signIn(js)
	for _, agent := range agents {
		s.publish(js, `{"agent_id":"`+agent+`","flag":"false"}`, nil)
	}
	s.wait("all changes have been looked at", func() bool {
		results, err := js.Stream(t.Context(), s.names.ResultsStream())
		return err == nil && results.CachedInfo().State.Msgs >= uint64(len(agents))
	})
	for _, token := range []string{h.secret(), h.secret()} {
		s.post("/actions/pause", url.Values{"token": {token}})
		s.get("/?token=" + url.QueryEscape(token))
		s.get("/agents?id=" + url.QueryEscape(token))
		s.get("/agents/" + url.PathEscape(token))
	}
	h.look(js, agents)
	port := natstest.Port(s.nats)
	natstest.Stop(s.nats)
	s.wait("the loss is told", func() bool { return s.ready().Code == http.StatusServiceUnavailable })
	h.check()
	s.nats = natstest.StartConfig(t, fmt.Sprintf("listen: \"127.0.0.1:%d\"\njetstream { store_dir: STORE }\nauthorization { user: idle, password: other }", port))
	s.wait("the refusal is in the log", func() bool { return strings.Contains(s.log.text(), "does not let this user in") })
	h.check()
	h.holds("the log", s.log.text())
}

// hush is a site and all secrets that were put into it.
type hush struct {
	t       *testing.T
	r       *rand.Rand
	site    *site
	secrets []string
}

func (h *hush) secret() string {
	s := natstest.Secret(h.r)
	h.secrets = append(h.secrets, s)
	return s
}

func (h *hush) holds(what, text string) {
	h.t.Helper()
	for _, secret := range h.secrets {
		if part := natstest.Leak(text, secret); part != "" {
			i := strings.Index(text, part)
			h.t.Errorf("%s: %q of a secret, in …%s…", what, part, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

// signIn writes session records of every shape, usable or not.
func (h *hush) signIn(js jetstream.JetStream) (agents []string) {
	h.t.Helper()
	encoded := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			h.t.Fatal(err)
		}
		return string(text)
	}
	for i, record := range []func() string{
		h.secret,
		func() string { return "JSESSIONID=" + h.secret() },
		func() string {
			return encoded(map[string]any{"guid": h.secret(), "cookies": []string{"a=" + h.secret()}})
		},
		func() string { return encoded(map[string]any{"guid": h.secret(), "cookies": []any{1, h.secret()}}) },
		func() string { return encoded(map[string]any{"guid": h.secret(), "cookies": h.secret()}) },
		func() string { return encoded(map[string]any{"guid": []string{h.secret()}}) },
		func() string { return encoded(map[string]any{"guid": h.secret(), "signed_in_at": h.secret()}) },
		func() string { return encoded(map[string]any{"guid": h.secret(), h.secret(): 1}) },
		func() string {
			return encoded(map[string]any{"guid": h.secret(), "gateway_url": "https://elsewhere.example/" + h.secret()})
		},
		func() string {
			return encoded(map[string]any{"guid": h.secret(), "gateway_url": "https://a:" + h.secret() + "@elsewhere.example"})
		},
		func() string { return `{"guid":"` + h.secret() },
		func() string { return h.secret() + "\n" + h.secret() },
	} {
		for n := range 3 {
			agent := strconv.Itoa(2001 + 10*i + n)
			if _, err := js.Publish(h.t.Context(), "$KV."+h.site.names.SessionsBucket()+"."+agent, []byte(record())); err != nil {
				h.t.Fatal(err)
			}
			agents = append(agents, agent)
		}
	}
	return agents
}

// look reads everything that is shown or stored.
func (h *hush) look(js jetstream.JetStream, agents []string) {
	h.t.Helper()
	for _, path := range []string{"/metrics", "/", "/readyz", "/healthz", "/api/status"} {
		_, body := h.site.get(path)
		h.holds(path, body)
	}
	for _, agent := range agents {
		for _, path := range []string{"/agents/", "/api/agents/"} {
			_, body := h.site.get(path + agent)
			h.holds(path+agent, body)
		}
	}
	for _, name := range []string{
		h.site.names.ResultsStream(), h.site.names.DeadStream(), "KV_" + h.site.names.AppliedBucket(), "KV_" + h.site.names.ControlBucket(),
	} {
		stored, err := js.Stream(h.t.Context(), name)
		if err != nil {
			h.t.Fatal(err)
		}
		for seq := stored.CachedInfo().State.FirstSeq; seq <= stored.CachedInfo().State.LastSeq; seq++ {
			if m, err := stored.GetMsg(h.t.Context(), seq); err == nil { // one that was overwritten is gone
				h.holds(m.Subject, fmt.Sprintf("%s %v %s", m.Subject, m.Header, m.Data))
			}
		}
	}
	h.check()
}

func (h *hush) check() {
	h.t.Helper()
	var out bytes.Buffer
	Check(h.t.Context(), h.site.config, &out)
	h.holds("-check", out.String())
}
