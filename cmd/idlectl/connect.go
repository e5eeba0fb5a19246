package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
)

// connectFlags say where NATS is and which site is meant, where the environment does not.
type connectFlags struct {
	server, creds, ca, cert, key, prefix string
}

func (f *connectFlags) add(set *pflag.FlagSet) {
	set.StringVarP(&f.server, "server", "s", "", "NATS servers, comma-separated (IDLE_NATS_URL)")
	set.StringVar(&f.creds, "creds", "", "NATS credentials file (IDLE_NATS_CREDS)")
	set.StringVar(&f.ca, "tls-ca", "", "PEM file of the authorities of the NATS servers (IDLE_NATS_CA)")
	set.StringVar(&f.cert, "tls-cert", "", "PEM file of the client certificate (IDLE_NATS_CERT)")
	set.StringVar(&f.key, "tls-key", "", "PEM file of its key (IDLE_NATS_KEY)")
	set.StringVar(&f.prefix, "prefix", "", "the site (IDLE_PREFIX)")
}

// over returns the environment with the flags laid over it. What is wrong with a variable that a flag overrides does
// not matter.
func (f *connectFlags) over(load func() (config.Client, error)) (stream.Options, messages.Names, error) {
	env, err := load()
	if err := f.remaining(err); err != nil {
		return stream.Options{}, messages.Names{}, err
	}
	urls := env.NATSURLs
	if f.server != "" {
		if urls, err = readServers(f.server); err != nil {
			return stream.Options{}, messages.Names{}, err
		}
	}
	prefix := either(f.prefix, env.Prefix)
	if err := messages.CheckPrefix(prefix); err != nil {
		return stream.Options{}, messages.Names{}, fmt.Errorf("--prefix: %w", err)
	}
	o := stream.Options{
		URLs: urls, Name: "idlectl", Creds: either(f.creds, env.NATSCreds), CA: either(f.ca, env.NATSCA),
		Cert: either(f.cert, env.NATSCert), Key: either(f.key, env.NATSKey),
	}
	if (o.Cert == "") != (o.Key == "") {
		return o, messages.Names{}, errors.New("a client certificate needs both: --tls-cert and --tls-key")
	}
	return o, messages.Names{Prefix: prefix}, nil
}

// remaining drops the problems of variables that are overridden.
func (f *connectFlags) remaining(err error) error {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for name, flag := range map[string]string{
		"IDLE_NATS_URL": f.server, "IDLE_NATS_CREDS": f.creds, "IDLE_NATS_CA": f.ca, "IDLE_NATS_CERT": f.cert,
		"IDLE_NATS_KEY": f.key, "IDLE_PREFIX": f.prefix,
	} {
		problems = slices.DeleteFunc(problems, func(line string) bool { return flag != "" && strings.HasPrefix(line, name+"=") })
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// readServers does not show what it cannot read: a password may be in it.
func readServers(list string) ([]string, error) {
	var urls []string
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		if u, err := url.Parse(one); err != nil || u.Host == "" {
			return nil, errors.New("--server: want nats://, tls://, ws:// or wss:// with HOST:PORT, or several separated by commas")
		}
		urls = append(urls, one)
	}
	return urls, nil
}

func either(flag, env string) string {
	if flag != "" {
		return flag
	}
	return env
}
