package config

import (
	"strings"
	"testing"
	"time"
)

func TestWarnings(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   []string
	}{
		{Config{Validity: time.Hour, Retention: time.Hour}, nil},
		{Config{Validity: 2 * time.Hour, Retention: time.Hour}, []string{"IDLE_VALIDITY=2h0m0s is longer than IDLE_RETENTION=1h0m0s"}},
		{Config{ShutdownGrace: time.Second, Gateway: Gateway{GatewayTimeout: 2 * time.Second}}, []string{"IDLE_SHUTDOWN_GRACE=1s is shorter than IDLE_GATEWAY_TIMEOUT=2s"}},
		{Config{ShutdownGrace: time.Second, Gateway: Gateway{GatewayTimeout: time.Second}}, nil},
		{Config{Validity: 2, Retention: 1, Gateway: Gateway{GatewayInsecure: true}}, []string{"IDLE_GATEWAY_INSECURE=true", "IDLE_VALIDITY=2ns"}},
	} {
		got := test.config.Warnings()
		if len(got) != len(test.want) {
			t.Errorf("%q, want %q", got, test.want)
			continue
		}
		for i, want := range test.want {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%q, want %q", got[i], want)
			}
		}
	}
}
