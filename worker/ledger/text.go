package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"idlepolicy/messages"
)

// version is the first field of every ledger's text. A worker that does not know the version must not touch the agent.
const version = "v=1"

// AppendText appends the ledger as it stands in the header of a result: fields separated by spaces, each a letter, "=" and
// numbers in base 36 separated by dots. Items of a list are separated by commas. Fields without a value are left out.
//
//	v  version of the format, always first
//	d  Done: incarnation.seq.index
//	n  Newest: incarnation.seq.index.at.i|l.id, with i for an immediate change, l for one that waited for its
//	   effective_at, and the id escaped as in a URL's query
//	b  Newest.Batch
//	e  Newest.Ended: a applied, s superseded, x expired, f failed
//	s  SignIn: at.rev.call
//	r  Recent: hash.stored, ...
//	o  Open: seq.index.told.rev, ... of Done's incarnation
//	t  Stored
//	l  Landing
//	p  History: incarnation.seq.index.stored, then seq.index.told for each open change, ...
//
// Seq, Last and InForce are not part of it: the result itself says them. The error is always nil.
func (l *Ledger) AppendText(b []byte) ([]byte, error) {
	b = append(b, version...)
	b = appendPos(append(b, " d="...), l.Done)
	if l.Newest != (Effect{}) {
		b = appendPos(append(b, " n="...), l.Newest.Pos)
		b = appendNum(b, l.Newest.At)
		kind := byte('i')
		if l.Newest.Later {
			kind = 'l'
		}
		b = append(b, '.', kind, '.')
		b = append(b, url.QueryEscape(l.Newest.ID)...)
	}
	if l.Newest.Batch != "" {
		b = append(append(b, " b="...), url.QueryEscape(l.Newest.Batch)...)
	}
	if letter := endings[l.Newest.Ended]; letter != 0 {
		b = append(append(b, " e="...), letter)
	}
	if l.SignIn != (SignIn{}) {
		b = strconv.AppendInt(append(b, " s="...), l.SignIn.At, 36)
		b = appendNum(appendNum(b, int64(l.SignIn.Rev)), l.SignIn.Call)
	}
	for i, r := range l.Recent {
		b = appendSeparator(b, " r=", i)
		b = appendNum(strconv.AppendUint(b, r.Hash, 36), r.Stored)
	}
	for i, o := range l.Open {
		b = appendSeparator(b, " o=", i)
		b = appendNum(strconv.AppendUint(b, o.Pos.Seq, 36), int64(o.Pos.Index))
		b = appendNum(appendNum(b, int64(o.Told)), int64(o.Rev))
	}
	if l.Stored != 0 {
		b = strconv.AppendInt(append(b, " t="...), l.Stored, 36)
	}
	if l.Landing != 0 {
		b = strconv.AppendInt(append(b, " l="...), l.Landing, 36)
	}
	for i := range l.History {
		b = appendSeparator(b, " p=", i)
		b = appendEarlier(b, &l.History[i])
	}
	return b, nil
}

// UnmarshalText does the same as [Ledger.Read].
func (l *Ledger) UnmarshalText(text []byte) error { return l.Read(string(text)) }

// Read reads what [Ledger.AppendText] wrote. It fails on a format of a later version and on anything it cannot read. Fields with
// other letters are skipped: a later worker of the same version may have written them. The ledger does not keep the text alive. A
// new owner reads the ledgers of all agents before its first call, so little is allocated here.
func (l *Ledger) Read(text string) error {
	known := false
	for f := range strings.FieldsSeq(text) {
		if !known {
			if f != version {
				break
			}
			*l, known = Ledger{}, true
			continue
		}
		name, value, _ := strings.Cut(f, "=")
		if err := l.readField(name, value); err != nil {
			return fmt.Errorf("ledger field %q: %w", name, err)
		}
	}
	if !known {
		return fmt.Errorf("ledger of a version other than %q: a newer worker wrote it", version)
	}
	return nil
}

var (
	errNumbers = errors.New("wrong count of numbers")
	errEnding  = errors.New("unknown ending")
)

func (l *Ledger) readField(name, value string) error {
	switch name {
	case "d":
		var n [3]int64
		err := numbers(value, n[:])
		l.Done = position(n)
		return err
	case "n":
		return l.Newest.read(value)
	case "b":
		batch, err := url.QueryUnescape(value)
		l.Newest.Batch = strings.Clone(batch)
		return err
	case "e":
		return l.readEnding(value)
	case "s":
		var n [3]int64
		err := numbers(value, n[:])
		l.SignIn = SignIn{At: n[0], Rev: uint64(n[1]), Call: n[2]}
		return err
	case "r":
		for r := range strings.SplitSeq(value, ",") {
			hash, stored, _ := strings.Cut(r, ".")
			h, err := strconv.ParseUint(hash, 36, 64)
			at, err2 := number(stored)
			if err = cmp.Or(err, err2); err != nil {
				return err
			}
			l.Recent = append(l.Recent, Recent{h, at})
		}
	case "o":
		for o := range strings.SplitSeq(value, ",") {
			var n [4]int64
			if err := numbers(o, n[:]); err != nil {
				return err
			}
			pos := Position{l.Done.Incarnation, uint64(n[0]), int(n[1])}
			l.Open = append(l.Open, Open{pos, Told(n[2]), uint64(n[3])})
		}
	case "t":
		at, err := number(value)
		l.Stored = at
		return err
	case "l":
		at, err := number(value)
		l.Landing = at
		return err
	case "p":
		for text := range strings.SplitSeq(value, ",") {
			e, err := readEarlier(text)
			if err != nil {
				return err
			}
			l.History = append(l.History, e)
		}
	}
	return nil
}

func (e *Effect) read(value string) error {
	rest := value
	for range 4 {
		_, rest, _ = strings.Cut(rest, ".")
	}
	kind, escaped, ok := strings.Cut(rest, ".")
	if !ok {
		return errNumbers
	}
	var pos [3]int64
	var n [4]int64
	err := numbers(value[:len(value)-len(rest)-1], n[:])
	copy(pos[:], n[:])
	id, err2 := url.QueryUnescape(escaped)
	*e = Effect{At: n[3], Pos: position(pos), ID: strings.Clone(id), Later: kind == "l"}
	return cmp.Or(err, err2)
}

// endings are the letters of the endings that a change which took effect can have.
var endings = map[messages.Outcome]byte{messages.Applied: 'a', messages.Superseded: 's', messages.Expired: 'x', messages.Failed: 'f'}

func (l *Ledger) readEnding(value string) error {
	for o, letter := range endings {
		if value == string(letter) {
			l.Newest.Ended = o
			return nil
		}
	}
	return errEnding
}

func appendEarlier(b []byte, e *Earlier) []byte {
	b = appendNum(appendPos(b, e.Done), e.Stored)
	for _, o := range e.Open {
		b = appendNum(appendNum(appendNum(b, int64(o.Pos.Seq)), int64(o.Pos.Index)), int64(o.Told))
	}
	return b
}

func readEarlier(text string) (Earlier, error) {
	n := make([]int64, strings.Count(text, ".")+1)
	if err := numbers(text, n); err != nil {
		return Earlier{}, err
	}
	if len(n) < 4 || (len(n)-4)%3 != 0 {
		return Earlier{}, errNumbers
	}
	e := Earlier{Done: position([3]int64(n)), Stored: n[3]}
	for n = n[4:]; len(n) > 0; n = n[3:] {
		e.Open = append(e.Open, Open{Pos: Position{e.Done.Incarnation, uint64(n[0]), int(n[1])}, Told: Told(n[2])})
	}
	return e, nil
}

// appendSeparator appends what stands before the i-th item of the list in the named field.
func appendSeparator(b []byte, field string, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return append(b, field...)
}

func appendNum(b []byte, n int64) []byte { return strconv.AppendInt(append(b, '.'), n, 36) }

// numbers reads exactly len(n) numbers.
func numbers(s string, n []int64) error {
	for i := range n {
		text, rest, more := strings.Cut(s, ".")
		if more != (i < len(n)-1) {
			return errNumbers
		}
		var err error
		if n[i], err = number(text); err != nil {
			return err
		}
		s = rest
	}
	return nil
}

func number(s string) (int64, error) { return strconv.ParseInt(s, 36, 64) }
