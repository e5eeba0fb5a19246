package sheet

import (
	"fmt"
	"slices"
	"strings"

	"idlepolicy/messages"
)

// Problem is one thing in a file that cannot be used.
type Problem struct {
	Line    int    `json:"line"`             // from 1
	Column  int    `json:"column,omitempty"` // of a CSV file, from 1; 0: the row as a whole, or another format
	Field   string `json:"field,omitempty"`  // such as agent_id; empty: none in particular
	Message string `json:"message"`          // what is wrong, and what would be right

	item int // in a message with several, from 1; 0: the message
}

// In returns the problem in one line with the name of the file, as compilers do.
func (p Problem) In(name string) string {
	switch {
	case p.Column > 0:
		return fmt.Sprintf("%s:%d: column %s: %s", name, p.Line, p.Field, p.Message)
	case p.item > 0 && p.Field != "":
		return fmt.Sprintf("%s:%d: item %d: %s: %s", name, p.Line, p.item, p.Field, p.Message)
	case p.item > 0:
		return fmt.Sprintf("%s:%d: item %d: %s", name, p.Line, p.item, p.Message)
	case p.Field != "":
		return fmt.Sprintf("%s:%d: %s: %s", name, p.Line, p.Field, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s", name, p.Line, p.Message)
}

// fields are those that a rejection may name.
var fields = append([]string{"agent_ids", "changes", "batch_total", "cancel", "message"}, columns...)

// splitRejection returns the field that a rejection names, if it names one, and the rest of the sentence.
func splitRejection(r messages.Rejection) (field, message string) {
	field, message, ok := strings.Cut(r.Message, ": ")
	if !ok || !slices.Contains(fields, field) {
		return "", r.Message
	}
	return field, message
}

func (s *Sheet) fault(line int, field, message string) {
	s.Problems = append(s.Problems, Problem{Line: line, Field: field, Message: message})
}

func (s *Sheet) faultInColumn(line, column int, field, message string) {
	s.Problems = append(s.Problems, Problem{Line: line, Column: column, Field: field, Message: message})
}
