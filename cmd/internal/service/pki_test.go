package service

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// pki is an authority and certificates of it: right ones, and the usual mistakes.
type pki struct {
	t     *testing.T
	dir   string
	cert  *x509.Certificate
	key   *rsa.PrivateKey
	ca    string // file
	caPEM string

	good, otherName, noName, expired, client identity
}

// identity is the files of a certificate and its key.
type identity struct{ cert, key string }

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir()}
	p.key = p.newKey()
	p.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, p.cert, p.cert, p.key.Public(), p.key)
	if err != nil {
		t.Fatal(err)
	}
	p.caPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.ca = filepath.Join(p.dir, "ca.pem")
	if err := os.WriteFile(p.ca, []byte(p.caPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	here := []net.IP{net.IPv4(127, 0, 0, 1)}
	p.good = p.issue("good", &x509.Certificate{IPAddresses: here, DNSNames: []string{"localhost"}})
	p.otherName = p.issue("other", &x509.Certificate{DNSNames: []string{"elsewhere.example"}})
	p.noName = p.issue("noname", &x509.Certificate{})
	p.expired = p.issue("expired", &x509.Certificate{IPAddresses: here, NotAfter: time.Now().Add(-time.Minute)})
	p.client = p.issue("client", &x509.Certificate{})
	return p
}

func (p *pki) newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	return key
}

func (p *pki) issue(name string, c *x509.Certificate) identity {
	p.t.Helper()
	c.SerialNumber, c.Subject, c.NotBefore = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}, time.Now().Add(-time.Hour)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	key := p.newKey()
	der, err := x509.CreateCertificate(rand.Reader, c, p.cert, key.Public(), p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	i := identity{cert: filepath.Join(p.dir, name+".pem"), key: filepath.Join(p.dir, name+".key")}
	for file, block := range map[string]*pem.Block{i.cert: {Type: "CERTIFICATE", Bytes: der}, i.key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	return i
}

func (p *pki) tls(i identity) *tls.Config {
	p.t.Helper()
	cert, err := tls.LoadX509KeyPair(i.cert, i.key)
	if err != nil {
		p.t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
}

func (p *pki) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(p.caPEM))
	return pool
}

// natsTLS is the configuration of a NATS server with this certificate.
func (p *pki) natsTLS(i identity, more string) string {
	return `tls { cert_file: "` + i.cert + `", key_file: "` + i.key + `"` + map[bool]string{true: ", " + more}[more != ""] + ` }`
}
