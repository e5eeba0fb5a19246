package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/messages"
)

// puller pulls messages from the consumer of changes, on a reply subject of its own, so that a later puller never gets what an earlier
// one requested. The library's own fetch cannot be used: it takes an empty message with a publisher's header named Status for a
// status of the server, and does not report a message that is larger than the request allows. Either would stop the site.
type puller struct {
	conn    *nats.Conn
	from    string // subject on which the consumer is asked
	inbox   string
	asked   int // requests so far; each has a subject of its own below inbox
	replies chan *nats.Msg
	sub     *nats.Subscription
}

// pullRequest is the body of a pull request.
type pullRequest struct {
	Expires   time.Duration `json:"expires"`
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes,omitempty"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
	Group     string        `json:"group,omitempty"`
	Pin       string        `json:"id,omitempty"`
}

// Statuses that end a pull request.
var (
	errPullOver  = errors.New("the request has run out")
	errTooLarge  = errors.New("the next message is larger than what was asked for")
	errDeposed   = errors.New("another replica is the owner now")
	errMoved     = errors.New("the consumer of changes moved to another server")
	errNoAnswer  = errors.New("nobody answers for the consumer of changes")
	errLostCount = errors.New("a message was lost on its way")
)

func newPuller(js jetstream.JetStream, names messages.Names) (*puller, error) {
	nc := js.Conn()
	p := &puller{
		conn: nc, from: apiSubject(nc, "CONSUMER.MSG.NEXT."+names.ChangesStream()+"."+consumerName),
		inbox: nc.NewInbox(), replies: make(chan *nats.Msg, 4*pullMany),
	}
	var err error
	if p.sub, err = nc.ChanSubscribe(p.inbox+".*", p.replies); err != nil {
		return nil, fmt.Errorf("listen for changes: %w", plain(err))
	}
	return p, nil
}

// stop unsubscribes, so the server drops the pending pull requests.
func (p *puller) stop() { _ = p.sub.Unsubscribe() } // fails where the connection is gone, and then it is as well

func (p *puller) ask(r pullRequest) error {
	p.asked++
	r.Group = priorityGroup
	text, _ := json.Marshal(r) // numbers and short texts only: never fails
	if err := p.conn.PublishRequest(p.from, p.inbox+"."+strconv.Itoa(p.asked), text); err != nil {
		return fmt.Errorf("ask for changes: %w", plain(err))
	}
	return nil
}

// onStatus returns the error for a status of the server; nil: it can be ignored.
func (p *puller) onStatus(m *nats.Msg) error {
	status, about := m.Header.Get("Status"), m.Header.Get("Description")
	late := m.Subject != p.inbox+"."+strconv.Itoa(p.asked) // about a request that was given up
	switch status {
	case "100":
		return nil // it is there
	case "423":
		return errDeposed
	}
	lower := strings.ToLower(about)
	switch {
	case strings.Contains(lower, "leadership change"), strings.Contains(lower, "server shutdown"):
		return errMoved
	case late, strings.Contains(lower, "batch completed"):
		return nil // as many came as were asked for: counted already
	case status == "404", status == "408":
		return errPullOver
	case status == "503":
		return errNoAnswer
	case strings.Contains(lower, "maxbytes"):
		return errTooLarge
	default:
		return fmt.Errorf("pull changes: %s %s", status, about)
	}
}
