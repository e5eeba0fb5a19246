// Package mapping reads the map of a plan: the YAML file that says how to read a schedule.
package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"idlepolicy/cmd/internal/plan/rows"
	"idlepolicy/config"
	"idlepolicy/messages"
)

// Map says how to read a schedule.
type Map struct {
	Name   string
	Format rows.Format // empty: by content
	Rows   []string    // where the rows are
	Skip   int         // rows behind the header

	Agent, Start, End, Date, Activity, Minutes Field
	Zone                                       Field
	Location                                   *time.Location // nil: each row or each time names its zone
	Zones                                      map[string]*time.Location
	Layouts, DateLayouts                       []string

	Where        []Condition
	AgentPattern *regexp.Regexp // what of the field agent is the ID: its first group
	Agents       Agents
	Activities   map[string]string // activity: flag, or Ignore
	Default      string            // for other activities; Error is one of its values
	After        string            // a flag; empty: leave
	From, Until  Bound
}

// What can stand for a flag in a map.
const (
	Ignore = "ignore"
	Error  = "error"
	Leave  = "leave"
	skip   = "skip"
)

// Field is where a value comes from: the first of several paths that has one. A path that begins with "=" is the value
// itself.
type Field []string

// Condition is a field and the values that it may have in rows that count.
type Condition struct {
	Field  Field
	Values []string
}

// Agents is a CSV file that maps the IDs of the schedule to agent numbers; without File the ID is the number.
type Agents struct {
	File, From, To string
	SkipUnknown    bool // rows of unknown agents are left out, not errors
}

// Problem is one thing in a map that is wrong.
type Problem struct {
	Line    int
	Message string
}

// Problems are all things in a map that are wrong. Their lines are one each.
type Problems []Problem

// Error returns the problems, one per line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = fmt.Sprintf("%d: %s", one.Line, one.Message)
	}
	return strings.Join(lines, "\n")
}

// maxSize is the greatest size of a map, in bytes.
const maxSize = 1 << 20

// reader reads one map and collects what is wrong with it.
type reader struct {
	m        Map
	problems Problems
}

// Parse reads a map. Its error is of type [Problems].
func Parse(text []byte) (*Map, error) {
	r := reader{}
	if len(text) > maxSize {
		return nil, Problems{{1, "the map is larger than 1 MiB: is it the right file?"}}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, Problems{{lineOf(err), "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return nil, Problems{{1, "the map is empty; want at least name, agent, start and end"}}
	}
	root := doc.Content[0]
	r.members(root, "", keysOfMap)
	if root.Kind == yaml.MappingNode {
		r.check(root.Line)
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, r.problems
	}
	return &r.m, nil
}

var lineInError = regexp.MustCompile(`line (\d+)`)

func lineOf(err error) int {
	if m := lineInError.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return max(1, n)
	}
	return 1
}

func (r *reader) fault(line int, format string, a ...any) {
	r.problems = append(r.problems, Problem{max(1, line), fmt.Sprintf(format, a...)})
}

// key reads the value of one key.
type key struct {
	name string
	read func(r *reader, n *yaml.Node)
}

var keysOfMap []key

func init() { //nolint:gochecknoinits // the keys refer to methods that refer to them
	keysOfMap = []key{
		{"name", (*reader).name},
		{"format", (*reader).format},
		{"rows", func(r *reader, n *yaml.Node) { r.m.Rows = r.texts("rows", n) }},
		{"skip", func(r *reader, n *yaml.Node) { r.m.Skip = r.count("skip", n) }},
		{"zone", (*reader).zone},
		{"zones", (*reader).zones},
		{"layout", func(r *reader, n *yaml.Node) { r.m.Layouts = r.layouts("layout", n) }},
		{"date_layout", func(r *reader, n *yaml.Node) { r.m.DateLayouts = r.layouts("date_layout", n) }},
		{"agent", func(r *reader, n *yaml.Node) { r.m.Agent = r.texts("agent", n) }},
		{"agent_pattern", (*reader).agentPattern},
		{"date", func(r *reader, n *yaml.Node) { r.m.Date = r.texts("date", n) }},
		{"start", func(r *reader, n *yaml.Node) { r.m.Start = r.texts("start", n) }},
		{"end", func(r *reader, n *yaml.Node) { r.m.End = r.texts("end", n) }},
		{"minutes", func(r *reader, n *yaml.Node) { r.m.Minutes = r.texts("minutes", n) }},
		{"activity", func(r *reader, n *yaml.Node) { r.m.Activity = r.texts("activity", n) }},
		{"where", (*reader).where},
		{"agents", func(r *reader, n *yaml.Node) { r.members(n, "agents.", keysOfAgents) }},
		{"activities", (*reader).activities},
		{"after", func(r *reader, n *yaml.Node) { r.m.After = r.flag("after", n, Leave) }},
		{"from", func(r *reader, n *yaml.Node) { r.m.From = r.bound("from", n) }},
		{"until", func(r *reader, n *yaml.Node) { r.m.Until = r.bound("until", n) }},
	}
}

var keysOfAgents = []key{
	{"file", func(r *reader, n *yaml.Node) { r.m.Agents.File = r.text("agents.file", n) }},
	{"from", func(r *reader, n *yaml.Node) { r.m.Agents.From = r.text("agents.from", n) }},
	{"to", func(r *reader, n *yaml.Node) { r.m.Agents.To = r.text("agents.to", n) }},
	{"unknown", func(r *reader, n *yaml.Node) {
		switch v := r.text("agents.unknown", n); v {
		case skip, Error:
			r.m.Agents.SkipUnknown = v == skip
		default:
			r.fault(n.Line, "agents.unknown: %q; want error or skip", v)
		}
	}},
}

// members reads the keys of a mapping.
func (r *reader) members(n *yaml.Node, path string, keys []key) {
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, "%s: want keys with values", cmpOr(strings.TrimSuffix(path, "."), "the map"))
		return
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := slices.Index(names, name.Value)
		switch {
		case at < 0:
			r.unknown(name, path, names)
		case seen[name.Value]:
			r.fault(name.Line, "%s%s: given twice", path, name.Value)
		default:
			keys[at].read(r, value)
		}
		seen[name.Value] = true
	}
}

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (r *reader) unknown(name *yaml.Node, path string, names []string) {
	if near := config.Nearest(strings.ToLower(name.Value), names); near != "" {
		r.fault(name.Line, "%s%.40s: unknown; did you mean %s?", path, name.Value, near)
		return
	}
	r.fault(name.Line, "%s%.40s: unknown; want %s", path, name.Value, strings.Join(names, ", "))
}

// text returns a single value as it is written, whatever YAML takes it for.
func (r *reader) text(name string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		r.fault(n.Line, "%s: want a single value", name)
		return ""
	}
	return n.Value
}

// texts returns one value or a list of them.
func (r *reader) texts(name string, n *yaml.Node) []string {
	if n.Kind != yaml.SequenceNode {
		if s := r.text(name, n); s != "" {
			return []string{s}
		}
		return nil
	}
	var all []string
	for _, one := range n.Content {
		if s := r.text(name, one); s != "" {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		r.fault(n.Line, "%s: an empty list; want at least one value", name)
	}
	return all
}

func (r *reader) count(name string, n *yaml.Node) int {
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < 0 || v > 1000 {
		r.fault(n.Line, "%s: %.40q; want a number from 0 to 1000", name, n.Value)
	}
	return v
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

func (r *reader) name(n *yaml.Node) {
	if r.m.Name = r.text("name", n); r.m.Name != "" && !validName.MatchString(r.m.Name) {
		r.fault(n.Line, "name: %.40q; want 1 to 40 letters, digits, - and _", r.m.Name)
	}
}

func (r *reader) format(n *yaml.Node) {
	r.m.Format = rows.Format(r.text("format", n))
	if r.m.Format != "" && !slices.Contains(rows.Formats, r.m.Format) {
		r.fault(n.Line, "format: %.40q; want csv, xlsx, json, ndjson, xml or ics", r.m.Format)
	}
}

func (r *reader) agentPattern(n *yaml.Node) {
	p, err := regexp.Compile(r.text("agent_pattern", n))
	if err != nil || p.NumSubexp() != 1 {
		r.fault(n.Line, "agent_pattern: %.60q; want a regular expression with one group, which is the agent's ID", n.Value)
		return
	}
	r.m.AgentPattern = p
}

func (r *reader) where(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, "where: want fields with the values that they must have")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		r.m.Where = append(r.m.Where, Condition{Field{name}, r.texts("where."+name, n.Content[i+1])})
	}
}

func (r *reader) activities(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fault(n.Line, "activities: want each activity with true, false, another flag or ignore")
		return
	}
	r.m.Activities = map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Value == "default" {
			r.m.Default = r.flag("activities.default", value, Ignore, Error)
			continue
		}
		if _, twice := r.m.Activities[name.Value]; twice {
			r.fault(name.Line, "activities.%.40s: given twice", name.Value)
		}
		r.m.Activities[name.Value] = r.flag("activities."+name.Value, value, Ignore)
	}
}

// flag returns a flag, or one of the other words that may stand for one; "leave" is "".
func (r *reader) flag(name string, n *yaml.Node, words ...string) string {
	v := r.text(name, n)
	if v == "" {
		return ""
	}
	if slices.Contains(words, v) {
		if v == Leave {
			return ""
		}
		return v
	}
	m := messages.Decode(fmt.Appendf(nil, `{"agent_id":"1001","flag":%s}`, strconv.Quote(v)), "x")
	for _, bad := range m.Rejected {
		r.fault(n.Line, "%s: %s; or %s", name, strings.TrimPrefix(bad.Message, "flag: "), strings.Join(words, ", "))
	}
	return v
}

// check looks at what belongs together.
func (r *reader) check(line int) {
	m := &r.m
	for _, needed := range []struct {
		name string
		has  bool
	}{{"name", m.Name != ""}, {"agent", m.Agent != nil}, {"start", m.Start != nil}} {
		if !needed.has && !r.said(needed.name) {
			r.fault(line, "%s: missing", needed.name)
		}
	}
	if m.End == nil && m.Minutes == nil && !r.said("end") && !r.said("minutes") {
		r.fault(line, "end: missing; want it, or minutes for the length")
	}
	if m.End != nil && m.Minutes != nil {
		r.fault(line, "end and minutes: given together; want one of them")
	}
	if m.Activity == nil && m.Activities != nil && !r.said("activity") {
		r.fault(line, "activity: missing; want the field, or \"=Shift\" if all rows have the same one")
	}
	if m.Activities == nil && !r.said("activities") {
		r.fault(line, "activities: missing; want each activity with true, false, another flag or ignore")
	}
	if a := m.Agents; a != (Agents{}) && (a.File == "" || a.From == "" || a.To == "") {
		r.fault(line, "agents: want file, from and to")
	}
}

// said reports whether a key is known to be wrong already.
func (r *reader) said(name string) bool {
	return slices.ContainsFunc(r.problems, func(p Problem) bool {
		return strings.HasPrefix(p.Message, name+":") || strings.Contains(p.Message, "did you mean "+name+"?")
	})
}

// Keys returns all keys of a map, sorted; those below another one as agents.file.
func Keys() []string {
	var names []string
	for _, k := range keysOfMap {
		names = append(names, k.name)
	}
	for _, k := range keysOfAgents {
		names = append(names, "agents."+k.name)
	}
	slices.Sort(names)
	return names
}
