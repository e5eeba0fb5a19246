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

// incarnations are those of one stream of changes, oldest first: a stream that is restored from a backup is another one.
// They stand in the metadata of its consumer, because that is saved and restored with the stream, and gone with it: a
// stream that is deleted and created again has a new consumer and none of these.
type incarnations []incarnation

type incarnation struct {
	number  int64 // as positions carry it: the creation time, in Unix nanoseconds, unless that is not later than the last
	created int64
}

const (
	incarnationsKey  = "idlepolicy.epochs"
	keepIncarnations = 8
)

// with returns the incarnations of a stream that the server says was created then, where the newest result is of that incarnation, and
// which went back or not: results tell of sequences that it has not given out. A disk that lost the last messages does
// that, and so does a restore by a server that leaves the stream the creation time that it had.
//
// The creation time alone says little. Of a stream that was restored on three servers each may name another one, by
// which server led the restore, and so it may change with a restart and go back: then all that is new would be taken for
// what has ended. Here it never goes back, and one that is known is not a new one.
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

// parseIncarnations reads what String wrote. What it cannot read counts as nothing: then all that is in the stream is new.
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

// setIncarnation tells a term in which incarnation it is, and has the consumer say so before any result does.
func (o *Owner) setIncarnation(ctx context.Context, t *worker.Term, created int64, ledgers map[string]ledger.Ledger) error {
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

// newestOf returns the newest incarnation that ledgers tell of, and the last sequence in it.
func newestOf(ledgers map[string]ledger.Ledger) (incarnation int64, seq uint64) {
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
		return fmt.Errorf("note the life of the stream at its consumer: %w", plain(err))
	}
	return nil
}
