package tap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are certificates on disk, which are read again when they change. Set the exported fields, then call Open.
type Files struct {
	CA        string // authorities; empty: the system's
	Cert, Key string // empty: none
	Log       *slog.Logger

	mu     sync.Mutex // guards what follows
	looked time.Time
	stamps [3]stamp
	last   Loaded
	bad    [3]stamp // the state that was reported unusable last
}

// Loaded is what the files hold.
type Loaded struct {
	Roots *x509.CertPool // nil: the system's
	Pair  *tls.Certificate
}

// stamp tells one state of a file from another.
type stamp struct {
	size     int64
	modified time.Time
}

// lookAgain bounds how often the files are looked at.
const lookAgain = time.Second

// Open reads the files for the first time.
func (f *Files) Open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked, f.stamps = time.Now(), f.look()
	var err error
	f.last, err = f.read()
	return err
}

// Load returns what the files hold now. While they cannot be used, because somebody is just replacing them, it returns what
// they held before, and logs that once.
func (f *Files) Load() Loaded {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) < lookAgain {
		return f.last
	}
	f.looked = time.Now()
	now := f.look()
	if now == f.stamps {
		return f.last
	}
	next, err := f.read()
	if err != nil {
		if f.bad != now {
			f.bad = now
			f.Log.Warn("a certificate was replaced by one that cannot be used, the old one stays in use", "err", err)
		}
		return f.last
	}
	f.stamps, f.last, f.bad = now, next, [3]stamp{}
	return next
}

// Certificate returns the pair for a server.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.Load().Pair, nil
}

func (f *Files) look() (stamps [3]stamp) {
	for i, name := range [3]string{f.CA, f.Cert, f.Key} {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return stamps
}

func (f *Files) read() (l Loaded, err error) {
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return l, fmt.Errorf("read the authorities: %w", err)
		}
		if l.Roots = x509.NewCertPool(); !l.Roots.AppendCertsFromPEM(pem) {
			return l, fmt.Errorf("read the authorities: %s holds no PEM certificate", f.CA)
		}
	}
	if f.Cert != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			return l, fmt.Errorf("read the certificate %s with the key %s: %w", f.Cert, f.Key, err)
		}
		l.Pair = &pair
	}
	return l, nil
}
