package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idlepolicy/cmd/internal/faulttest"
)

// certificate writes a certificate for loopback that signs itself, and its key, as whoever renews them does: by renaming.
func certificate(t *testing.T, dir string, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: cert}, "tls.key": {Type: "PRIVATE KEY", Bytes: private}} {
		text := pem.EncodeToMemory(block)
		roots.AppendCertsFromPEM(text) // takes the certificate and leaves the key
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	return roots
}

// secure asks the worker over a connection of its own; serial is that of the certificate that it was shown.
func (w *worker) secure(roots *x509.CertPool, method, path, body, token string) (status int, serial int64) {
	w.site.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	}}
	r, err := http.NewRequestWithContext(w.site.t.Context(), method, w.address()+path, strings.NewReader(body))
	if err != nil {
		w.site.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := client.Do(r)
	if err != nil {
		return 0, 0
	}
	defer answer.Body.Close()
	return answer.StatusCode, answer.TLS.PeerCertificates[0].SerialNumber.Int64()
}

func TestHTTPS(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	dir := t.TempDir()
	const token = "token-over-https"
	publishers := filepath.Join(dir, "publishers")
	if err := os.WriteFile(publishers, []byte("wfm "+token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := certificate(t, dir, 1)
	w := s.launch("IDLE_HTTP_CERT="+filepath.Join(dir, "tls.crt"), "IDLE_HTTP_KEY="+filepath.Join(dir, "tls.key"), "IDLE_HTTP_PUBLISHERS_FILE="+publishers)
	s.await(func() bool {
		return strings.HasPrefix(w.address(), "https://") && status(w.secure(first, http.MethodGet, "/readyz", "", "")) == http.StatusOK
	}, func() string { return "a worker that serves HTTPS:\n" + w.Output() })
	if code, _ := w.secure(first, http.MethodPost, "/api/changes", `{"agent_id":"1001","flag":"false"}`, token); code != http.StatusAccepted {
		t.Errorf("a change over HTTPS: status %d", code)
	}
	if code, _ := w.secure(first, http.MethodPost, "/api/changes", `{"agent_id":"1001","flag":"false"}`, token[1:]); code != http.StatusUnauthorized {
		t.Errorf("a wrong token over HTTPS: status %d", code)
	}
	plain, err := http.Get("http://" + strings.TrimPrefix(w.address(), "https://") + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	if plain.Body.Close(); plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP: status %d", plain.StatusCode)
	}
	health := faulttest.Start(t, program, faulttest.Options{
		Args: []string{"-health"}, Env: s.env("IDLE_HTTP_ADDR=" + strings.TrimPrefix(w.address(), "https://")),
	})
	if status := health.Wait(); status != 0 || !strings.Contains(health.Output(), `"ready": true`) {
		t.Errorf("-health: status %d, %s", status, health.Output())
	}

	renewed := certificate(t, dir, 2)
	s.await(func() bool {
		code, serial := w.secure(renewed, http.MethodGet, "/readyz", "", "")
		return code == http.StatusOK && serial == 2
	},
		func() string { return "the renewed certificate:\n" + w.Output() })
	if err := os.WriteFile(filepath.Join(dir, "tls.key"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, serial := w.secure(renewed, http.MethodGet, "/readyz", "", ""); code != http.StatusOK || serial != 2 {
		t.Errorf("with a key that is damaged later: status %d, certificate %d", code, serial)
	}
}

func status(code int, _ int64) int { return code }
