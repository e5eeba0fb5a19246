package main

import (
	"errors"
	"slices"
	"strings"
	"time"

	"idlepolicy/config"
)

// notOurs are the variables that the demonstration does not look at: the gateway and NATS are its own, whatever real
// ones the environment names.
var notOurs = []string{"IDLE_GATEWAY_", "IDLE_NATS_", "IDLE_REPLICAS", "IDLE_HTTP_ADDR"}

const gatewayTimeout = 5 * time.Second

// environment returns the worker's configuration but for the gateway and NATS, which are not there yet.
func environment(httpAddr string) (config.Config, error) {
	c, err := config.Load()
	if err := remaining(err); err != nil {
		return c, err
	}
	c.GatewayTimeout = gatewayTimeout
	c.GatewayServerName, c.GatewayCert, c.GatewayKey, c.GatewayInsecure = "", "", "", false
	c.NATSCreds, c.NATSCA, c.NATSCert, c.NATSKey = "", "", "", ""
	c.Replicas, c.HTTPAddr = 1, httpAddr
	c.Retention = max(c.Retention, time.Hour) // the proof at the end reads all results once more
	return c, nil
}

// lead points the configuration at a gateway, with the file of its authority, and a server.
func lead(c *config.Config, gateway, ca, nats string) {
	c.GatewayURL, c.GatewayCA, c.NATSURLs = gateway, ca, []string{nats}
	c.GatewayHosts = []string{strings.TrimPrefix(gateway, "https://")}
}

// remaining drops the problems of variables that are not looked at.
func remaining(err error) error {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return err
	}
	problems = slices.DeleteFunc(slices.Clone(problems), func(line string) bool {
		return slices.ContainsFunc(notOurs, func(name string) bool { return strings.HasPrefix(line, name) })
	})
	if len(problems) == 0 {
		return nil
	}
	return problems
}
