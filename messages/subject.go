package messages

import (
	"errors"
	"strings"
)

// Names are the subjects, streams and buckets of one prefix, which is one site.
type Names struct {
	Prefix string // as in IDLE_PREFIX, for example "idlepolicy"
}

// CheckPrefix returns why a prefix cannot be used, or nil.
func CheckPrefix(prefix string) error {
	if len(prefix) == 0 || len(prefix) > 32 {
		return errors.New("want 1 to 32 characters")
	}
	for i := range len(prefix) {
		c := prefix[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return errors.New("want a-z, 0-9, -, _ and single dots inside only")
		}
	}
	if prefix[0] == '.' || prefix[len(prefix)-1] == '.' || strings.Contains(prefix, "..") {
		return errors.New("want single dots, and none at the ends")
	}
	return nil
}

// PrefixOf returns the prefix of the site that a stream's subject belongs to, as far as it looks like one of ours.
func PrefixOf(subject string) (prefix string, ok bool) {
	rest := strings.TrimSuffix(subject, ".>")
	i := strings.LastIndexByte(rest, '.')
	if i < 0 || CheckPrefix(rest[:i]) != nil {
		return "", false
	}
	n := Names{Prefix: rest[:i]}
	switch subject {
	case n.Changes(), n.ChangesAll(), n.ResultsAll(), n.BatchAll(), n.DeadAll():
		return n.Prefix, true
	}
	return "", false
}

// Changes is the subject that change messages are published to.
func (n Names) Changes() string { return n.Prefix + ".changes" }

// ChangesAll matches the subjects below Changes, which publishers may use as they like.
func (n Names) ChangesAll() string { return n.Prefix + ".changes.>" }

// Result is the subject of an agent's results of one outcome. Either can be a wildcard.
func (n Names) Result(o Outcome, agent string) string {
	return n.Prefix + ".result." + string(o) + "." + agent
}

// AgentResults matches all results of an agent.
func (n Names) AgentResults(agent string) string { return n.Prefix + ".result.*." + agent }

// ResultsAll matches all results.
func (n Names) ResultsAll() string { return n.Prefix + ".result.>" }

// ParseResultSubject returns what the subject of a result says: the opposite of Result.
func (n Names) ParseResultSubject(subject string) (o Outcome, agent string, ok bool) {
	rest, ok := strings.CutPrefix(subject, n.Prefix)
	if !ok {
		return "", "", false
	}
	if rest, ok = strings.CutPrefix(rest, ".result."); !ok {
		return "", "", false
	}
	name, agent, _ := strings.Cut(rest, ".")
	if agent != UnknownAgent && !ValidAgentID(agent) {
		return "", "", false
	}
	for _, o := range outcomes {
		if string(o) == name {
			return o, agent, true
		}
	}
	return "", "", false
}

// Batch is the subject of a batch's summary.
func (n Names) Batch(id string) string { return n.Prefix + ".batch." + id }

// BatchProgress is the subject of reports on how far a batch is.
func (n Names) BatchProgress(id string) string { return n.Prefix + ".batch." + id + ".progress" }

// BatchAll matches all summaries and progress of batches.
func (n Names) BatchAll() string { return n.Prefix + ".batch.>" }

// Dead is the subject of an agent's dead letters.
func (n Names) Dead(agent string) string { return n.Prefix + ".dead." + agent }

// DeadAll matches all dead letters.
func (n Names) DeadAll() string { return n.Prefix + ".dead.>" }

// ChangesStream holds the messages that are unfinished.
func (n Names) ChangesStream() string { return n.stream("CHANGES") }

// ResultsStream holds results, and the summaries and progress of batches.
func (n Names) ResultsStream() string { return n.stream("RESULTS") }

// DeadStream holds the dead letters.
func (n Names) DeadStream() string { return n.stream("DEAD") }

// SessionsBucket holds the agents' sessions: credentials.
func (n Names) SessionsBucket() string { return n.bucket("sessions") }

// AppliedBucket holds what is in force.
func (n Names) AppliedBucket() string { return n.bucket("applied") }

// ControlBucket holds what workers leave for each other: the pause, the rate and a clean stop.
func (n Names) ControlBucket() string { return n.bucket("control") }

// PlansBucket holds what idlectl plan has applied.
func (n Names) PlansBucket() string { return n.bucket("plans") }

// Streams and buckets are named alike, but cannot have the dots of subjects.
var plain = strings.NewReplacer(".", "_", "-", "_")

func (n Names) bucket(what string) string { return plain.Replace(n.Prefix) + "_" + what }

func (n Names) stream(what string) string {
	return strings.ToUpper(plain.Replace(n.Prefix)) + "_" + what
}
