package stream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/journaltest"
	"idlepolicy/worker/ledger"
)

func TestJournalKeepsTheContract(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) *journaltest.Site {
		t.Helper()
		s := newSite(t)
		if _, err := s.layout.Ensure(t.Context(), s.js); err != nil {
			t.Fatal(err)
		}
		changes, err := s.js.Stream(t.Context(), s.layout.Names.ChangesStream())
		if err != nil {
			t.Fatal(err)
		}
		return &journaltest.Site{
			Journal: s.rival(t), Incarnation: changes.CachedInfo().Created.UnixNano(), Letters: s.letterPositions, Summaries: s.summariesOf,
			Publish: func(body string) (uint64, time.Time) {
				seq := s.publish(body)
				m, err := changes.GetMsg(t.Context(), seq)
				if err != nil {
					t.Fatal(err)
				}
				return seq, m.Time
			},
		}
	})
}

// letterPositions returns the positions of the changes that have dead letters.
func (s *site) letterPositions() (all []ledger.Position) {
	s.t.Helper()
	names := s.layout.Names
	err := scan(s.t.Context(), s.js, names.DeadStream(), names.DeadAll(), jetstream.OrderedConsumerConfig{}, func(m *Message) error {
		pos, _, err := ledger.CutPosition(m.Header.Get(nats.MsgIdHdr))
		all = append(all, pos)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}
