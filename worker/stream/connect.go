package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/worker/stream/access"
)

// Options say how to connect to NATS. Credentials are in files or in the URLs, and are never shown.
type Options struct {
	URLs  []string
	Name  string // of the connection, as operators see it in the server
	Creds string // files
	CA    string
	Cert  string
	Key   string
	Wait  bool // keep trying if the first connection fails, instead of failing
	Log   *slog.Logger
	Held  func(why string) // called with each reason why no connection comes about; may be nil

	Domain      string // of JetStream, behind a leaf node; empty: the server's own
	InboxPrefix string // of reply subjects; empty: _INBOX
	TLSFirst    bool   // TLS before the server speaks

	// Context names a context of the nats command, which then says all of the above but Name; empty: none.
	Context string
}

// The oldest version of the server that can reset a consumer.
const (
	oldestMajor = 2
	oldestMinor = 14
)

var errTooOld = fmt.Errorf("want %d.%d or newer", oldestMajor, oldestMinor)

// Connect connects to NATS. If a server cannot be reached or is too old, the error names it and says what would be right.
func Connect(ctx context.Context, o Options) (*nats.Conn, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	seen := &reports{inbox: o.InboxPrefix}
	held := func(err error) {
		if o.Held != nil {
			o.Held(sentence(err).Error())
		}
		if seen.fresh(err.Error()) {
			log.Warn("NATS cannot be reached, still trying", "urls", access.RedactAll(o.URLs), "err", sentence(err))
		}
	}
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.RetryOnFailedConnect(o.Wait),
		nats.Timeout(5 * time.Second),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1),   // what cannot be sent now must fail now: an old result sent later helps nobody
		nats.IgnoreAuthErrorAbort(), // credentials that are wrong now may be right once somebody has seen the log
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { logAsync(log, seen, sub, err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { held(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to NATS lost", "err", plain(err))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			seen.forget()
			log.Info("connected to NATS again", "server", Where(nc))
		}),
	}
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	if o.TLSFirst {
		opts = append(opts, nats.TLSHandshakeFirst())
	}
	if o.Creds != "" {
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	if o.CA != "" {
		opts = append(opts, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		opts = append(opts, nats.ClientCert(o.Cert, o.Key))
	}
	opts = append(opts, guard)
	if err := checkFiles(o); err != nil {
		return nil, err
	}
	nc, err := dial(o, opts)
	if err != nil {
		return nil, err
	}
	go watchHandshakes(nc, nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.CLOSED), held)
	if o.Wait && !nc.IsConnected() {
		if err := waitConnected(ctx, nc); err != nil {
			nc.Close()
			return nil, fmt.Errorf("connect to NATS at %s: %w", access.RedactAll(o.URLs), err)
		}
	}
	if err := checkVersion(nc); err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

// checkFiles returns why a file cannot be used. It runs before the client fails on the file, or sends its content.
func checkFiles(o Options) error {
	for _, file := range []string{o.CA, o.Cert, o.Key} {
		if file == "" {
			continue
		}
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("read a file for NATS: %w", err)
		}
	}
	if o.Creds == "" {
		return nil
	}
	if err := access.CheckCredentials(o.Creds); err != nil {
		return fmt.Errorf("credentials file %s: %w", o.Creds, err)
	}
	return nil
}

// guard prevents two leaks of secrets. The client reads the credentials file again for each connection and, if it finds no JWT in it,
// sends the whole file including the seed. And its error for a URL that it cannot parse repeats the URL. guard must be the last
// option, so that it also covers a context of the nats command.
func guard(o *nats.Options) error {
	servers := slices.Clone(o.Servers)
	for i, url := range servers {
		if !strings.Contains(url, "://") {
			servers[i] = "nats://" + url
		}
	}
	if err := access.CheckServers(servers); err != nil {
		return fmt.Errorf("NATS URL %s: %w", access.RedactAll(servers), err)
	}
	read := o.UserJWT
	if read == nil {
		return nil
	}
	o.UserJWT = func() (string, error) {
		token, err := read()
		if err == nil {
			err = access.CheckJWT(token)
		}
		if err != nil {
			return "", fmt.Errorf("the credentials file cannot be used: %w", err)
		}
		return token, nil
	}
	return nil
}

// watchHandshakes reports why a server that is there does not become the connection, such as a damaged certificate. The client calls its
// handler only if there is no server. It ends when the connection is closed. status was registered before that: a later listener is never told.
func watchHandshakes(nc *nats.Conn, status <-chan nats.Status, held func(error)) {
	reached := uint64(0) // servers so far, also those that did not become the connection
	for !nc.IsClosed() {
		s := <-status
		now := nc.Stats().Reconnects
		if s == nats.RECONNECTING && now > reached { // otherwise a connection was lost
			if err := nc.LastError(); err != nil {
				held(err)
			}
		}
		reached = now
	}
}

func waitConnected(ctx context.Context, nc *nats.Conn) error {
	status := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer nc.RemoveStatusListener(status)
	for !nc.IsConnected() {
		select {
		case <-status:
			if nc.IsClosed() {
				return nats.ErrConnectionClosed
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// logAsync logs errors that only the connection reports. A missing permission appears elsewhere as a time-out.
func logAsync(log *slog.Logger, seen *reports, sub *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrBadHeaderMsg): // whoever receives the message reads its headers from the stream
		log.Debug("the headers of a message cannot be decoded", "err", plain(err))
	case !seen.fresh(err.Error()):
	case errors.Is(err, nats.ErrPermissionViolation):
		log.Error("NATS denies the user of this connection something it needs", "err", plain(err))
	case sub != nil:
		log.Warn("NATS connection", "err", plain(err), "subject", sub.Subject)
	default:
		log.Warn("NATS connection", "err", sentence(err))
	}
}

// Reasons why a connection fails, for people.
var (
	errNobodyThere = errors.New("nobody listens there: does NATS run there, and is the address right?")
	errNoWord      = errors.New("the server closed the connection without a word: if it has handshake_first, set IDLE_NATS_TLS_FIRST=true; otherwise, is it a NATS server?")
	errBrokenOff   = errors.New("the server broke the connection off, and its log says why: if it takes no more connections, raise max_connections")
	errNoTLS       = errors.New("the server does not offer TLS: want nats:// in IDLE_NATS_URL, or TLS at the server")
	errFull        = errors.New("the server or the account takes no more connections: raise max_connections; each worker, idletap and idlectl needs one")
	errNotLetIn    = errors.New("the server does not let this user in: are the credentials the right ones, and still valid?")
)

// sentence explains an error of connecting that the library's own words do not.
func sentence(err error) error {
	switch {
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, syscall.ECONNREFUSED):
		return errNobodyThere
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return errNotLetIn
	case errors.Is(err, nats.ErrMaxConnectionsExceeded), errors.Is(err, nats.ErrMaxAccountConnectionsExceeded):
		return errFull
	case errors.Is(err, nats.ErrMaxSubscriptionsExceeded):
		return fmt.Errorf("%w: raise max_subscriptions of the account or the server", plain(err))
	}
	if hint := certificateHint(err); hint != "" {
		return fmt.Errorf("%w: %s", plain(err), hint)
	}
	switch {
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("%w (%w)", errBrokenOff, plain(err))
	case errors.Is(err, nats.ErrSecureConnWanted):
		return errNoTLS
	case errors.Is(err, io.EOF), errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (%w)", errNoWord, plain(err))
	}
	return plain(err)
}

func checkVersion(nc *nats.Conn) error {
	version := nc.ConnectedServerVersion()
	if isRecent(version) {
		return nil
	}
	return fmt.Errorf("NATS server %s at %s has version %s: %w",
		nc.ConnectedServerName(), Where(nc), version, errTooOld)
}

// isRecent reports whether a server of that version has what the worker needs.
func isRecent(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if version == "" {
		return false
	}
	if len(parts) < 3 {
		return true // a development build: it knows what it does
	}
	major, _ := strconv.Atoi(parts[0]) // servers name themselves in numbers
	minor, _ := strconv.Atoi(parts[1])
	return major > oldestMajor || (major == oldestMajor && minor >= oldestMinor)
}

// Where returns the address of a connection's server without credentials. The library's own redaction removes passwords only.
func Where(nc *nats.Conn) string {
	if at := nc.ConnectedUrl(); at != "" {
		return access.Redact(at)
	}
	return "no server at the moment"
}
