package gatewaytest

import (
	"net/http"
	"time"
)

// Call is one request that the gateway saw.
type Call struct {
	At        time.Time // it arrived
	Done      time.Time // the gateway was through with it; zero: it is under way
	AgentID   string    // as in the path; empty where the path is that of no call
	Flag      string
	GUID      string
	Method    string
	Path      string
	Proto     string
	Length    int64       // of the body; -1: not said
	Header    http.Header // Guid, Cookie, Content-Type, Traceparent, Tracestate; shared, so only to be read
	Applied   bool        // it set the agent's flag
	AppliedAt time.Time
	Status    int    // of the answer; 0: none
	Retcode   string // of the answer, be it damaged; empty: none
	Fault     string // what was made to go wrong: the name of a Fault or an Outage, or one of the constants above
}

// Calls returns a copy of the record of all calls, in the order in which they arrived.
func (g *Gateway) Calls() Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make(Record, 0, g.record.kept())
	for _, chunk := range g.record.chunks {
		all = append(all, chunk...)
	}
	return all
}

// CallsOf returns a copy of the record of one agent's calls.
func (g *Gateway) CallsOf(agentID string) Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	var own Record
	for _, chunk := range g.record.chunks {
		for i := range chunk {
			if chunk[i].AgentID == agentID {
				own = append(own, chunk[i])
			}
		}
	}
	return own
}

// NumCalls returns how many calls arrived so far, or since the last Reset.
func (g *Gateway) NumCalls() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.record.summary.Calls
}

// Reset forgets all calls and starts a new summary. Sessions, flags and rules stay.
func (g *Gateway) Reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.record = newRecord(g.options.ForgetCalls) // calls under way finish in the old one
}

// chunkSize calls are kept together. A slice that grew would have to be copied, again and again, with the lock held.
const chunkSize = 1024

// record is guarded by the gateway's lock.
type record struct {
	forget  bool
	chunks  [][]Call
	summary Summary
	second  lastSecond
}

func newRecord(forget bool) *record {
	return &record{forget: forget, summary: Summary{
		Statuses: map[int]int{}, Retcodes: map[string]int{}, Faults: map[string]int{},
	}}
}

func (r *record) kept() int {
	if len(r.chunks) == 0 {
		return 0
	}
	return (len(r.chunks)-1)*chunkSize + len(r.chunks[len(r.chunks)-1])
}

// add makes room for a call. Its place never moves, so whoever holds the lock may keep filling it in.
func (r *record) add(now time.Time) *Call {
	r.count(now)
	if r.forget {
		return &Call{At: now}
	}
	if r.kept()%chunkSize == 0 {
		r.chunks = append(r.chunks, make([]Call, 0, chunkSize))
	}
	last := &r.chunks[len(r.chunks)-1]
	*last = append(*last, Call{At: now})
	return &(*last)[len(*last)-1]
}
