package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"idlepolicy/config"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/access"
)

// connectFlags say where NATS is and which site is meant, where the environment does not.
type connectFlags struct {
	server, creds, ca, cert, key, prefix, context string
}

func (f *connectFlags) add(set *pflag.FlagSet) {
	set.StringVarP(&f.server, "server", "s", "", "NATS servers, comma-separated (IDLE_NATS_URL)")
	set.StringVar(&f.creds, "creds", "", "NATS credentials file (IDLE_NATS_CREDS)")
	set.StringVar(&f.ca, "tls-ca", "", "PEM file of the authorities of the NATS servers (IDLE_NATS_CA)")
	set.StringVar(&f.cert, "tls-cert", "", "PEM file of the client certificate (IDLE_NATS_CERT)")
	set.StringVar(&f.key, "tls-key", "", "PEM file of its key (IDLE_NATS_KEY)")
	set.StringVar(&f.context, "context", "", "a context of the nats command, instead of all of these (nats context ls)")
	set.StringVar(&f.prefix, "prefix", "", "the site (IDLE_PREFIX)")
}

// over returns the environment with the flags applied. Problems of variables that a flag overrides are dropped.
func (f *connectFlags) over(load func() (config.Client, error)) (stream.Options, messages.Names, error) {
	env, err := load()
	if err := f.remaining(err); err != nil {
		return stream.Options{}, messages.Names{}, err
	}
	prefix := either(f.prefix, env.Prefix)
	if err := messages.CheckPrefix(prefix); err != nil {
		return stream.Options{}, messages.Names{}, fmt.Errorf("--prefix: %w", err)
	}
	names := messages.Names{Prefix: prefix}
	if f.context != "" {
		if f.server+f.creds+f.ca+f.cert+f.key != "" {
			return stream.Options{}, names, errors.New("--context says where NATS is and who asks: want no --server, --creds or --tls- flag with it")
		}
		return stream.Options{Name: "idlectl", Context: f.context}, names, nil
	}
	if err := f.checkFiles(); err != nil {
		return stream.Options{}, names, err
	}
	urls := env.NATSURLs
	if f.server != "" {
		if urls, err = readServers(f.server); err != nil {
			return stream.Options{}, names, err
		}
	}
	o := stream.Options{
		URLs: urls, Name: "idlectl", Creds: either(f.creds, env.NATSCreds), CA: either(f.ca, env.NATSCA),
		Cert: either(f.cert, env.NATSCert), Key: either(f.key, env.NATSKey),
		Domain: env.NATSDomain, InboxPrefix: env.NATSInboxPrefix, TLSFirst: env.NATSTLSFirst,
	}
	if (o.Cert == "") != (o.Key == "") {
		return o, names, errors.New("a client certificate needs both: --tls-cert and --tls-key")
	}
	if f.cert+f.key != "" { // one of them may be the environment's
		if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
			return o, names, fmt.Errorf("--tls-cert and --tls-key: want a PEM certificate and the key that it fits (%w)", err)
		}
	}
	return o, names, nil
}

// checkFiles checks the files that flags name as those of the environment are checked.
func (f *connectFlags) checkFiles() error {
	if f.creds != "" {
		if err := config.CheckCredentials(f.creds); err != nil {
			return fmt.Errorf("--creds %q: want a credentials file (%w)", f.creds, err)
		}
	}
	if f.ca != "" {
		if err := config.CheckAuthorities(f.ca); err != nil {
			return fmt.Errorf("--tls-ca %q: want a file with PEM certificates (%w)", f.ca, err)
		}
	}
	return nil
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
		overridden := flag != "" || f.context != "" && name != "IDLE_PREFIX"
		problems = slices.DeleteFunc(problems, func(line string) bool { return overridden && strings.HasPrefix(line, name+"=") })
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// readServers parses a list of servers; nats:// may be left out.
func readServers(list string) ([]string, error) {
	var urls []string
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, "://") {
			one = "nats://" + one
		}
		urls = append(urls, one)
	}
	if err := access.CheckServers(urls); err != nil {
		return nil, fmt.Errorf("--server %q: want nats://, tls://, ws:// or wss:// with HOST:PORT, or several separated by commas (%w)",
			access.RedactAll(urls), err)
	}
	return urls, nil
}

func either(flag, env string) string {
	if flag != "" {
		return flag
	}
	return env
}

// contextNames are the contexts that the nats command knows, for shell completion.
func contextNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	home := os.Getenv("XDG_CONFIG_HOME")
	if home == "" {
		home = filepath.Join(os.Getenv("HOME"), ".config")
	}
	files, err := filepath.Glob(filepath.Join(home, "nats", "context", "*.json"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
