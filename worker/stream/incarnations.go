package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker"
	"idlepolicy/worker/ledger"
)

// incarnations are the incarnations of one stream of changes, oldest first. A stream that is restored from a backup begins a new one.
// They are kept in the metadata of its consumer, which is saved, restored and deleted with the stream: a stream that is deleted and
// created again has a new consumer and none of them.
type incarnations []incarnation

type incarnation struct {
	number  int64 // as positions carry it: the creation time, in Unix nanoseconds, unless that is not later than the last
	created int64
}

const (
	incarnationsKey  = "idlepolicy.epochs"
	keepIncarnations = 8
)

// with returns the incarnations of a stream with that creation time, where newest is the incarnation of the newest result. wentBack
// means that there are results for sequences that the stream has not used yet. That happens if a disk loses the last messages, or if a
// server restores a stream with its old creation time.
//
// The creation time alone is not reliable. Three servers that restored a stream may each report a different one, so it may change with
// a restart, even to an earlier time. New changes would then be taken for ones that have ended. Therefore incarnations never go back,
// and a known creation time begins no new one.
func (e incarnations) with(created, newest int64, back bool) incarnations {
	if len(e) == 0 && newest == created {
		e = incarnations{{created, created}} // results of an older version of the worker
	}
	var last int64
	if len(e) > 0 {
		last = e[len(e)-1].number
	}
	if (last > newest || (last == newest && !back)) && slices.ContainsFunc(e, func(x incarnation) bool { return x.created == created }) {
		return e
	}
	number := created
	if most := max(last, newest); number < most || number == last {
		number = most + 1
	}
	return append(slices.Clone(e[max(0, len(e)-keepIncarnations+1):]), incarnation{number, created})
}

func (e incarnations) String() string {
	var parts []string
	for _, x := range e {
		text := strconv.FormatInt(x.number, 36)
		if x.created != x.number {
			text += "." + strconv.FormatInt(x.created, 36)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

// parseIncarnations parses what String wrote. It returns none if it cannot: then everything in the stream is new.
func parseIncarnations(text string) incarnations {
	var all incarnations
	for part := range strings.FieldsSeq(text) {
		number, created, differs := strings.Cut(part, ".")
		if !differs {
			created = number
		}
		n, err := strconv.ParseInt(number, 36, 64)
		c, err2 := strconv.ParseInt(created, 36, 64)
		if errors.Join(err, err2) != nil || (len(all) > 0 && n <= all[len(all)-1].number) {
			return nil
		}
		all = append(all, incarnation{n, c})
	}
	return all
}

// setIncarnation sets a term's incarnation, and records it at the consumer before any result has it.
func (o *Owner) setIncarnation(ctx context.Context, t *worker.Term, created int64, ledgers map[string]*ledger.Ledger) error {
	info, err := o.info(ctx, o.consumer, requestFor)
	if err != nil {
		return err
	}
	had := parseIncarnations(info.Config.Metadata[incarnationsKey])
	newest, seq := newestOf(ledgers)
	all := had.with(created, newest, seq > t.LastSeq)
	if text := all.String(); text != info.Config.Metadata[incarnationsKey] {
		if err := o.writeIncarnations(ctx, info, text); err != nil {
			return err
		}
	}
	for _, e := range all[:len(all)-1] {
		t.Stream.Earlier = append(t.Stream.Earlier, e.number)
	}
	t.Stream.Incarnation = all[len(all)-1].number
	if len(had) > 0 && len(all) > len(had) {
		o.Log.Info("the stream of changes was restored: what had ended by then is known", "unfinished_messages", t.Unfinished)
	}
	return nil
}

// newestOf returns the newest incarnation in the ledgers, and the last sequence in it.
func newestOf(ledgers map[string]*ledger.Ledger) (incarnation int64, seq uint64) {
	for _, l := range ledgers {
		switch d := l.Done; {
		case d.Incarnation > incarnation:
			incarnation, seq = d.Incarnation, d.Seq
		case d.Incarnation == incarnation:
			seq = max(seq, d.Seq)
		}
	}
	return incarnation, seq
}

func (o *Owner) writeIncarnations(ctx context.Context, info *jetstream.ConsumerInfo, text string) error {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	cfg := info.Config
	cfg.Metadata = maps.Clone(cfg.Metadata)
	if cfg.Metadata == nil {
		cfg.Metadata = map[string]string{}
	}
	cfg.Metadata[incarnationsKey] = text
	if _, err := o.js.UpdateConsumer(ctx, info.Stream, cfg); err != nil {
		return fmt.Errorf("record the stream's incarnation in its consumer: %w", plain(err))
	}
	return nil
}
