package status

import (
	"context"
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

// Ask asks the worker that listens on addr whether it is ready, prints its answer and returns it: so a container needs no
// other program for its health check.
func Ask(ctx context.Context, addr string, w io.Writer) bool {
	if addr == "" {
		fmt.Fprintln(w, "IDLE_HTTP_ADDR is empty: the worker answers nobody")
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(addr)+"/readyz", http.NoBody)
	if err != nil {
		fmt.Fprintln(w, err)
		return false
	}
	response, err := http.DefaultClient.Do(request)
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

// reachable turns an address to listen on into one to connect to.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}
