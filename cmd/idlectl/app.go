package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/build"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/config"
	"idlepolicy/worker/stream/desk"
)

// Exit statuses.
const (
	statusFine        = 0
	statusFailed      = 1 // something failed
	statusUsage       = 2 // wrong usage or unusable input
	statusUnreachable = 3 // NATS or a stream of the site cannot be reached
)

// app is one run of the tool: what all verbs share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	load           func() (config.Client, error)
	flags          connectFlags
	json           bool
	quiet          bool // nothing but errors on stderr
	began          bool // the verb was reached: what is wrong from here on is not the usage
}

// unusable marks an error as one of usage or input.
type unusable struct{ error }

func (u unusable) Unwrap() error { return u.error }

func unusablef(format string, a ...any) error { return unusable{fmt.Errorf(format, a...)} }

// run runs the command in the arguments and returns the exit status. load reads the environment.
func run(ctx context.Context, args []string, load func() (config.Client, error), stdin io.Reader, stdout, stderr io.Writer) int {
	in, out := newInput(ctx, stdin), &output{Writer: stdout}
	defer in.Close()
	a := &app{stdin: in, stdout: out, stderr: stderr, load: load}
	root := a.root() //nolint:contextcheck // cobra hands the context to the verbs
	root.SetArgs(oneDash(args))
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	switch {
	case interrupted(ctx, err):
		err, a.began = errInterrupted, true
	case errors.Is(out.failed, syscall.EPIPE): // head has read enough
		err = nil
	case err == nil && out.failed != nil:
		err, a.began = fmt.Errorf("not all of the answer could be written: %w", out.failed), true
	}
	status := exitStatus(err, a.began)
	if errors.Is(err, errDiffers) {
		return statusDiffers
	}
	switch {
	case err == nil:
	case a.json || slices.Contains(args, "--json"): // flags that cannot be read hide it
		text, _ := json.Marshal(fault{err.Error(), status}) // a text and a number: never fails
		fmt.Fprintf(stderr, "%s\n", terminal.CleanJSON(text))
	default:
		fmt.Fprintln(stderr, "idlectl: "+terminal.CleanLines(err.Error())) // it may name a file or quote an answer
		if status == statusUsage && !a.began {
			fmt.Fprintln(stderr, "idlectl: see idlectl --help, or idlectl VERB --help")
		}
	}
	return status
}

// fault is an error for programs.
type fault struct {
	Error  string `json:"error"`
	Status int    `json:"exit_status"`
}

var errInterrupted = errors.New("interrupted")

// oneDash accepts -help and -version, as the worker does.
func oneDash(args []string) []string {
	args = slices.Clone(args)
	for i, arg := range args {
		switch arg {
		case "--":
			return args
		case "-help", "-version":
			args[i] = "-" + arg
		}
	}
	return args
}

// exitStatus returns the exit status for an error. Before the verb has begun, it is that of wrong usage.
func exitStatus(err error, began bool) int {
	var input unusable
	var away *desk.Unreachable
	switch {
	case err == nil:
		return statusFine
	case errors.As(err, &away):
		return statusUnreachable
	case !began, errors.As(err, &input):
		return statusUsage
	}
	return statusFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "idlectl",
		Short: "Publish idle-policy changes, see what became of them, and ask the worker",
		Long: `Publish idle-policy changes, see what became of them, and ask the worker.

NATS and the site come from the environment, as for the worker: IDLE_NATS_URL, IDLE_NATS_CREDS, IDLE_NATS_CA,
IDLE_NATS_CERT, IDLE_NATS_KEY, IDLE_NATS_DOMAIN, IDLE_NATS_INBOX_PREFIX, IDLE_NATS_TLS_FIRST and IDLE_PREFIX. Flags override them; --context takes one of the nats command instead.

Exit status: 0 fine, 1 something failed, 2 wrong usage or unusable input, 3 NATS or a stream cannot be reached. With --json
an error is JSON too: one line on standard error, {"error": "…", "exit_status": N}.`,
		SilenceUsage: true, SilenceErrors: true, Version: build.Version(version),
	}
	a.flags.add(root.PersistentFlags())
	_ = root.RegisterFlagCompletionFunc("context", contextNames) // fails only for a flag that is not there
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, one document or one line for each result")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "print no progress and no notes on standard error")
	root.AddCommand(a.publish(), a.plan(), a.results(), a.batch(), a.status(), a.sites(), a.explain(), a.session(), a.dead(),
		a.pause(), a.resume(), a.rate())
	root.SetFlagErrorFunc(flagError)
	noFiles(root)
	return root
}

// noFiles stops the shell from completing file names.
func noFiles(c *cobra.Command) {
	for _, sub := range c.Commands() {
		noFiles(sub)
	}
	if !c.HasSubCommands() && c.Name() != "publish" && c.Name() != "plan" {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// verb returns the function of a command that needs a connection, which it opens and closes.
func (a *app) verb(do func(ctx context.Context, d *desk.Desk, args []string) error) func(*cobra.Command, []string) error {
	return a.plain(func(ctx context.Context, args []string) error {
		d, err := a.open(ctx)
		if err != nil {
			return err
		}
		defer d.Close()
		return do(ctx, d, args)
	})
}

// plain is verb for a command that needs no connection, or not at first.
func (a *app) plain(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.began = true
		return do(cmd.Context(), args)
	}
}

func (a *app) open(ctx context.Context) (*desk.Desk, error) {
	options, names, err := a.flags.over(a.load)
	if err != nil {
		return nil, unusable{err}
	}
	d, err := desk.Open(ctx, options, names)
	if err != nil {
		return nil, err
	}
	d.By = whoami()
	return d, nil
}

// whoami names the operator for the worker's log.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + strings.ToLower(host)
}

// notes returns where progress and notes are written: to a terminal, or nowhere, because a scheduler would mail them.
func (a *app) notes() io.Writer {
	if a.quiet || !terminal.IsTerminal(a.stderr) {
		return io.Discard
	}
	return a.stderr
}

// printJSON prints one indented document.
func (a *app) printJSON(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := a.stdout.Write(terminal.CleanJSON(text.Bytes()))
	return err
}

// interrupted reports whether the operator ended a command that does not end by itself, which is not a failure.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, ctx.Err())
}

// one checks that there is one argument, and names what it must be.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return fmt.Errorf("%s: want %s, and nothing else", strings.TrimPrefix(cmd.CommandPath(), "idlectl "), what)
	}
}

// none checks that there are no arguments.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s: want no argument, not %q", strings.TrimPrefix(cmd.CommandPath(), "idlectl "), args[0])
}
