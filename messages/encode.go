package messages

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the result as JSON. It writes what package encoding/json would write, several times faster and
// without allocating, because every change ends in one of these.
//
// Times are in UTC with up to nanoseconds; what is no UTF-8 in a string is replaced by U+FFFD.
func (r *Result) AppendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"outcome":`...), string(r.Outcome))
	dst = appendString(append(dst, `,"agent_id":`...), r.AgentID)
	dst = appendString(append(dst, `,"retcode":`...), r.Retcode)
	dst = appendString(append(dst, `,"message":`...), r.Message)
	dst = appendOptional(dst, `,"flag":`, r.Flag)
	dst = appendString(append(dst, `,"change_id":`...), r.ChangeID)
	dst = strconv.AppendUint(append(dst, `,"change_seq":`...), r.ChangeSeq, 10)
	dst = strconv.AppendInt(append(dst, `,"change_index":`...), int64(r.ChangeIndex), 10)
	dst = appendOptional(dst, `,"batch_id":`, r.BatchID)
	dst = strconv.AppendInt(append(dst, `,"attempts":`...), int64(r.Attempts), 10)
	dst = appendOptional(dst, `,"superseded_by":`, r.SupersededBy)
	dst = appendTime(append(dst, `,"received_at":`...), r.ReceivedAt)
	if !r.EffectiveAt.IsZero() {
		dst = appendTime(append(dst, `,"effective_at":`...), r.EffectiveAt)
	}
	if !r.ValidUntil.IsZero() {
		dst = appendTime(append(dst, `,"valid_until":`...), r.ValidUntil)
	}
	dst = appendTime(append(dst, `,"finished_at":`...), r.FinishedAt)
	dst = appendOptional(dst, `,"reason":`, r.Reason)
	dst = appendOptional(dst, `,"source":`, r.Source)
	return append(dst, '}')
}

// MarshalJSON writes what AppendJSON writes.
func (r Result) MarshalJSON() ([]byte, error) { return r.AppendJSON(make([]byte, 0, 512)), nil }

func appendOptional(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, name...), s)
}

// Instants that can be written in RFC 3339, which has four digits for the year.
var (
	firstInstant = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	lastInstant  = time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)
)

// appendTime writes an instant. One that cannot be written becomes the nearest one that can, because a result that
// cannot be stored would hold up its agent for good.
func appendTime(dst []byte, t time.Time) []byte {
	switch t = t.UTC(); {
	case t.Before(firstInstant):
		t = firstInstant
	case t.After(lastInstant):
		t = lastInstant
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not written yet
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			// The two line separators are escaped because JavaScript once took them for the end of a line.
			if (r != utf8.RuneError || size != 1) && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
		}
		dst = appendEscaped(append(dst, s[start:i]...), s[i:i+size])
		i += size
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// appendEscaped writes one character that cannot stand in a JSON string as it is.
func appendEscaped(dst []byte, s string) []byte {
	switch c := s[0]; {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\b':
		return append(dst, `\b`...)
	case c == '\f':
		return append(dst, `\f`...)
	case c == '\n':
		return append(dst, `\n`...)
	case c == '\r':
		return append(dst, `\r`...)
	case c == '\t':
		return append(dst, `\t`...)
	case c < ' ':
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	case s == "\u2028":
		return append(dst, `\u2028`...)
	case s == "\u2029":
		return append(dst, `\u2029`...)
	}
	return append(dst, `\ufffd`...)
}
