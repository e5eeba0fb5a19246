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
				return unusablef("%q is no sequence: see the first column of idlectl dead list", args[0])
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
	Headers  map[string][]string `json:"headers"`
	Original string              `json:"original,omitempty"`
	Base64   string              `json:"original_base64,omitempty"` // where it is no text
	Cut      bool                `json:"cut,omitempty"`
}

func (a *app) showLetter(l desk.Letter) error {
	if a.json {
		s := shownLetter{deadRow: deadRow{l.Seq, l.At, l.Result}, Headers: l.Header, Original: string(l.Body), Cut: l.Cut()}
		if !utf8.Valid(l.Body) {
			s.Original, s.Base64 = "", base64.StdEncoding.EncodeToString(l.Body)
		}
		return a.printJSON(s)
	}
	fmt.Fprintf(a.stdout, "dead letter %d, stored %s\n\nheaders\n", l.Seq, terminal.Clock(l.At))
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		if name != messages.ResultHeader {
			fmt.Fprintf(a.stdout, "  %s: %s\n", terminal.Clean(name), terminal.Clean(strings.Join(l.Header[name], ", ")))
		}
	}
	fmt.Fprintln(a.stdout, "\nresult")
	if err := a.printJSON(l.Result); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\noriginal, %s\n%s\n", terminal.Plural(len(l.Body), "byte"), cleanLines(l.Body))
	if l.Cut() {
		fmt.Fprintln(a.stdout, "(cut: the whole did not fit)")
	}
	return nil
}

// cleanLines is clean for a text that may have lines.
func cleanLines(body []byte) string {
	lines := strings.Split(strings.ToValidUTF8(string(body), "·"), "\n")
	for i := range lines {
		lines[i] = terminal.Clean(strings.TrimSuffix(lines[i], "\r"))
	}
	return strings.Join(lines, "\n")
}
