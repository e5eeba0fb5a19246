// Package natstest starts a real NATS server with JetStream inside a test, so that tests need nothing but the module.
// Its address is the server's own ClientURL.
package natstest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Patience is how long a test waits for something that must happen. Only something that hangs takes so long: a machine may be so
// busy that an answer, or a server that starts, takes half a minute.
const Patience = 5 * time.Minute

// Start starts a server on a free port of the loopback interface, with a store of its own, and stops it when the test
// is over.
func Start(tb testing.TB) *server.Server {
	tb.Helper()
	return StartAt(tb, tb.TempDir(), server.RANDOM_PORT)
}

// StartAt starts a server with the store in dir on a port, so that a test can shut one down and start it again: clients
// find it at the same address, with what it had stored. Two servers at once on one dir would damage it.
func StartAt(tb testing.TB, dir string, port int) *server.Server {
	tb.Helper()
	return begin(tb, &server.Options{Port: port, JetStream: true, StoreDir: dir})
}

// StartPlain starts a server without JetStream.
func StartPlain(tb testing.TB) *server.Server {
	tb.Helper()
	return begin(tb, &server.Options{Port: server.RANDOM_PORT})
}

func begin(tb testing.TB, o *server.Options) *server.Server {
	tb.Helper()
	o.Host, o.NoLog = "127.0.0.1", true
	o.NoSigs = true // else it would end the whole test run on an interrupt
	o.AuthTimeout = Patience.Seconds()
	if o.TLSConfig != nil && !o.TLSHandshakeFirst { // else clients that do not begin would wait as long
		o.TLSTimeout = Patience.Seconds()
	}
	if o.Port == server.RANDOM_PORT {
		o.Port = FreePort(tb)
	}
	s, err := server.NewServer(o)
	if err != nil {
		tb.Fatalf("make a NATS server: %v", err)
	}
	tb.Cleanup(func() { Stop(s) })
	s.Start()
	if !s.ReadyForConnections(Patience) {
		tb.Fatal("the NATS server did not get ready")
	}
	return s
}

// Connect connects to a server until the test is over. Unlike nats.Connect it lets a busy machine take its time.
func Connect(tb testing.TB, url string, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(url, append([]nats.Option{nats.Timeout(Patience)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// answerFor is how long a request may take: longer than on the busiest machine, and short enough for a test to go on if a
// server that stopped took the request with it.
const answerFor = 30 * time.Second

// JetStream returns the JetStream of a connection. Requests without a deadline wait for 30 s instead of 5 s.
func JetStream(tb testing.TB, nc *nats.Conn, opts ...jetstream.JetStreamOpt) jetstream.JetStream {
	tb.Helper()
	js, err := jetstream.New(nc, append([]jetstream.JetStreamOpt{jetstream.WithDefaultTimeout(answerFor)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

// Port returns the port that a server listens on, for StartAt.
func Port(s *server.Server) int {
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// Stop shuts a server down and waits until it has released its store. Stopping it again does nothing.
func Stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// StartConfig starts a server with a configuration in the server's own language. STORE in it stands for a folder of the test. It
// listens on a free port of the loopback interface unless the configuration says otherwise.
func StartConfig(tb testing.TB, config string) *server.Server {
	tb.Helper()
	dir := tb.TempDir()
	file := filepath.Join(dir, "nats.conf")
	if !strings.Contains(config, "listen:") {
		config = "listen: \"127.0.0.1:-1\"\n" + config
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(config, "STORE", filepath.Join(dir, "store"))), 0o600); err != nil {
		tb.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		tb.Fatalf("%v, in\n%s", err, config)
	}
	return begin(tb, o)
}
