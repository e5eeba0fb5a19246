package gatewaytest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

func TestCertificateNames(t *testing.T) {
	b := start(t, gatewaytest.Options{Names: []string{"gateway.example", "192.0.2.7"}})
	file, err := b.WriteCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	for name, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "localhost": true, "gateway.example": true, "192.0.2.7": true, "other.example": false,
	} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(b.URL(), "https://"), &tls.Config{RootCAs: pool, ServerName: name})
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestGivenCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, selfSigned, selfSigned, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	b := start(t, gatewaytest.Options{Cert: gatewaytest.Certificate{
		CA: chain, Chain: chain, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}})
	b.signIn("1001")
	if a := b.set(t.Context(), "1001", "false"); a.code() != "0" {
		t.Errorf("got %+v", a)
	}
	if _, err := gatewaytest.Start(gatewaytest.Options{Cert: gatewaytest.Certificate{Chain: chain}}); err == nil {
		t.Error("started without a key")
	}
}

var selfSigned = &x509.Certificate{
	SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
}
