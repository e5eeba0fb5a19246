package gatewaytest

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Gateway is a simulated gateway that listens. All its methods are safe for concurrent use.
type Gateway struct {
	options Options
	scheme  string
	proof   proof
	port    *port
	server  *http.Server
	done    chan struct{}  // closed with the gateway, so that nothing waits on
	work    sync.WaitGroup // calls under way

	mu       sync.Mutex // guards what follows
	closed   bool
	agents   map[string]*agent
	rules    rules
	random   *rand.Rand
	capacity capacity
	record   *record

	traffic            Traffic
	signIns, rotations int // by desktops
}

// Options are what a Gateway starts with. The zero value serves HTTP/1.1 over TLS on a free port of the loopback
// interface.
type Options struct {
	Addr        string        // default 127.0.0.1:0
	Cert        Certificate   // default: made at the start, signed by a CA made at the start
	Names       []string      // host names and addresses in the certificate besides 127.0.0.1, ::1 and localhost
	HTTP2       bool          // offer HTTP/2 besides HTTP/1.1
	PlainHTTP   bool          // no TLS
	ForgetCalls bool          // keep counts only, for long runs: Calls returns nothing
	OldGUIDFor  time.Duration // how long a GUID is good after Rotate made a new one
	Seed        uint64        // of jitter and of rules for a share of the calls
}

// Start starts a gateway. Close stops it.
func Start(o Options) (*Gateway, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	g := &Gateway{
		options: o, scheme: "https", done: make(chan struct{}), agents: map[string]*agent{},
		traffic: Traffic{PollFor: 10 * time.Second}, rules: newRules(), random: rand.New(rand.NewPCG(o.Seed, o.Seed)), record: newRecord(o.ForgetCalls),
	}
	if err := g.prepare(); err != nil {
		return nil, err
	}
	g.port = &port{server: g.server, plain: o.PlainHTTP, open: map[*socket]struct{}{}}
	if err := g.port.listen(o.Addr); err != nil {
		return nil, fmt.Errorf("start the gateway: %w", err)
	}
	return g, nil
}

// prepare makes the server and what it proves its identity with.
func (g *Gateway) prepare() error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(g.options.HTTP2 && !g.options.PlainHTTP)
	protocols.SetUnencryptedHTTP2(g.options.HTTP2 && g.options.PlainHTTP)
	g.server = &http.Server{
		Handler: http.HandlerFunc(g.serve), Protocols: protocols, ConnContext: withSocket,
		ErrorLog: log.New(io.Discard, "", 0), // broken connections are its purpose
	}
	if g.options.PlainHTTP {
		g.scheme = "http"
		return nil
	}
	made, err := prove(g.options.Cert, g.options.Names)
	if err != nil {
		return fmt.Errorf("make the gateway's certificate: %w", err)
	}
	g.proof, g.server.TLSConfig = made, made.config()
	return nil
}

// URL is the gateway's base URL, without a slash at its end. It stays the same through outages.
func (g *Gateway) URL() string { return g.scheme + "://" + g.port.addr }

// Close stops the gateway and waits for all that it started. What was recorded stays readable.
func (g *Gateway) Close() {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	g.mu.Unlock()
	if first {
		g.port.close() // first, so that no call that is given up below can still be answered
		close(g.done)
		_ = g.server.Close() // of what it would close, the port has closed everything
	}
	g.work.Wait()
	g.port.serving.Wait()
}

// SetOutage begins an outage, changes its kind, or ends it with NoOutage. It returns when the change is complete. Its
// only error is that the port could not be opened again.
func (g *Gateway) SetOutage(o Outage) error { return g.port.set(o) }
