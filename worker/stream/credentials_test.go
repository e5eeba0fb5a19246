package stream_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// A file that is damaged before the start is refused, and nothing is sent.
func TestDamagedCredentialsAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "user.creds")
	token, seed := natstest.WriteCredentials(t, file)
	for name, text := range natstest.Damaged(token, seed) {
		t.Run(name, func(t *testing.T) {
			if name == "cut off before the last line" {
				text = text[:len(text)-1] // so that the seed is not whole
			}
			write(t, file, text)
			wire := natstest.StartWire(t)
			nc, err := stream.Connect(t.Context(), stream.Options{URLs: []string{wire.URL}, Creds: file, Wait: true})
			if err == nil {
				nc.Close()
				t.Error("connected")
			}
			if strings.Contains(wire.Heard(), seed[:20]) {
				t.Errorf("the seed was sent:\n%s", wire.Heard())
			}
		})
	}
}

// A file that is damaged later is not sent at a reconnect either, and the log says why nothing connects.
func TestCredentialsDamagedLaterAreNotSent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "user.creds")
	token, seed := natstest.WriteCredentials(t, file)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range natstest.Damaged(token, seed) {
		t.Run(name, func(t *testing.T) {
			write(t, file, string(whole))
			wire, log := natstest.StartWire(t), &watched{found: make(chan struct{})}
			nc, err := stream.Connect(t.Context(), stream.Options{URLs: []string{wire.URL}, Creds: file, Log: slog.New(slog.NewTextHandler(log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if !strings.Contains(wire.Heard(), token) {
				t.Fatal("the JWT was not sent: this test would see nothing")
			}
			write(t, file, text)
			before := wire.Connections()
			wire.Cut()
			waitFor(t, "it has tried twice", func() bool { return wire.Connections() >= before+2 || nc.IsConnected() })
			if heard := wire.Heard(); strings.Contains(heard, seed[:20]) || strings.Contains(log.all(), seed[:20]) {
				t.Errorf("the seed was sent or logged:\n%s\n%s", heard, log.all())
			}
			if !nc.IsConnected() {
				waitFor(t, "the log says why", func() bool {
					return strings.Contains(log.all(), "credentials file cannot be used") || strings.Contains(log.all(), "nonce")
				})
			}
			write(t, file, string(whole))
			waitFor(t, "it is connected again", nc.IsConnected)
		})
	}
}

// A context of the nats command names its own files.
func TestDamagedCredentialsOfAContextAreNotSent(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "user.creds")
	token, seed := natstest.WriteCredentials(t, file)
	wire := natstest.StartWire(t)
	text, err := json.Marshal(map[string]string{"url": wire.URL, "creds": file})
	if err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(dir, "context.json")
	write(t, named, string(text))
	connect := func(ctx context.Context) error {
		nc, err := stream.Connect(ctx, stream.Options{Context: named})
		if err == nil {
			nc.Close()
		}
		return err
	}
	if err := connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, text := range natstest.Damaged(token, seed) {
		if name == "cut off before the last line" {
			continue // the client finds both in it
		}
		write(t, file, text)
		if err := connect(t.Context()); err == nil || strings.Contains(err.Error(), seed) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(wire.Heard(), seed[:20]) {
			t.Fatalf("%s: the seed was sent", name)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
