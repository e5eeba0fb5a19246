package ledger

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position tells any two changes apart and orders them as they were published. A stream that was deleted or restored
// starts its sequences again, so its incarnation comes first.
type Position struct {
	Incarnation int64  // of the stream of changes, see [Stream]
	Seq         uint64 // of the message in that stream
	Index       int    // of the change in its message
}

// Compare orders positions as their changes were published.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Incarnation, q.Incarnation), cmp.Compare(p.Seq, q.Seq), cmp.Compare(p.Index, q.Index))
}

// String returns the position as it stands in message IDs: three numbers in base 36 separated by dots. [CutPosition]
// reads it back.
func (p Position) String() string { return string(appendPos(make([]byte, 0, 32), p)) }

// CutPosition reads the position at the beginning of a message ID and returns what follows the dot behind it. An ID that
// ends with the position has no rest.
func CutPosition(id string) (p Position, rest string, err error) {
	first, rest, _ := strings.Cut(id, ".")
	second, rest, _ := strings.Cut(rest, ".")
	third, rest, _ := strings.Cut(rest, ".")
	incarnation, err := strconv.ParseInt(first, 36, 64)
	seq, err2 := strconv.ParseUint(second, 36, 64)
	index, err3 := strconv.ParseInt(third, 36, 32)
	if err := cmp.Or(err, err2, err3); err != nil {
		return Position{}, "", fmt.Errorf("ID %q does not begin with a position", id)
	}
	return Position{incarnation, seq, int(index)}, rest, nil
}

func appendPos(b []byte, p Position) []byte {
	return appendNum(appendNum(strconv.AppendInt(b, p.Incarnation, 36), int64(p.Seq)), int64(p.Index))
}

// position reads what [appendPos] wrote, after [numbers] has taken it apart.
func position(n [3]int64) Position { return Position{n[0], uint64(n[1]), int(n[2])} }
