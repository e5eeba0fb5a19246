package messages

import (
	"cmp"
	"strconv"
)

// item has the fields of one item, with the defaults of its message.
type item struct {
	change  Change
	flagged bool           // a flag is given, whatever it is
	wrong   [fields]string // why a field cannot be used; an item that overrides a wrong default clears it
	shape   string         // why the item as a whole cannot be used
}

// take sets the fields that an object has.
func (it *item) take(o *object) {
	for f, raw := range o {
		if raw != nil {
			it.set(field(f), raw)
		}
	}
}

// set reads one field.
func (it *item) set(f field, raw []byte) {
	c, wrong := &it.change, &it.wrong[f]
	switch f {
	case agentID:
		c.AgentID, *wrong = readAgentID(raw)
	case agentIDs, changes: // these hold items and say nothing themselves
	case cancel:
		c.Cancel, *wrong = readCancel(raw)
	case flag:
		it.flagged = true
		c.Flag, *wrong = readFlag(raw)
	case id:
		// A rejected item still needs a name, so an unusable id leaves the one of the message.
		var name string
		if name, *wrong = readID(raw); *wrong == "" {
			c.ID = name
		}
	case batchID:
		c.BatchID, *wrong = readBatchID(raw)
	case batchTotal:
		c.BatchTotal, *wrong = readBatchTotal(raw)
	case effectiveAt:
		c.EffectiveAt, *wrong = readTime(f, raw)
	case validUntil:
		c.ValidUntil, *wrong = readTime(f, raw)
	case reason:
		c.Reason, *wrong = readNote(f, raw)
	case source:
		c.Source, *wrong = readNote(f, raw)
	}
}

// override reads an item of a list over the defaults of its message, and reports whether it names an id of its own.
func (it *item) override(list string, value []byte) (ownID bool) {
	if value[0] != '{' {
		it.shape = list + ": the item " + shown(value) + " " + cmp.Or(encodedTwice(value), `is not an object; want for example {"agent_id": "1001"}`)
		return false
	}
	var o object
	o.scan(value)
	for f := agentIDs; f <= changes; f++ {
		if o[f] != nil && it.shape == "" {
			it.shape = fieldNames[f] + ": not possible in an item; it names one agent_id"
		}
	}
	it.take(&o)
	return o[id] != nil
}

// number makes the default id of an agent's n-th change unique.
func (it *item) number(n int) {
	suffix := "." + strconv.Itoa(n)
	if name := it.change.ID + suffix; ValidID(name) {
		it.change.ID = name
	} else if it.wrong[id] == "" {
		it.wrong[id] = "id: too long to get " + suffix + " appended for the agent's next change; want an id for each item"
	}
}

// problem returns the first thing that makes the item unusable. Whether its id was given or is the default matters
// to a cancel only, which must say what it withdraws.
func (it *item) problem(explicitID bool) string {
	c := &it.change
	if it.shape != "" {
		return it.shape
	}
	if c.BatchID == "" {
		c.BatchTotal, it.wrong[batchTotal] = 0, "" // without a batch it means nothing
	}
	missing := func(f field, wrong string) {
		if it.wrong[f] == "" {
			it.wrong[f] = wrong
		}
	}
	if c.AgentID == "" {
		missing(agentID, "agent_id: missing; want 101 to 999999")
	}
	switch {
	case c.Cancel:
		it.wrong[flag] = ""
		if !explicitID {
			missing(id, "id: missing; a cancel needs the id of the change that it withdraws")
		}
	case !it.flagged:
		missing(flag, `flag: missing; want "true" for idle or "false" for wrap-up`)
	}
	if !c.EffectiveAt.IsZero() && !c.ValidUntil.IsZero() && !c.ValidUntil.After(c.EffectiveAt) {
		missing(validUntil, "valid_until: not after effective_at; want a later instant")
	}
	for _, wrong := range it.wrong {
		if wrong != "" {
			return wrong
		}
	}
	return ""
}
