package plan

import (
	"encoding/binary"
	"errors"
	"slices"

	"idlepolicy/cmd/internal/plan/steps"
)

// Record is what is known about one agent's steps of a plan: those that were applied, and those that a run which did not
// come to its end may have published or withdrawn.
type Record struct {
	Steps []steps.Step // stored by the stream, in order of time
	Maybe []int64      // the starts of steps that may have been published or withdrawn since, in order
}

// recordVersion is the first byte of an encoded record. After it come, all as varints: the texts, each with its length; the
// steps, each with the distance to the one before, its length (0: open) and the places of its flag and activity among the
// texts; and the distances of the starts in Maybe.
const recordVersion = 1

var errRecord = errors.New("the record of the plan was written by another version of this program, or is damaged")

// Encode returns the record as it is stored.
func (r Record) Encode() []byte {
	var texts []string
	place := func(s string) uint64 {
		i := slices.Index(texts, s)
		if i < 0 {
			i = len(texts)
			texts = append(texts, s)
		}
		return uint64(i)
	}
	body := binary.AppendUvarint(nil, uint64(len(r.Steps)))
	last := int64(0)
	for _, s := range r.Steps {
		length := uint64(0)
		if s.End != steps.Open {
			length = uint64(s.End - s.Start)
		}
		body = binary.AppendVarint(body, s.Start-last)
		body = binary.AppendUvarint(body, length)
		body = binary.AppendUvarint(body, place(s.Flag))
		body = binary.AppendUvarint(body, place(s.Activity))
		last = s.Start
	}
	body = binary.AppendUvarint(body, uint64(len(r.Maybe)))
	last = 0
	for _, start := range r.Maybe {
		body = binary.AppendVarint(body, start-last)
		last = start
	}
	head := binary.AppendUvarint([]byte{recordVersion}, uint64(len(texts)))
	for _, t := range texts {
		head = append(binary.AppendUvarint(head, uint64(len(t))), t...)
	}
	return append(head, body...)
}

// DecodeRecord is the opposite of Encode.
func DecodeRecord(data []byte) (Record, error) {
	if len(data) == 0 || data[0] != recordVersion {
		return Record{}, errRecord
	}
	d := recordDecoder{rest: data[1:]}
	texts := make([]string, d.count())
	for i := range texts {
		texts[i] = d.text()
	}
	text := func() string {
		i := d.unsigned()
		if i >= uint64(len(texts)) {
			d.failed = true
			return ""
		}
		return texts[i]
	}
	var r Record
	last := int64(0)
	r.Steps = make([]steps.Step, d.count())
	for i := range r.Steps {
		s := &r.Steps[i]
		last += d.signed()
		s.Start, s.End = last, steps.Open
		if length := d.unsigned(); length > 0 {
			s.End = last + int64(length)
		}
		s.Flag, s.Activity = text(), text()
	}
	r.Maybe = make([]int64, d.count())
	last = 0
	for i := range r.Maybe {
		last += d.signed()
		r.Maybe[i] = last
	}
	if d.failed || len(d.rest) > 0 {
		return Record{}, errRecord
	}
	return r, nil
}

// recordDecoder reads varints until one cannot be read.
type recordDecoder struct {
	rest   []byte
	failed bool
}

func (d *recordDecoder) unsigned() uint64 {
	v, n := binary.Uvarint(d.rest)
	return take(d, v, n)
}

func (d *recordDecoder) signed() int64 {
	v, n := binary.Varint(d.rest)
	return take(d, v, n)
}

func take[T int64 | uint64](d *recordDecoder, v T, n int) T {
	if n <= 0 || d.failed {
		d.failed = true
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// count returns how many things follow, each of which takes a byte at least.
func (d *recordDecoder) count() int {
	n := d.unsigned()
	if n > uint64(len(d.rest)) {
		d.failed = true
		return 0
	}
	return int(n)
}

func (d *recordDecoder) text() string {
	n := d.count()
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
