package gateway

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

const secret = "0a1b2c3d-secret.AgentGateway1"

// answering is a server that gives everybody the same answer, whatever it is, and closes the connection.
func answering(t *testing.T, answer string) *Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := bufio.NewReader(conn)
			for line := "x"; line != "\r\n" && err == nil; {
				line, err = b.ReadString('\n')
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	}()
	c := &Client{URL: "http://" + l.Addr().String(), Insecure: true}
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Whatever comes back, and be it the agent's next GUID in a header that cannot be read: no credential gets out.
func TestAnswersShowNoCredentials(t *testing.T) {
	const head, json = "HTTP/1.1 200 OK\r\n", "Content-Type: application/json\r\n\r\n"
	for name, answer := range map[string]string{
		"header without a colon": head + "Set-GUID JSESSIONID=" + secret + "\r\n\r\n",
		"header with blanks":     head + "Set GUID : JSESSIONID=" + secret + "\r\n\r\n",
		"status line":            "JSESSIONID=" + secret + " 200\r\n\r\n",
		"status":                 "HTTP/1.1 " + secret + "\r\n\r\n",
		"length":                 head + "Content-Length: " + secret + "\r\n\r\n",
		"encoding":               head + "Transfer-Encoding: " + secret + "\r\n\r\n",
		"chunk":                  head + "Transfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"location":               "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/" + secret + "\r\n\r\n",
		"retcode":                head + json + `{"retcode":"` + secret + `"}`,
		"message":                head + json + `{"retcode":"100-007","message":"unknown ` + secret + `"}`,
		"cut message":            head + json + `{"retcode":"100-007","message":"` + strings.Repeat("x", maxMessage-12) + secret + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, answer)
			a := c.Set(t.Context(), worker.Call{AgentID: "1001", Flag: "true", Session: messages.Session{GUID: secret}})
			if said := a.Fault + a.Retcode + a.Message; said == "" || strings.Contains(said, secret[:8]) {
				t.Errorf("%v: %.200q, retcode %q, message %.200q", a.Class, a.Fault, a.Retcode, a.Message)
			}
		})
	}
}
