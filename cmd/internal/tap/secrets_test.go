package tap

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"idlepolicy/worker/stream/natstest"
)

// purse makes secrets up and remembers them.
type purse struct {
	mu     sync.Mutex // guards what follows
	random *rand.Rand
	all    []string
}

func (p *purse) secret() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := natstest.Secret(p.random)
	p.all = append(p.all, s)
	return s
}

// leak returns what of the secrets stands in a text; empty: nothing.
func (p *purse) leak(text string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.all {
		if part := natstest.Leak(text, s); part != "" {
			return fmt.Sprintf("%q of %q", part, s)
		}
	}
	return ""
}

// answers returns answers with secrets wherever an answer can have one: good ones, and such as no client can read.
func (p *purse) answers() []string {
	body := func(text string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(text), text) }
	good := fmt.Sprintf(`{"retcode":"0","message":%q,"result":{"guid":%q}}`, p.secret(), p.secret())
	set := "Set-GUID: JSESSIONID=" + p.secret() + "\r\nSet-Cookie: " + p.secret() + "=" + p.secret() + "; Path=/\r\n"
	return []string{
		"HTTP/1.1 200 OK\r\n" + set + body(good),
		"HTTP/1.1 200 OK\r\n" + set + body(good) + "HTTP/1.1 200 OK\r\n" + set + body(good), // a surplus one
		"HTTP/1.1 200 OK\r\n" + set + "Content-Length: 5000\r\n\r\n" + good,                 // broken off
		"HTTP/1.1 200 " + p.secret() + "\r\n" + set + body(p.secret()),
		"HTTP/1.1 200 OK\r\n" + p.secret() + "\r\n\r\n",
		"HTTP/1.1 " + p.secret() + "\r\n\r\n",
		p.secret() + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + p.secret() + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + p.secret() + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + set + "Content-Encoding: gzip\r\n" + body(p.secret()),
		"HTTP/1.1 302 Found\r\nLocation: /" + url.PathEscape(p.secret()) + "\r\n" + body(p.secret()),
		"",
	}
}

// Secrets of random characters come in wherever the tap takes something, from desktops, from the gateway, from middleware and from
// its settings. None of them, nor a part of one, is in the log at debug level, in the metrics, in health, in what the tap itself
// answers or in what -check says.
func TestSecretsTurnUpNowhere(t *testing.T) {
	for seed := range uint64(2) {
		p := &purse{random: rand.New(rand.NewPCG(seed, 5))}
		s := newScene(t)
		answers := p.answers()
		s.config.GatewayInsecure = true
		s.config.GatewayURL = startRaw(t, seed%2 == 0, func(conn net.Conn, _ *corked) {
			requests := bufio.NewReader(conn)
			for {
				r, err := http.ReadRequest(requests)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				n := 0
				_, _ = fmt.Sscan(r.Header.Get("X-Answer"), &n)
				if _, err := io.WriteString(conn, answers[n]); err != nil || n > 0 {
					return
				}
			}
		})
		at, err := url.Parse(s.nats.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		at.User = url.UserPassword(p.secret(), p.secret())
		s.config.NATSURLs = []string{at.String()}
		s.config.WritersFile = filepath.Join(t.TempDir(), "writers")
		token := strings.ReplaceAll(p.secret(), " ", "-")
		if err := os.WriteFile(s.config.WritersFile, []byte("crm "+token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		tap := s.start()
		said := p.visit(s, tap, token, len(answers))
		var check strings.Builder
		Check(t.Context(), s.config, &check)
		natstest.Stop(s.nats)
		said += p.visit(s, tap, token, len(answers)) // and while NATS is away
		tap.stop()
		for where, text := range map[string]string{"the log": s.log.String(), "what it answers": said, "-check": check.String()} {
			if part := p.leak(text); part != "" {
				t.Errorf("seed %d: %s shows %s", seed, where, part)
			}
			if text == "" {
				t.Errorf("seed %d: %s says nothing", seed, where)
			}
		}
		s.client.CloseIdleConnections()
	}
}

// visit sends everything that can have a secret, and returns what the tap itself said.
func (p *purse) visit(s *scene, tap *tapProcess, token string, answers int) string {
	s.t.Helper()
	var said strings.Builder
	send := func(at, method, path string, h http.Header, body string) *http.Response {
		r, err := http.NewRequestWithContext(s.t.Context(), method, at+path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header = h
		resp, err := s.client.Do(r)
		if err != nil {
			return nil // the gateway's answer was passed on as it came
		}
		return resp
	}
	for n := range answers {
		for _, one := range [][2]string{
			{"PUT", "/onlineagent/1001"},
			{"GET", "/agentevent/1001"},
			{"POST", "/onlineagent/1001/handshake"},
			{"PUT", "/onlineagent/1001/updateGuid"},
			{"DELETE", "/onlineagent/1001/logout"},
			{"PUT", "/onlineagent/" + url.PathEscape(p.secret())},
			{"GET", "/" + url.PathEscape(p.secret())},
		} {
			h := http.Header{
				"Guid": {p.secret()}, "Cookie": {p.secret() + "=" + p.secret()}, "Authorization": {"Bearer " + p.secret()}, "X-Any": {p.secret()},
				"X-Answer": {strconv.Itoa(n)},
			}
			resp := send(tap.desktops, one[0], "/agentgateway/resource"+one[1]+"?password="+url.QueryEscape(p.secret()), h, `{"password":"`+p.secret()+`"}`)
			if resp == nil {
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode >= http.StatusInternalServerError { // the tap's own: the gateway here has none
				fmt.Fprint(&said, resp.Header, string(body))
			}
		}
	}
	for _, body := range []string{
		`{"guid":"` + p.secret(), `{"guid":["` + p.secret() + `"]}`, p.secret() + "\n" + p.secret(), `{"guid":"x","cookies":"` + p.secret() + `","signed_in_at":"` + p.secret() + `"}`,
		`{"guid":"` + url.QueryEscape(p.secret()) + `","gateway_url":"https://u:` + url.QueryEscape(p.secret()) + `@x"}`,
	} {
		for _, bearer := range []string{token, p.secret()} {
			for _, method := range []string{"PUT", "DELETE"} {
				resp := send(tap.page, method, "/api/sessions/1002?x="+url.QueryEscape(p.secret()), http.Header{"Authorization": {"Bearer " + bearer}}, body)
				if resp == nil {
					continue
				}
				text, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				fmt.Fprint(&said, resp.Header, string(text))
			}
		}
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		_, text := s.get(tap.page + path)
		said.WriteString(text)
	}
	return said.String()
}
