package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// files are the certificates on disk, read again when they change.
type files struct {
	ca, cert, key string
	log           *slog.Logger

	mu     sync.Mutex // guards what follows
	stamps [3]stamp
	last   *loaded
	bad    [3]stamp // the state that was called unusable last
}

type loaded struct {
	roots *x509.CertPool // nil: the system's
	pair  *tls.Certificate
}

// stamp identifies one state of a file.
type stamp struct {
	size     int64
	modified time.Time
}

// load returns the certificates in the files. If the files cannot be used, for example because somebody is just replacing them, it
// returns the earlier ones and logs that once: otherwise nobody would notice before the old certificate expires.
func (f *files) load() (*loaded, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.look()
	if f.last != nil && now == f.stamps {
		return f.last, nil
	}
	next, err := f.read()
	if err != nil {
		if f.last == nil {
			return nil, err
		}
		if f.bad != now {
			f.bad = now
			f.log.Warn("a file for the gateway was replaced by one that cannot be used, the old one stays in use", "err", err)
		}
		return f.last, nil
	}
	f.stamps, f.last, f.bad = now, next, [3]stamp{}
	return next, nil
}

func (f *files) look() (stamps [3]stamp) {
	for i, name := range [3]string{f.ca, f.cert, f.key} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return stamps
}

func (f *files) read() (*loaded, error) {
	l := &loaded{}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("read the authorities: %w", err)
		}
		if l.roots = x509.NewCertPool(); !l.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the authorities: %s holds no PEM certificate", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate %s with the key %s: %w", f.cert, f.key, err)
		}
		l.pair = &pair
	}
	return l, nil
}
