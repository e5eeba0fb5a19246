// Package plan turns a schedule into changes: it reads the file as a map says, overlays the intervals of each agent,
// compares the steps with what was applied before, and applies the difference.
package plan

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"idlepolicy/cmd/internal/plan/clock"
	"idlepolicy/cmd/internal/plan/mapping"
	"idlepolicy/cmd/internal/plan/rows"
	"idlepolicy/cmd/internal/plan/steps"
	"idlepolicy/messages"
)

// Plan is what a schedule wants.
type Plan struct {
	Name        string
	Agents      map[string][]steps.Step // by agent number, in order of time
	From, Until int64                   // the horizon, in seconds since 1970
	Counts      Counts
	Problems    []Problem // if there are any, nothing can be published
	Notes       []Problem // what was decided about a row that can be used
	more        int       // problems that are not in Problems
	last        int64     // when the last interval ends
}

// IsOver reports whether everything in the schedule has passed, so that it is probably an old file.
func (p *Plan) IsOver(now time.Time) bool { return p.Counts.Steps > 0 && p.last <= now.Unix() }

// Counts says what became of the rows of a file.
type Counts struct {
	Rows              int `json:"rows"`
	Intervals         int `json:"intervals"`
	Agents            int `json:"agents"`
	Steps             int `json:"steps"`
	Passed            int `json:"passed"`             // steps that have ended
	Ignored           int `json:"ignored"`            // of an activity that the map ignores
	Filtered          int `json:"filtered"`           // left out by where
	Empty             int `json:"empty"`              // of no length
	UnknownAgents     int `json:"unknown_agents"`     // rows
	UnknownActivities int `json:"unknown_activities"` // rows
	Skipped           int `json:"skipped_times"`      // times that do not exist where clocks change
	Twice             int `json:"repeated_times"`     // times that exist twice
}

// Problem is one thing in a file, with its place.
type Problem struct {
	Place   string `json:"place"` // such as "line 17"; empty: the file as a whole
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// In returns the problem in one line with the name of the file.
func (p Problem) In(name string) string {
	s := name + ": "
	if p.Place != "" {
		s += p.Place + ": "
	}
	if p.Field != "" {
		s += p.Field + ": "
	}
	return s + p.Message
}

// Faults returns how many problems there are, also those beyond what is kept.
func (p *Plan) Faults() int { return len(p.Problems) + p.more }

const (
	maxProblems = 100_000
	maxNotes    = 1000
	maxRows     = 20_000_000
)

// builder reads the rows of one file.
type builder struct {
	m         *mapping.Map
	plan      *Plan
	agents    map[string]string // the ID of the schedule: the agent number; nil: they are the same
	fields    []string
	index     map[string]int
	times     clock.Parser
	dates     clock.Parser
	zones     map[string]*time.Location
	interned  map[string]string
	intervals map[string][]steps.Interval
}

// Read reads a schedule. Agents maps the IDs in it to agent numbers, nil if they are the same. Its error is about the file
// as a whole; what is wrong with single rows is in the plan's Problems.
func Read(r io.Reader, name string, m *mapping.Map, agents map[string]string, now time.Time) (*Plan, error) {
	b := &builder{
		m: m, plan: &Plan{Name: m.Name, From: math.MinInt64, Until: math.MaxInt64}, agents: agents, index: map[string]int{},
		times: clock.Parser{Layouts: m.Layouts}, dates: clock.Parser{Layouts: m.DateLayouts},
		zones: map[string]*time.Location{}, interned: map[string]string{}, intervals: map[string][]steps.Interval{},
	}
	for _, f := range []mapping.Field{m.Agent, m.Date, m.Start, m.End, m.Minutes, m.Activity, m.Zone} {
		b.want(f)
	}
	for _, c := range m.Where {
		b.want(c.Field)
	}
	spec := rows.Spec{Format: m.Format, Name: name, Rows: m.Rows, Skip: m.Skip, Fields: b.fields}
	if !m.From.IsZero() {
		b.plan.From = m.From.At(now, m.Location).Unix()
	}
	if !m.Until.IsZero() {
		spec.Until = m.Until.At(now, m.Location)
		b.plan.Until = spec.Until.Unix()
	}
	if b.plan.From >= b.plan.Until {
		return nil, errors.New("until: not after from; want a later instant")
	}
	if _, err := rows.Read(r, spec, b.row); err != nil {
		return nil, err
	}
	if b.plan.Counts.Rows == 0 {
		return nil, b.noRows()
	}
	b.overlay(now.Unix())
	if b.plan.Counts.Intervals == 0 && b.plan.Faults() == 0 {
		return nil, fmt.Errorf("none of the %d rows counts (%s): a schedule without any shift would withdraw everything, which is not done",
			b.plan.Counts.Rows, b.plan.Counts.leftOut())
	}
	return b.plan, nil
}

func (b *builder) noRows() error {
	if len(b.m.Rows) > 0 {
		return fmt.Errorf("the file has no rows at %q: an export without rows would withdraw everything, which is not done", b.m.Rows)
	}
	return errors.New("the file has no rows: an export without rows would withdraw everything, which is not done")
}

func (c Counts) leftOut() string {
	return fmt.Sprintf("%d ignored by activity, %d by where, %d of no length, %d of unknown agents", c.Ignored, c.Filtered, c.Empty, c.UnknownAgents)
}

func (b *builder) want(f mapping.Field) {
	for _, path := range f {
		if _, known := b.index[path]; !known && path[0] != '=' {
			b.index[path] = len(b.fields)
			b.fields = append(b.fields, path)
		}
	}
}

// value returns the first value that a field has in a row.
func (b *builder) value(f mapping.Field, r rows.Row) rows.Value {
	for _, path := range f {
		if path[0] == '=' {
			return rows.Value{Text: path[1:]}
		}
		if v := r.Values[b.index[path]]; v.Text != "" {
			return v
		}
	}
	return rows.Value{}
}

func (b *builder) problem(r rows.Row, f mapping.Field, message string) {
	if len(b.plan.Problems) >= maxProblems {
		b.plan.more++
		return
	}
	b.plan.Problems = append(b.plan.Problems, Problem{r.Place, nameOf(f), message})
}

func nameOf(f mapping.Field) string {
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

// row is called for each row. What is wrong with it is noted, so that every row is looked at.
func (b *builder) row(r rows.Row) error {
	c := &b.plan.Counts
	if c.Rows++; c.Rows > maxRows {
		return fmt.Errorf("the file has more than %d rows: is it the right file?", maxRows)
	}
	for _, w := range b.m.Where {
		if !slices.Contains(w.Values, b.value(w.Field, r).Text) {
			c.Filtered++
			return nil
		}
	}
	flag, activity, ok := b.flagOf(r)
	if !ok {
		return nil
	}
	agent, ok := b.agentOf(r)
	if !ok {
		return nil
	}
	start, end, ok := b.timesOf(r)
	if !ok {
		return nil
	}
	c.Intervals++
	b.intervals[agent] = append(b.intervals[agent], steps.Interval{Start: start, End: end, Flag: flag, Activity: activity})
	return nil
}

func (b *builder) flagOf(r rows.Row) (flag, activity string, ok bool) {
	activity = b.intern(b.value(b.m.Activity, r).Text)
	flag, known := b.m.Activities[activity]
	if !known {
		b.plan.Counts.UnknownActivities++
		flag = b.m.Default
	}
	switch flag {
	case mapping.Ignore:
		b.plan.Counts.Ignored++
		return "", "", false
	case "", mapping.Error:
		message := fmt.Sprintf("%.40q is not among the activities of the map", activity)
		if activity == "" {
			message = "missing"
		}
		b.problem(r, b.m.Activity, message)
		return "", "", false
	}
	return flag, activity, true
}

// intern returns one copy of a text that comes again and again.
func (b *builder) intern(s string) string {
	if known, ok := b.interned[s]; ok {
		return known
	}
	if len(b.interned) < 100_000 {
		s = string(append([]byte(nil), s...))
		b.interned[s] = s
	}
	return s
}

func (b *builder) agentOf(r rows.Row) (agent string, ok bool) {
	id := b.value(b.m.Agent, r).Text
	if b.m.AgentPattern != nil && id != "" {
		match := b.m.AgentPattern.FindStringSubmatch(id)
		if match == nil {
			b.problem(r, b.m.Agent, fmt.Sprintf("%.60q does not match agent_pattern", id))
			return "", false
		}
		id = match[1]
	}
	switch {
	case id == "":
		b.problem(r, b.m.Agent, "missing")
		return "", false
	case b.agents != nil:
		agent, ok = b.agents[id]
		if !ok {
			b.plan.Counts.UnknownAgents++
			if !b.m.Agents.SkipUnknown {
				b.problem(r, b.m.Agent, fmt.Sprintf("%.40q is not in the file of agents", id))
			}
		}
		return agent, ok
	case messages.ValidAgentID(id):
		return b.intern(id), true
	case b.m.Agents.SkipUnknown:
		b.plan.Counts.UnknownAgents++
		return "", false
	}
	b.plan.Counts.UnknownAgents++
	b.problem(r, b.m.Agent, fmt.Sprintf("%.40q names no agent; want 101 to 999999, or agents in the map", id))
	return "", false
}

// overlay turns the intervals of each agent into steps.
func (b *builder) overlay(now int64) {
	b.plan.Agents = make(map[string][]steps.Step, len(b.intervals))
	for agent, intervals := range b.intervals {
		b.plan.Agents[agent] = steps.Overlay(intervals, b.m.After)
		b.plan.Counts.Steps += len(b.plan.Agents[agent])
		for _, s := range b.plan.Agents[agent] {
			if s.End <= now {
				b.plan.Counts.Passed++
			}
			if s.End != steps.Open {
				b.plan.last = max(b.plan.last, s.End)
			}
		}
		delete(b.intervals, agent)
	}
	b.plan.Counts.Agents = len(b.plan.Agents)
}
