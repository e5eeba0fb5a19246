package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
	"idlepolicy/worker/stream/desk"
)

func (a *app) deadShow() *cobra.Command {
	return &cobra.Command{
		Use: "show SEQ", Short: "Show one dead letter with what was sent", Args: one("the sequence of a dead letter"),
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || seq == 0 {
				return unusablef("%q is not a sequence: see the first column of idlectl dead list", args[0])
			}
			l, err := d.Letter(ctx, seq)
			if err != nil {
				return err
			}
			return a.showLetter(l)
		}),
	}
}

// shownLetter is a dead letter for programs.
type shownLetter struct {
	deadRow
	Headers  map[string][]string `json:"headers"`          // of the letter
	Sent     map[string][]string `json:"original_headers"` // as far as they can be read
	Original string              `json:"original"`
	Base64   string              `json:"original_base64"` // if it is not text
	Cut      bool                `json:"cut"`
}

func (a *app) showLetter(l desk.Letter) error {
	if a.json {
		s := shownLetter{deadRow: deadRow{l.Seq, l.Agent, l.At, l.Result}, Headers: l.Header, Sent: l.Original(), Original: string(l.Body), Cut: l.Cut()}
		if !utf8.Valid(l.Body) {
			s.Original, s.Base64 = "", base64.StdEncoding.EncodeToString(l.Body)
		}
		return a.printJSON(s)
	}
	fmt.Fprintf(a.stdout, "dead letter %d, stored %s\n\nheaders\n", l.Seq, terminal.Clock(l.At))
	a.showHeaders(l.Header)
	if l.Header[messages.HeadersHeader] != nil {
		fmt.Fprintln(a.stdout, "\nheaders of the original")
		a.showHeaders(l.Original())
	}
	fmt.Fprintln(a.stdout, "\nresult")
	if err := a.printJSON(l.Result); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\noriginal, %s\n%s\n", terminal.Plural(len(l.Body), "byte"), terminal.CleanLines(string(l.Body)))
	if l.Cut() {
		fmt.Fprintln(a.stdout, "(cut: the whole did not fit)")
	}
	return nil
}

// showHeaders leaves out what is shown in a form of its own.
func (a *app) showHeaders(header map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name != messages.ResultHeader && name != messages.HeadersHeader {
			fmt.Fprintf(a.stdout, "  %s: %s\n", terminal.Clean(name), terminal.Clean(strings.Join(header[name], ", ")))
		}
	}
}
