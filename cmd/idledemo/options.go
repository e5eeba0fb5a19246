package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// options are what the command line says.
type options struct {
	file      string // empty: the sample
	serve     bool
	natsPort  int
	http      string
	log       string
	simulator string
	ca        string
	tap       string
	names     string
	version   bool
}

func (o *options) flags() *flag.FlagSet {
	f := flag.NewFlagSet("idledemo", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.BoolVar(&o.serve, "serve", false, "keep everything up after the file, until Ctrl-C")
	f.IntVar(&o.natsPort, "nats-port", 0, "`port` of the embedded NATS server; 0: a free one")
	f.StringVar(&o.http, "http", "", "`address` of the status page (default IDLE_HTTP_ADDR, else a free port of loopback)")
	f.StringVar(&o.log, "log", "", "write the log of the worker and the server to this `file`")
	f.StringVar(&o.simulator, "simulator", "", "be nothing but the simulated gateway, at this `address`, for workers elsewhere")
	f.StringVar(&o.ca, "ca", "", "with -simulator: write the `file` with the authority of its certificate")
	f.StringVar(&o.tap, "tap", "", "with -simulator: the agents' desktops sign in through the idletap at this `URL`, and nothing else writes sessions")
	f.StringVar(&o.names, "names", "", "with -simulator: more host `names` for its certificate, comma-separated")
	f.BoolVar(&o.version, "version", false, "print the version")
	return f
}

// parse takes flags before and after the file.
func parse(args []string) (o options, err error) {
	f := o.flags()
	for {
		if err := f.Parse(args); err != nil {
			return o, err
		}
		if f.NArg() == 0 {
			return o, o.check()
		}
		if o.file != "" {
			return o, fmt.Errorf("want one file, not %q and %q", o.file, f.Arg(0))
		}
		o.file, args = f.Arg(0), f.Args()[1:]
	}
}

func (o *options) check() error {
	switch {
	case o.simulator == "" && (o.ca != "" || o.names != "" || o.tap != ""):
		return errors.New("-ca, -names and -tap are for -simulator")
	case o.simulator != "" && (o.file != "" || o.serve || o.http != "" || o.natsPort != 0 || o.log != ""):
		return errors.New("-simulator is the gateway alone: want no file, -serve, -http, -nats-port or -log with it")
	case o.natsPort < 0 || o.natsPort > 65535:
		return fmt.Errorf("-nats-port %d: want 0 to 65535", o.natsPort)
	}
	return nil
}

const help = `idledemo is the whole product in one process: an embedded NATS server, a simulated gateway with agents, and the
real worker with its status page. It publishes a file of changes, shows how they get on, and what became of each.

  idledemo [FLAGS] [FILE]

FILE is CSV with a header line, JSONL or JSON, or - for standard input, as for idlectl publish. Without one it is the
late shift of a site with 300 agents: most are signed in, some sign in only while it runs, some were signed out
elsewhere, some get passing answers and some are refused. All desktops sign in and poll through idletap, which alone
keeps the sessions, and their GUIDs are replaced every few seconds. With a FILE its agents are signed in, every 25th only while
it runs, and none is refused. Changes that take effect later than in half a minute are withdrawn at the end, so that
each has its ending; with -serve they wait. Also with -serve, an agent that nobody knows signs in two seconds after a
change for it began to wait.

The gateway and NATS are always its own: IDLE_GATEWAY_ and IDLE_NATS_ variables and IDLE_REPLICAS are not looked at.
IDLE_RATE (calls per second), IDLE_MAX_ATTEMPTS, IDLE_PREFIX, IDLE_LOG_LEVEL and the others count as for idleworker.

With -simulator it is the gateway alone, and puts the sessions of agents 1001 to 1300 into the bucket of the worker that
works at NATS at IDLE_NATS_URL (and IDLE_NATS_CREDS, IDLE_NATS_CA, IDLE_NATS_CERT, IDLE_NATS_KEY, IDLE_PREFIX). With -tap as
well it leaves NATS alone: the agents' desktops sign in and poll through that idletap, which writes the sessions.

Exit status: 0 every change of the file got exactly one ending, whatever it was; 1 it did not, or FILE or the environment
cannot be used; 2 wrong usage; 130 interrupted. With -serve or -simulator, 0 when it was interrupted.

Flags:
`

func usage(w io.Writer) {
	fmt.Fprint(w, help)
	f := (&options{}).flags()
	f.SetOutput(w)
	f.PrintDefaults()
}

// httpAddr is where the status page is to be: with nothing said, where it disturbs nobody.
func (o *options) httpAddr() string {
	if o.http != "" {
		return o.http
	}
	if addr, said := os.LookupEnv("IDLE_HTTP_ADDR"); said {
		return strings.TrimSpace(addr)
	}
	return "127.0.0.1:0"
}
