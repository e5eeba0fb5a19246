package service

import (
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"idlepolicy/messages"
)

// NATS as sites run it: with the setting that it needs a change goes all the way, and the check has nothing against it.
func TestNATSAsSitesRunIt(t *testing.T) {
	keys := newPKI(t)
	for name, prepare := range map[string]func(b *bench, s *site) (direct *server.Server){
		"a leaf node without JetStream": func(b *bench, s *site) *server.Server {
			leaf, hub := b.leaf("")
			s.nats, s.config.NATSDomain = leaf, "hub"
			return hub
		},
		"a leaf node with JetStream of its own": func(b *bench, s *site) *server.Server {
			leaf, hub := b.leaf("jetstream { store_dir: STORE, domain: leaf }\n")
			s.nats, s.config.NATSDomain = leaf, "hub"
			return hub
		},
		"reply subjects of one's own": func(b *bench, s *site) *server.Server {
			s.nats = b.server(`accounts { A: { jetstream: enabled, users: [
				{ user: admin, password: p }, { user: u, password: p, permissions: { subscribe: { allow: ["_INBOX_idle.>", "centre.1.>", "$SRV.>"] } } }
			] } }, no_auth_user: admin`)
			s.config.NATSURLs, s.config.NATSInboxPrefix = []string{"nats://u:p@" + s.nats.Addr().String()}, "_INBOX_idle"
			return s.nats
		},
		"TLS first": func(b *bench, s *site) *server.Server {
			s.nats = b.server(keys.natsTLS(keys.good, "handshake_first: \"500ms\""))
			s.config.NATSTLSFirst, s.config.NATSCA = true, keys.ca
			return nil
		},
		"an account that requires max_bytes": func(b *bench, s *site) *server.Server {
			s.nats = b.server(`accounts { A: { jetstream: { max_file: 1GB, max_bytes: true }, users: [{ user: u, password: p }] } }, no_auth_user: u`)
			s.config.MaxBytes = 100 << 20
			return s.nats
		},
		"a limit on duplicate windows": func(b *bench, s *site) *server.Server {
			s.nats = b.server("jetstream { store_dir: STORE, limits { duplicate_window: \"1m\" } }")
			return s.nats
		},
		"a password with characters that have a meaning": func(b *bench, s *site) *server.Server {
			s.nats = b.server(`accounts { A: { jetstream: enabled, users: [{ user: admin, password: p }, { user: u, password: "1234#se/cr?et@x:y" }] } }, no_auth_user: admin`)
			s.config.NATSURLs = []string{"nats://u:1234%23se%2Fcr%3Fet%40x%3Ay@" + s.nats.Addr().String()}
			return s.nats
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			before := s.nats
			b := &bench{T: t, site: s, pki: keys}
			direct := prepare(b, s)
			if len(s.config.NATSURLs) == 1 && s.config.NATSURLs[0] == before.ClientURL() {
				s.config.NATSURLs = []string{"nats://" + s.nats.Addr().String()}
			}
			s.check(true)
			s.start()
			s.isOwner()
			if direct == nil {
				return // the tools of this test do not speak as this server wants it
			}
			js := b.js(direct)
			s.signIn(js, "1001")
			s.publish(js, `{"agent_id": "1001", "flag": "false"}`, nil)
			s.result(js, messages.Applied, "1001")
			if s.config.MaxBytes > 0 {
				held, err := js.Stream(t.Context(), s.names.ChangesStream())
				if err != nil {
					t.Fatal(err)
				}
				if c := held.CachedInfo().Config; c.MaxBytes != s.config.MaxBytes || c.Discard.String() != "DiscardNew" {
					t.Errorf("the changes have max_bytes %d and %s, and none of them may be discarded", c.MaxBytes, c.Discard)
				}
			}
		})
	}
}

// What the check says beforehand the running worker says too, in its log once and in /readyz as long as it is so, with nothing made.
func TestRunningWorkerNamesWhatIsWrong(t *testing.T) {
	keys := newPKI(t)
	for name, test := range map[string]struct {
		prepare func(b *bench, s *site)
		says    string
	}{
		"max_bytes required": {func(b *bench, s *site) {
			s.nats = b.server(`accounts { A: { jetstream: { max_file: 1GB, max_bytes: true }, users: [{ user: u, password: p }] } }, no_auth_user: u`)
		}, "set IDLE_STREAM_MAX_BYTES"},
		"too few streams": {func(b *bench, s *site) {
			s.nats = b.server(`accounts { A: { jetstream: { max_streams: 3 }, users: [{ user: u, password: p }] } }, no_auth_user: u`)
		}, "raise its max_streams to 6"},
		"replicas": {func(_ *bench, s *site) { s.config.Replicas = 3 }, "is not in a cluster; want 1"},
		"an inbox of one's own": {func(b *bench, s *site) {
			s.nats = b.server(`accounts { A: { jetstream: enabled, users: [{ user: u, password: p, permissions: { subscribe: "_INBOX_idle.>" } }] } }, no_auth_user: u`)
		}, "name their prefix in IDLE_NATS_INBOX_PREFIX"},
		"handshake first": {func(b *bench, s *site) {
			s.nats = b.server(keys.natsTLS(keys.good, "handshake_first: true, timeout: 1"))
			s.config.NATSCA = keys.ca
		}, "IDLE_NATS_TLS_FIRST=true"},
		"a leaf node": {func(b *bench, s *site) { s.nats, _ = b.leaf("") }, "set IDLE_NATS_DOMAIN"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			test.prepare(&bench{T: t, site: s, pki: keys}, s)
			s.config.NATSURLs = []string{"nats://" + s.nats.Addr().String()}
			s.start()
			said := func() bool {
				r := s.ready()
				return r.Code == http.StatusServiceUnavailable && strings.Contains(r.Reason+r.Trouble, test.says)
			}
			s.wait("/readyz says why", said)
			s.wait("the log says it", func() bool { return strings.Contains(s.log.text(), test.says) })
			for range 3 { // still, after it was tried again
				lines := strings.Count(s.log.text(), "\n")
				s.get("/readyz")
				if !said() {
					t.Errorf("/readyz no longer says %q: %+v (%d lines)", test.says, s.ready(), lines)
				}
			}
		})
	}
}
