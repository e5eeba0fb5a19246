package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Proxy passes everything to the gateway and back unchanged, and tells the Registry what it means. Set the exported fields,
// then use it as an http.Handler.
type Proxy struct {
	Gateway     *url.URL // scheme and host alone
	RewriteHost bool     // Host becomes the gateway's own; otherwise it passes as the desktop sent it
	Transport   http.RoundTripper
	Registry    *Registry
	Metrics     *Metrics
	Log         *slog.Logger

	once   sync.Once
	proxy  *httputil.ReverseProxy
	outage outage
}

// exchange is a request on its way.
type exchange struct {
	request
	writer http.ResponseWriter
	owned  bool // the request shows the current GUID of an agent who is signed in
	http1  bool // the desktop speaks HTTP/1
	began  time.Time
	sentAt time.Time // the request went to the gateway
	closed func()    // ends the note of an upgraded connection; nil: it was not upgraded
}

type exchangeKey struct{}

// flushAfter is how long a part of an answer is kept back for the next one, so that a short answer goes out as one piece.
// Answers whose length is not known beforehand, such as streams, are passed on at once.
const flushAfter = time.Millisecond

func (p *Proxy) prepare() {
	p.proxy = &httputil.ReverseProxy{
		Rewrite: p.rewrite, ModifyResponse: p.answered, ErrorHandler: p.failed, Transport: p.Transport,
		FlushInterval: flushAfter, BufferPool: &buffers{}, ErrorLog: log.New(io.Discard, "", 0), // its words quote the gateway's
	}
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.once.Do(p.prepare)
	now := time.Now()
	x := &exchange{request: readRequest(r.Method, r.URL.Path, r.Header, now), writer: w, http1: r.ProtoMajor == 1, began: now}
	x.owned = p.Registry.Asked(x.guid)
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 needs no leave
	}
	p.Metrics.open.Inc()
	defer func() {
		p.Metrics.open.Dec()
		if x.closed != nil {
			x.closed()
		}
	}()
	p.proxy.ServeHTTP(w, r.WithContext(watched(context.WithValue(r.Context(), exchangeKey{}, x))))
}

// rewrite undoes what ReverseProxy changes: the tap adds nothing, and takes nothing away but hop-by-hop headers.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	out.URL.Scheme, out.URL.Host = p.Gateway.Scheme, p.Gateway.Host
	out.URL.RawQuery, out.URL.ForceQuery = in.URL.RawQuery, in.URL.ForceQuery
	if path, _, _ := strings.Cut(in.RequestURI, "?"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		out.URL.Opaque = path // as it was written, whatever is escaped in it
	}
	out.Host = in.Host
	if p.RewriteHost {
		out.Host = p.Gateway.Host
	}
	for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := in.Header[name]; ok {
			out.Header[name] = values
		}
	}
	out.Trailer = in.Trailer // the same map: it is filled when the body ends
	if in.ContentLength == 0 && in.Header["Content-Length"] != nil {
		// Otherwise "Content-Length: 0" would be left out for some methods.
		out.Body, out.TransferEncoding = http.NoBody, []string{"identity"}
	}
	if x, ok := in.Context().Value(exchangeKey{}).(*exchange); ok {
		x.sentAt = time.Now()
	}
}

// answered looks at an answer before it is passed on.
func (p *Proxy) answered(resp *http.Response) error {
	x, ok := resp.Request.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil
	}
	came := time.Now()
	p.outage.over(p.Log, p.Gateway.Host, x.sentAt)
	if len(resp.Trailer) > 0 && x.http1 { // HTTP/2 has trailers behind a body of a known length, HTTP/1 only behind chunks
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
	}
	h := x.writer.Header()
	for _, name := range [...]string{"Content-Type", "Date"} {
		if resp.Header[name] == nil {
			h[name] = nil // else the server would add one
		}
	}
	switch packed, can := canPeek(resp.Header.Get("Content-Encoding"), resp.ContentLength); {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		p.Registry.Learn(learn(&x.request, resp.Header, nil))
		x.closed = p.Registry.Tunnel(x.guid)
	case !can || resp.ContentLength == 0, x.kind == other && (!x.owned || !isJSON(resp.Header)):
		p.Registry.Learn(learn(&x.request, resp.Header, nil))
	default:
		header := resp.Header.Clone() // what follows may change it
		resp.Body = &peek{ReadCloser: resp.Body, packed: packed, done: func(body []byte) {
			p.Registry.Learn(learn(&x.request, header, body))
		}}
	}
	p.Metrics.passed(x.kind, resp.StatusCode, x.sentAt.Sub(x.began)+time.Since(came))
	return nil
}

// isJSON reports whether an answer says that it is one JSON text.
func isJSON(h http.Header) bool {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}

// failed answers where the gateway cannot be reached. The error itself may quote what the gateway sent.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	k := other
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		k = x.kind
	}
	if r.Context().Err() != nil { // the desktop has gone
		p.Metrics.gone(k)
		w.WriteHeader(statusGone)
		return
	}
	status, why := http.StatusBadGateway, reason(err)
	if isTimeout(err) {
		status = http.StatusGatewayTimeout
	}
	p.Metrics.passed(k, status, 0)
	p.Metrics.unreachable()
	p.outage.report(p.Log, p.Gateway.Host, why)
	p.Log.Debug("a request did not reach the gateway", "kind", k.String(), "why", why)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "idletap: the gateway cannot be reached: %s\n", why)
}

// statusGone is never seen by anybody: the connection is closed.
const statusGone = 499

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// buffers are lent to copies of bodies, one at a time each.
type buffers struct{ pool sync.Pool }

const bufferSize = 16 << 10

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if lent, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return lent[:]
	}
	return make([]byte, bufferSize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(lent []byte) { b.pool.Put((*[bufferSize]byte)(lent)) }
