package messages

import "time"

// BatchSummary is the event that is published once, when the last change of a batch has ended. Rejected items count.
type BatchSummary struct {
	BatchID    string    `json:"batch_id"`
	Total      int       `json:"total"` // changes of the batch; while a batch of several messages runs, those that it will have
	Applied    int       `json:"applied"`
	Superseded int       `json:"superseded"`
	Expired    int       `json:"expired"`
	Rejected   int       `json:"rejected"`
	Failed     int       `json:"failed"`
	StartedAt  time.Time `json:"started_at"`           // when the stream stored the first message of the batch
	FinishedAt time.Time `json:"finished_at,omitzero"` // when the last change ended; zero: not yet
}

// BatchProgress is the progress of a batch, for people who watch it.
type BatchProgress struct {
	BatchSummary
	ExpectedEnd time.Time `json:"expected_end,omitzero"` // of what is due of it now; zero: nothing is due, or it cannot be estimated
	Missed      int       `json:"missed"`                // of that, what will miss its valid_until at this rate
	At          time.Time `json:"at"`                    // when these were the counts
}

// Count adds one ending. An outcome that does not end a change is ignored.
func (s *BatchSummary) Count(o Outcome) {
	switch o {
	case Applied:
		s.Applied++
	case Superseded:
		s.Superseded++
	case Expired:
		s.Expired++
	case Rejected:
		s.Rejected++
	case Failed:
		s.Failed++
	case Waiting, Reapplied:
	}
}

// Ended returns how many changes of the batch have ended.
func (s *BatchSummary) Ended() int {
	return s.Applied + s.Superseded + s.Expired + s.Rejected + s.Failed
}
