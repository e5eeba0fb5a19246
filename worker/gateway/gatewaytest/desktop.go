package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Desktop is one agent's desktop: it speaks the six requests and nothing else, keeps the GUID that the last answer gave it
// and sends back the cookies that it was given. Its methods may be called from several goroutines at once.
type Desktop struct {
	Agent  string
	URL    string // of the gateway, or of what stands before it
	Client *http.Client

	mu      sync.Mutex // guards what follows
	guid    string
	cookies []string // "name=value"
}

// Reply is what a request of a desktop was answered.
type Reply struct {
	Status  int
	Retcode string // empty: the answer has none
	Event   string // type of the event that a poll brought; empty: none
	Rotated bool   // it brought a new GUID
}

// SignIn signs in with this body, which must be a JSON object; empty: the usual one. With force a session elsewhere ends.
func (d *Desktop) SignIn(ctx context.Context, force bool, body string) (Reply, error) {
	path := beforeAgent + d.Agent
	if force {
		path += "/forcelogin"
	}
	if body == "" {
		body = `{"phonenum": "` + d.Agent + `", "releasephone": false, "autoenteridle": true, "password": "` + DesktopPassword + `"}`
	}
	d.mu.Lock()
	d.guid, d.cookies = "", nil
	d.mu.Unlock()
	return d.send(ctx, http.MethodPut, path, body)
}

// DesktopPassword is what desktops send at sign-in unless a test says otherwise: it must turn up nowhere else.
const DesktopPassword = "p4ssw0rd-of-a-desktop"

// Poll asks for an event.
func (d *Desktop) Poll(ctx context.Context) (Reply, error) {
	return d.send(ctx, http.MethodGet, beforePoll+d.Agent, "")
}

// Handshake is the heartbeat in push mode.
func (d *Desktop) Handshake(ctx context.Context) (Reply, error) {
	return d.send(ctx, http.MethodPost, beforeAgent+d.Agent+"/handshake", "")
}

// UpdateGUID asks for a new GUID, as a page does that was refreshed.
func (d *Desktop) UpdateGUID(ctx context.Context) (Reply, error) {
	return d.send(ctx, http.MethodPut, beforeAgent+d.Agent+"/updateGuid", "")
}

// SignOut signs out with a verb of the gateway's: "logout", "forcelogout" or "forcelogoutwithreason/3".
func (d *Desktop) SignOut(ctx context.Context, verb string) (Reply, error) {
	return d.send(ctx, http.MethodDelete, beforeAgent+d.Agent+"/"+verb, "")
}

// GUID returns the GUID that the desktop shows now.
func (d *Desktop) GUID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.guid
}

// Take makes the desktop show this GUID and these cookies, as one does that signed in elsewhere.
func (d *Desktop) Take(guid string, cookies ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.guid, d.cookies = guid, cookies
}

func (d *Desktop) send(ctx context.Context, method, path, body string) (Reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.URL+path, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	r.Header["Content-Type"] = jsonUTF8
	d.mu.Lock()
	if d.guid != "" {
		r.Header["Guid"] = []string{d.guid}
	}
	if len(d.cookies) > 0 {
		r.Header["Cookie"] = []string{strings.Join(d.cookies, "; ")}
	}
	d.mu.Unlock()
	resp, err := d.Client.Do(r)
	if err != nil {
		if asked, ok := err.(*url.Error); ok { //nolint:errorlint // its text has the whole address
			err = asked.Err
		}
		return Reply{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Reply{}, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return d.understand(resp, text), nil
}

var jsonUTF8 = []string{"application/json; charset=UTF-8"}

func (d *Desktop) understand(resp *http.Response, text []byte) Reply {
	var said struct {
		Retcode string
		Event   struct{ EventType string }
		Result  json.RawMessage
	}
	_ = json.NewDecoder(bytes.NewReader(text)).Decode(&said) // a page of a proxy is an answer too
	reply := Reply{Status: resp.StatusCode, Retcode: said.Retcode, Event: said.Event.EventType}
	var result struct{ GUID string }
	_ = json.Unmarshal(said.Result, &result) // free in its form
	guid := result.GUID
	if named := resp.Header.Get("Set-Guid"); named != "" {
		guid = strings.TrimPrefix(named, "JSESSIONID=")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range resp.Cookies() {
		d.cookies = append(d.cookies, c.Name+"="+c.Value)
	}
	if guid != "" {
		d.guid, reply.Rotated = guid, true
	}
	return reply
}
