package stream

import (
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// domains has the JetStream domain of each open connection that has one. A connection has no place for it, and everything that works
// on one has to use the same.
var domains sync.Map // of *nats.Conn: string

// inDomain lets all that works on a connection use the JetStream of a domain. It must be called before that.
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

// apiSubject returns a subject of the JetStream API as it is called from a connection.
func apiSubject(nc *nats.Conn, subject string) string {
	if domain := domainOf(nc); domain != "" {
		return "$JS." + domain + ".API." + subject
	}
	return "$JS.API." + subject
}

// OpenJetStream returns the JetStream that a connection was made for.
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
