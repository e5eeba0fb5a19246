package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"idlepolicy/cmd/internal/sheet"
	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/deploy/samples"
	"idlepolicy/messages"
)

// plan is the file and what is to become of it.
type plan struct {
	*sheet.Sheet
	sample bool
	prefix string // of the IDs of its messages
}

// sampleBatch is the batch that the sample is published as.
const sampleBatch = "late-shift"

// readPlan reads and checks the whole file, and names every problem in it.
func readPlan(file string, stdin io.Reader, stderr io.Writer) (plan, error) {
	p := plan{sample: file == ""}
	var err error
	if p.sample {
		p.Sheet, err = sheet.Read(samples.LateShiftFile, sheet.CSV, bytes.Clone(samples.LateShift), sheet.Stamp{Batch: sampleBatch})
	} else {
		p.Sheet, err = sheet.Load(file, "", stdin, sheet.Stamp{})
	}
	if err != nil {
		return p, err
	}
	for _, problem := range p.Problems {
		fmt.Fprintln(stderr, terminal.CleanLines(problem.In(p.Name)))
	}
	if n := len(p.Problems); n > 0 {
		return p, fmt.Errorf("%s in %s: nothing was published", terminal.Plural(n, "fault"), p.Name)
	}
	p.prefix = strings.TrimSuffix(filepath.Base(p.Name), filepath.Ext(p.Name))
	if !messages.ValidID(p.prefix) || len(p.prefix) > 100 {
		p.prefix = "demo"
	}
	return p, nil
}

// agents are those of somebody's own file, in its order.
func (p *plan) agents() []string {
	if p.sample {
		return nil
	}
	var ids []string
	seen := map[string]bool{}
	for _, m := range p.Messages {
		for _, id := range m.Agents {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// place tells any two changes apart.
type place struct {
	seq   uint64
	index int
}

// awaited is a change that is to end.
type awaited struct {
	agent, id string
	at        time.Time // its effective_at, if it is so late that nobody wants to wait for it
}

// notNow is how far off a change may be for the demonstration to wait for it.
const notNow = 30 * time.Second

// changes are those of one message, stored under a sequence.
func (p *plan) changes(i int, seq uint64, now time.Time, add func(place, awaited)) {
	m := p.Messages[i]
	for _, c := range messages.Decode(m.Body, m.ID(p.prefix)).Changes {
		if c.Cancel {
			continue
		}
		a := awaited{agent: c.AgentID, id: c.ID}
		if c.EffectiveAt.Sub(now) > notNow {
			a.at = c.EffectiveAt
		}
		add(place{seq, c.Index}, a)
	}
}
