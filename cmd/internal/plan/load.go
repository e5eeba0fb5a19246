package plan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"idlepolicy/cmd/internal/plan/mapping"
	"idlepolicy/cmd/internal/plan/rows"
	"idlepolicy/messages"
)

// LoadMap reads a map and the file of agents that it names. What is wrong with either is in problems, with the name of the
// file in front.
func LoadMap(name string) (m *mapping.Map, agents map[string]string, problems []string, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, nil, explainFile(name, err)
	}
	m, err = mapping.Parse(text)
	if wrong, ok := errors.AsType[mapping.Problems](err); ok {
		for _, p := range wrong {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", name, p.Line, p.Message))
		}
		return nil, nil, problems, nil
	}
	if err != nil || m.Agents.File == "" {
		return m, nil, nil, err
	}
	file := m.Agents.File
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(name), file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, nil, explainFile(file, err)
	}
	defer f.Close()
	agents, problems, err = readAgents(f, file, m.Agents)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, agents, problems, nil
}

func explainFile(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no file %s", name)
	}
	if opening, ok := errors.AsType[*fs.PathError](err); ok { // it says the name again
		err = opening.Err
	}
	return fmt.Errorf("%s cannot be read: %w", name, err)
}

// readAgents reads the table of agents: the ID of the schedule and the agent number.
func readAgents(r io.Reader, name string, a mapping.Agents) (map[string]string, []string, error) {
	agents := map[string]string{}
	var problems []string
	spec := rows.Spec{Format: rows.CSV, Fields: []string{a.From, a.To}}
	_, err := rows.Read(r, spec, func(row rows.Row) error {
		id, agent := row.Values[0].Text, row.Values[1].Text
		switch before, known := agents[id]; {
		case id == "":
			problems = append(problems, fmt.Sprintf("%s: %s: %s: missing", name, row.Place, a.From))
		case !messages.ValidAgentID(agent):
			problems = append(problems, fmt.Sprintf("%s: %s: %s: %.40q names no agent; want 101 to 999999", name, row.Place, a.To, agent))
		case known && before != agent:
			problems = append(problems, fmt.Sprintf("%s: %s: %s: %.40q is agent %s further up and agent %s here", name, row.Place, a.From, id, before, agent))
		default:
			agents[id] = agent
		}
		return nil
	})
	return agents, problems, err
}

// ReadFile reads a schedule from a file, or from stdin if its name is "-".
func ReadFile(name string, stdin io.Reader, m *mapping.Map, agents map[string]string, now time.Time) (*Plan, error) {
	r := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, explainFile(name, err)
		}
		defer f.Close()
		r = f
	}
	p, err := Read(r, name, m, agents, now)
	if err != nil {
		return nil, explainFileAs(name, err)
	}
	return p, nil
}

func explainFileAs(name string, err error) error {
	if opening, ok := errors.AsType[*fs.PathError](err); ok {
		err = opening.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}
