package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"
)

// Clean shows what somebody else wrote: without what would move the cursor of a terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

// CleanLines is Clean for a text that may have lines.
func CleanLines(s string) string {
	lines := strings.Split(strings.ToValidUTF8(s, "·"), "\n")
	for i := range lines {
		lines[i] = Clean(strings.TrimSuffix(lines[i], "\r"))
	}
	return strings.Join(lines, "\n")
}

// CleanJSON returns the same JSON with an escape for each character that could move the cursor of a terminal or turn the direction of
// writing: encoders leave those above ASCII as they are. They can only be in texts, where JSON allows the escape.
func CleanJSON(text []byte) []byte {
	clean := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			clean = utf8.AppendRune(clean, utf8.RuneError)
		case r < ' ' || unicode.IsPrint(r): // below a space JSON has only the white space between its values
			clean = append(clean, text[:size]...)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				clean = fmt.Appendf(clean, `\u%04x`, unit)
			}
		}
		text = text[size:]
	}
	return clean
}

// Clock shows an instant in the operator's own zone; empty: none.
func Clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// Age shows how long ago something was, or how far off it is.
func Age(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := now.Sub(t)
	if d < 0 {
		return "in " + Length(-d)
	}
	return Length(d) + " ago"
}

// Length shows a duration as people say it.
func Length(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	case d >= time.Minute:
		text := d.Round(time.Second).String() // 1h0m0s
		if before, whole := strings.CutSuffix(text, "m0s"); whole {
			text = before + "m"
		}
		if before, whole := strings.CutSuffix(text, "h0m"); whole {
			text = before + "h"
		}
		return text
	}
	return d.Round(100 * time.Millisecond).String()
}

// NewTable is the one look of all tables.
func NewTable(w io.Writer, columns ...string) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.Style().Options.DrawBorder = false
	t.Style().Options.SeparateColumns = false
	row := table.Row{}
	for _, c := range columns {
		row = append(row, c)
	}
	if len(row) > 0 {
		t.AppendHeader(row)
	}
	return t
}

// IsTerminal reports whether a person looks at w.
func IsTerminal(w any) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// IsLively reports whether w is a terminal that may be sent colours and cursor moves.
func IsLively(w any) bool { return IsTerminal(w) && !IsPlain() }

// IsPlain reports whether the user wants neither colours nor cursor moves: NO_COLOR is set (https://no-color.org), or the
// terminal is a dumb one.
func IsPlain() bool { return os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" }

// Plural says 1 change, 2 changes.
func Plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
