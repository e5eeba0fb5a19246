package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/desk"
)

type sessionFlags struct {
	guid, guidFile, gateway, signedIn string
	cookies                           []string
}

func (a *app) session() *cobra.Command {
	c := &cobra.Command{
		Use: "session", Short: "Sign agents in and out in the registry of sessions",
		Args: none,
		RunE: func(*cobra.Command, []string) error { return errors.New("session: want put, list or delete") },
	}
	c.AddCommand(a.sessionPut(), a.sessionList(), a.sessionDelete())
	return c
}

func (a *app) sessionPut() *cobra.Command {
	var f sessionFlags
	c := &cobra.Command{
		Use:   "put AGENT [-]",
		Short: "Write an agent's session",
		Long: `Write an agent's session. The GUID is a credential: a file or standard input keeps it from the list of processes and
from the shell's history, where --guid leaves it. Standard input is the GUID, or a session as JSON.`,
		Example: "  idlectl session put 1001 --guid-file 1001.guid\n  pass gateway/1001 | idlectl session put 1001 -",
		Args:    cobra.RangeArgs(1, 2),
		RunE:    a.verb(func(ctx context.Context, d *desk.Desk, args []string) error { return a.putSession(ctx, d, args, f) }),
	}
	c.Flags().StringVar(&f.guid, "guid", "", "the GUID itself")
	c.Flags().StringVar(&f.guidFile, "guid-file", "", "a file with the GUID, or with a session as JSON")
	c.Flags().StringArrayVar(&f.cookies, "cookie", nil, "name=value; may be given several times")
	c.Flags().StringVar(&f.gateway, "gateway-url", "", "the gateway node that the agent is signed in at")
	c.Flags().StringVar(&f.signedIn, "signed-in-at", "", "now, or RFC 3339; a later one is a new sign-in; default: now")
	c.MarkFlagsMutuallyExclusive("guid", "guid-file")
	return c
}

func (a *app) putSession(ctx context.Context, d *desk.Desk, args []string, f sessionFlags) error {
	agent := args[0]
	if !messages.ValidAgentID(agent) {
		return noAgent(agent)
	}
	s, err := a.readSession(args, f)
	if err != nil {
		return unusable{err}
	}
	if len(f.cookies) > 0 {
		s.Cookies = f.cookies
	}
	s.GatewayURL = either(f.gateway, s.GatewayURL)
	switch {
	case f.signedIn == "now", f.signedIn == "" && s.SignedInAt.IsZero():
		s.SignedInAt = time.Now()
	case f.signedIn != "":
		if s.SignedInAt, err = time.Parse(time.RFC3339, f.signedIn); err != nil {
			return unusablef("--signed-in-at %q: want now, or an instant such as 2026-11-22T18:00:00+01:00", f.signedIn)
		}
	}
	if err := s.Check(); err != nil {
		return unusable{err}
	}
	rev, err := d.PutSession(ctx, agent, s)
	if err != nil {
		return err
	}
	shown := sessionRow{agent, messages.Fingerprint(s.GUID), s.SignedInAt, rev, ""}
	if a.json {
		return a.printJSON(shown)
	}
	fmt.Fprintf(a.stdout, "agent %s is signed in, revision %d\n", agent, rev)
	return nil
}

// readSession takes the session from the one place that was named.
func (a *app) readSession(args []string, f sessionFlags) (messages.Session, error) {
	var text []byte
	var err error
	piped := len(args) == 2
	switch {
	case piped && args[1] != "-":
		return messages.Session{}, errors.New("session put: the GUID cannot be given as an argument: use --guid-file, --guid, or - for standard input for standard input")
	case piped && (f.guid != "" || f.guidFile != ""):
		return messages.Session{}, errors.New("session put: want one of -, --guid and --guid-file")
	case f.guid != "":
		text = []byte(f.guid)
	case f.guidFile != "":
		text, err = os.ReadFile(f.guidFile)
	case piped:
		text, err = io.ReadAll(io.LimitReader(a.stdin, 1<<20))
	default:
		err = errors.New("session put: the GUID is missing: want --guid-file, --guid or - for standard input")
	}
	if err != nil {
		return messages.Session{}, err
	}
	s, err := messages.DecodeSession(text)
	if err == nil && len(s.LeftOut) > 0 {
		err = errors.New(s.LeftOut[0]) // whoever types a session means all of it
	}
	return s, err
}

// sessionRow is a session as it may be shown.
type sessionRow struct {
	Agent      string    `json:"agent_id"`
	GUID       string    `json:"guid_fingerprint"` // empty: it is too short to have one
	SignedInAt time.Time `json:"signed_in_at,omitzero"`
	Revision   uint64    `json:"revision"`
	Trouble    string    `json:"trouble"`
}

func (a *app) sessionList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sessions, without what is secret in them", Args: none,
		Long: `List the sessions, without what is secret in them. The fingerprint is of the GUID: the same one as before has the same.`,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.listSessions(ctx, d) }),
	}
}

func (a *app) listSessions(ctx context.Context, d *desk.Desk) error {
	rows := []sessionRow{}
	now := time.Now()
	t := terminal.NewTable(a.stdout, "agent", "fingerprint", "signed in at", "age", "revision", "")
	err := d.Sessions(ctx, func(e desk.SessionEntry) error {
		row := sessionRow{stream.ShownKey(e.Agent), messages.Fingerprint(e.Session.GUID), e.Session.SignedInAt, e.Revision, ""}
		if e.Trouble != nil {
			row.Trouble = "unusable: " + e.Trouble.Error()
		}
		since := e.Session.SignedInAt
		if since.IsZero() {
			since = e.Written
		}
		t.AppendRow([]any{terminal.Clean(row.Agent), row.GUID, terminal.Clock(row.SignedInAt), terminal.Age(since, now), row.Revision, terminal.Clean(row.Trouble)})
		rows = append(rows, row)
		return nil
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.printJSON(rows)
	case len(rows) == 0:
		fmt.Fprintln(a.stdout, "nobody is signed in")
		return nil
	}
	t.SortBy([]table.SortBy{{Name: "agent", Mode: table.AscNumericAlpha}})
	t.Render()
	return nil
}

func (a *app) sessionDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete AGENT", Short: "Sign an agent out", Args: one("an agent"),
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, args []string) error {
			if !messages.ValidAgentID(args[0]) {
				return noAgent(args[0])
			}
			if err := d.DeleteSession(ctx, args[0]); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"agent_id": args[0], "deleted": true})
			}
			fmt.Fprintf(a.stdout, "agent %s is signed out\n", args[0])
			return nil
		}),
	}
}
