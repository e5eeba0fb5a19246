package gatewaytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificate is a certificate to serve with instead of one made at the start: PEM texts. Empty: none.
type Certificate struct {
	CA, Chain, Key []byte
}

// proof is what the gateway proves its identity with.
type proof struct {
	ca   []byte
	leaf tls.Certificate
}

// CA returns the PEM text of the CA that signed the gateway's certificate; empty without TLS.
func (g *Gateway) CA() []byte { return append([]byte(nil), g.proof.ca...) }

// WriteCA writes the CA into a file in dir, for programs that are configured with one.
func (g *Gateway) WriteCA(dir string) (file string, err error) {
	file = filepath.Join(dir, "gateway-ca.pem")
	return file, os.WriteFile(file, g.proof.ca, 0o644)
}

func (p proof) config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.leaf}, MinVersion: tls.VersionTLS12}
}

func prove(given Certificate, names []string) (proof, error) {
	if len(given.Chain) > 0 {
		leaf, err := tls.X509KeyPair(given.Chain, given.Key)
		return proof{ca: given.CA, leaf: leaf}, err
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return proof{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return proof{}, err
	}
	ca := template("simulated gateway CA")
	ca.IsCA, ca.BasicConstraintsValid = true, true
	ca.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return proof{}, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leafTemplate(names), ca, key.Public(), caKey)
	if err != nil {
		return proof{}, err
	}
	return proof{
		ca:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
		leaf: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
	}, nil
}

func leafTemplate(names []string) *x509.Certificate {
	leaf := template("simulated gateway")
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range append([]string{"127.0.0.1", "::1", "localhost"}, names...) {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	return leaf
}

// template is good for a day, and for machines whose clocks differ by less than an hour.
func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // the system's source never fails
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}
