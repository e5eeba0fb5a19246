package httpauth

import (
	"cmp"
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is a server's certificate and key, which may be renewed on disk. Set the exported fields, then Load.
type Certificate struct {
	Cert, Key string       // PEM files
	Log       *slog.Logger // nil: slog.Default

	mu      sync.Mutex // guards what follows
	pair    *tls.Certificate
	seen    [2]time.Time // when the files were written
	trouble string       // what was logged of the files last
}

// Load reads the files.
func (c *Certificate) Load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.load(c.written())
}

func (c *Certificate) load(written [2]time.Time) error {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return err
	}
	c.pair, c.seen = &pair, written
	return nil
}

func (c *Certificate) written() (at [2]time.Time) {
	for i, file := range []string{c.Cert, c.Key} {
		if info, err := os.Stat(file); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

// Config returns a server's TLS configuration that presents the newest certificate to each new connection.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return c.current(), nil
	}}
}

// current reads the files again if they have changed. A pair that does not fit is logged once, and the former one stays: the
// other file may be about to be written.
func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if written := c.written(); written != c.seen {
		log := cmp.Or(c.Log, slog.Default())
		switch err := c.load(written); {
		case err == nil:
			c.trouble = ""
			log.Info("the HTTP server's certificate was read again", "file", c.Cert)
		case err.Error() != c.trouble:
			c.trouble = err.Error()
			log.Warn("the HTTP server's certificate cannot be read again, the former one stays", "file", c.Cert, "err", err)
		}
	}
	return c.pair
}
