package status

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// askWithin is below what container runtimes give a health check by default.
const askWithin = 3 * time.Second

// Ask asks the worker that listens on addr whether it is ready, and prints and returns the answer. With it a container needs no other
// program for its health check.
func Ask(ctx context.Context, addr string, w io.Writer) bool {
	if addr == "" {
		fmt.Fprintln(w, "IDLE_HTTP_ADDR is empty: the worker answers nobody")
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	response, err := get(ctx, addr, "/readyz")
	if asking, ok := errors.AsType[*url.Error](err); ok { // it says the whole URL again
		err = asking.Err
	}
	if err != nil {
		fmt.Fprintf(w, "no worker answers at IDLE_HTTP_ADDR=%s: %v\n", addr, err)
		return false
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(w, io.LimitReader(response.Body, 4<<10)) // nobody is left to tell
	return response.StatusCode == http.StatusOK
}

// get asks one address over HTTP, or over HTTPS if the server wants that. It does not verify the certificate, which need not be for this
// machine's own name; it sends no secrets.
func get(ctx context.Context, addr, path string) (*http.Response, error) {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // see above
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },                    // only this address is asked
	}
	ask := func(scheme string) (*http.Response, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+reachable(addr)+path, http.NoBody)
		if err != nil {
			return nil, err
		}
		return client.Do(request)
	}
	response, err := ask("http://")
	if err != nil || response.StatusCode != http.StatusBadRequest { // which is how a server for HTTPS answers plain HTTP
		return response, err
	}
	_ = response.Body.Close()
	return ask("https://")
}

// reachable returns the address to connect to for an address to listen on.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}
