package service

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker"
	"idlepolicy/worker/gateway"
	"idlepolicy/worker/stream"
)

// ProcessName returns a name by which operators can find this process: the host, and what distinguishes processes on it.
func ProcessName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "worker"
	}
	return host + "-" + strconv.Itoa(os.Getpid())
}

func layout(c config.Config) stream.Layout {
	return stream.Layout{
		Names: messages.Names{Prefix: c.Prefix}, Replicas: c.Replicas, MaxBytes: c.MaxBytes, Retention: c.Retention, Takeover: c.Takeover,
	}
}

func natsOptions(c config.Config, name string, log *slog.Logger) stream.Options {
	return stream.Options{
		URLs: c.NATSURLs, Name: name, Creds: c.NATSCreds, CA: c.NATSCA, Cert: c.NATSCert, Key: c.NATSKey, Log: log,
		Domain: c.NATSDomain, InboxPrefix: c.NATSInboxPrefix, TLSFirst: c.NATSTLSFirst,
	}
}

func policy(c config.Config) worker.Policy {
	return worker.Policy{
		Rate: c.Rate, Burst: c.Burst, MaxInFlight: c.MaxInFlight, MaxAttempts: c.MaxAttempts, Timeout: c.GatewayTimeout,
		Backoff: worker.Backoff{
			Initial: c.BackoffInitial, Max: c.BackoffMax, Multiplier: c.BackoffMultiplier, Jitter: c.BackoffJitter,
		},
		Validity: c.Validity, Retention: c.Retention, NoReapply: !c.Reapply,
		Names: messages.Names{Prefix: c.Prefix},
	}
}

// newGateway opens the gateway's client; lease may be nil.
func newGateway(c config.Config, lease func() error, log *slog.Logger) (*gateway.Client, error) {
	client := &gateway.Client{
		URL: c.GatewayURL, Hosts: c.GatewayHosts, Timeout: c.GatewayTimeout, ConnectionAge: c.GatewayAge, CA: c.GatewayCA, ServerName: c.GatewayServerName,
		Cert: c.GatewayCert, Key: c.GatewayKey, Insecure: c.GatewayInsecure, InFlight: c.MaxInFlight, Lease: lease, Log: log,
	}
	if err := client.Open(); err != nil {
		return nil, fmt.Errorf("open the gateway's client: %w", err)
	}
	return client, nil
}

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)

// semantic returns a version in the form that NATS services require.
func semantic(version string) string {
	if v := strings.TrimPrefix(version, "v"); semver.MatchString(v) {
		return v
	}
	return "0.0.0"
}
