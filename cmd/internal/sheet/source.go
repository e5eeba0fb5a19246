package sheet

import (
	"slices"
	"strconv"
)

// SetSource makes name the source of all changes that name none.
func (s *Sheet) SetSource(name string) {
	head := `{"source":` + strconv.Quote(name) + `,`
	for i := range s.Messages {
		m := &s.Messages[i]
		if m.Body[0] == '[' {
			m.Body = slices.Concat([]byte(head+`"changes":`), m.Body, []byte("}"))
		} else {
			m.Body = append([]byte(head), m.Body[1:]...) // a source behind it counts instead
		}
	}
}
