package gateway

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What replaces a file and cannot be used is named once for each state of the files, and what it held before serves on.
func TestUnusableReplacedFileIsLogged(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, "ours")
	chain, key := a.issue("client", time.Hour)
	_, otherKey := a.issue("client", time.Hour)
	ca, pem := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "key.pem")
	var log bytes.Buffer
	f := files{
		ca: write(t, ca, a.pem), cert: write(t, filepath.Join(dir, "cert.pem"), chain), key: write(t, pem, key),
		log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	first, err := f.load()
	if err != nil {
		t.Fatal(err)
	}
	age := time.Hour
	replace := func(file string, text []byte) { // a file system may tell times apart only by some milliseconds
		age -= time.Second
		if err := os.Chtimes(write(t, file, text), time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		what  string
		do    func()
		named string // in the one further line; empty: there is none
	}{
		{"nothing", func() {}, ""},
		{"no certificate", func() { replace(ca, []byte("nothing")) }, ca},
		{"key of another", func() { replace(ca, a.pem); replace(pem, otherKey) }, pem},
		{"file that is missing", func() { replace(pem, key); remove(t, ca) }, ca},
	}
	for _, step := range steps {
		step.do()
		log.Reset()
		for range 3 {
			if got, err := f.load(); err != nil || got != first {
				t.Errorf("%s: what was there before does not serve on: %v", step.what, err)
			}
		}
		lines := strings.Count(log.String(), "\n")
		if (step.named == "" && lines != 0) || (step.named != "" && (lines != 1 || !strings.Contains(log.String(), step.named))) {
			t.Errorf("%s: the log says %q", step.what, log.String())
		}
	}
	replace(ca, a.pem)
	log.Reset()
	if got, err := f.load(); err != nil || got == first || log.Len() > 0 {
		t.Errorf("files that are sound again: %v, %q", err, log.String())
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
