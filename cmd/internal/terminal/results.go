package terminal

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"idlepolicy/messages"
)

// Outcomes is the order in which outcomes are shown.
var Outcomes = []messages.Outcome{
	messages.Applied, messages.Reapplied, messages.Superseded, messages.Waiting, messages.Expired, messages.Rejected, messages.Failed,
}

// WriteOutcomes writes a table of how many changes ended in which way.
func WriteOutcomes(w io.Writer, of map[messages.Outcome]int) {
	t := NewTable(w, "outcome", "changes")
	for _, o := range Outcomes {
		if n := of[o]; n > 0 {
			t.AppendRow([]any{o, n})
		}
	}
	t.Render()
}

const resultLine = "%-19s  %-10s  %-7s  %-5s  %8s  %-7s  %-24s  %s\n"

// WriteResultHead writes the heading over lines of WriteResult.
func WriteResultHead(w io.Writer) {
	fmt.Fprintf(w, resultLine, "time", "outcome", "agent", "flag", "attempts", "retcode", "change", "message")
}

// WriteResult writes one result, stored at an instant, in one line. The message comes last: it can be long.
func WriteResult(w io.Writer, at time.Time, r messages.Result) error {
	_, err := fmt.Fprintf(w, resultLine, Clock(at), r.Outcome, Clean(r.AgentID), orDash(r.Flag), strconv.Itoa(r.Attempts),
		orDash(r.Retcode), Clean(r.ChangeID), Clean(r.Message))
	return err
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return Clean(s)
}
