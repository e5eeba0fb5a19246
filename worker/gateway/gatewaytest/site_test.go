package gatewaytest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

const success = `{"result": {}, "message": "success", "retcode": "0"}`

// bench is a gateway and a client of it.
type bench struct {
	*gatewaytest.Gateway
	client *http.Client
	guids  map[string]string
}

func start(t *testing.T, o gatewaytest.Options) *bench {
	t.Helper()
	g, err := gatewaytest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return &bench{Gateway: g, guids: map[string]string{}, client: clientOf(t, g, o)}
}

// clientOf makes a client that speaks as the options say and has no connections yet.
func clientOf(t *testing.T, g *gatewaytest.Gateway, o gatewaytest.Options) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !o.PlainHTTP && !pool.AppendCertsFromPEM(g.CA()) {
		t.Fatal("no CA")
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!o.HTTP2)
	protocols.SetHTTP2(o.HTTP2)
	protocols.SetUnencryptedHTTP2(o.HTTP2 && o.PlainHTTP)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// signIn signs agents in and remembers their GUIDs for calls.
func (b *bench) signIn(agents ...string) {
	for _, agent := range agents {
		b.guids[agent] = b.SignIn(agent)
	}
}

func path(agent, flag string) string {
	return "/agentgateway/resource/onlineagent/" + agent + "/autoenteridle/" + flag
}

// answer is what a call came to.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

func (b *bench) send(ctx context.Context, method, path string, header http.Header) (a answer) {
	r, err := http.NewRequestWithContext(ctx, method, b.URL()+path, http.NoBody)
	if err != nil {
		return answer{err: err}
	}
	r.Header = header
	resp, err := b.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// set makes the one call, with the agent's GUID.
func (b *bench) set(ctx context.Context, agent, flag string) answer {
	return b.send(ctx, http.MethodPost, path(agent, flag), http.Header{"Guid": {b.guids[agent]}})
}

// code returns the retcode that is quoted in an answer.
func (a answer) code() string {
	_, rest, _ := strings.Cut(a.body, `"retcode": "`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

// until waits for something that another goroutine brings about. It ends with the test's own time limit.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatalf("never: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func wantFlag(t *testing.T, b *bench, agent, want string) {
	t.Helper()
	if flag, ok := b.Flag(agent); flag != want || ok != (want != "") {
		t.Errorf("the flag of %s is %q, want %q", agent, flag, want)
	}
}
