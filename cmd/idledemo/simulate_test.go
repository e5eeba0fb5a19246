package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

func TestSimulator(t *testing.T) {
	server := natstest.Start(t)
	t.Setenv("IDLE_NATS_URL", server.ClientURL())
	ca := filepath.Join(t.TempDir(), "ca.crt")
	s := start(t, "", "-simulator", "127.0.0.1:0", "-ca", ca, "-names", "gateway,gateway.site")
	s.see("no sessions yet") // no worker has made the bucket

	nc := natstest.Connect(t, server.ClientURL())
	js := natstest.JetStream(t, nc)
	layout := stream.Layout{Names: messages.Names{Prefix: "idlepolicy"}, Retention: time.Hour, Takeover: 3 * time.Second}
	if _, err := layout.Ensure(t.Context(), js); err != nil {
		t.Fatal(err)
	}
	s.see("agents 1001 to 1300 are signed in")
	kv, err := js.KeyValue(t.Context(), layout.Names.SessionsBucket())
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), "1300")
	if err != nil {
		t.Fatal(err)
	}
	session, err := messages.DecodeSession(entry.Value())
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`https://\S+`).FindString(s.out.String())
	callWith(t, url, ca, session.GUID)
	nc.Close()
	s.interrupt()
	server.Shutdown() // so that its goroutines are not taken for the program's
	server.WaitForShutdown()
	s.wait(statusFine)
}

// callWith makes the one call, under a name that the certificate was to have.
func callWith(t *testing.T, url, ca, guid string) {
	t.Helper()
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "gateway.site", MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	call, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/agentgateway/resource/onlineagent/1300/autoenteridle/false", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	call.Header.Set("Guid", guid)
	answer, err := (&http.Client{Transport: transport}).Do(call)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %s", answer.Status)
	}
}
