package stream

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// domains has the JetStream domain of each open connection that has one. The connection itself cannot keep it, and all users of a
// connection must use the same domain.
var domains sync.Map // of *nats.Conn: string

// inDomain sets the JetStream domain of a connection. It must be called before the connection is used.
func inDomain(nc *nats.Conn, domain string) {
	if domain == "" {
		return
	}
	domains.Store(nc, domain)
	nc.SetClosedHandler(func(nc *nats.Conn) { domains.Delete(nc) })
}

func domainOf(nc *nats.Conn) string {
	domain, _ := domains.Load(nc)
	name, _ := domain.(string)
	return name
}

// apiSubject returns a subject of the JetStream API for a connection and its domain.
func apiSubject(nc *nats.Conn, subject string) string {
	if domain := domainOf(nc); domain != "" {
		return "$JS." + domain + ".API." + subject
	}
	return "$JS.API." + subject
}

// OpenJetStream returns the JetStream in the connection's domain.
func OpenJetStream(nc *nats.Conn, opts ...jetstream.JetStreamOpt) (js jetstream.JetStream, err error) {
	if domain := domainOf(nc); domain != "" {
		js, err = jetstream.NewWithDomain(nc, domain, opts...)
	} else {
		js, err = jetstream.New(nc, opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", plain(err))
	}
	return js, nil
}

// newJetStream returns a JetStream for requests and answers.
func newJetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	return OpenJetStream(nc, jetstream.WithDefaultTimeout(5*time.Second))
}
