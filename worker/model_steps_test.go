package worker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"idlepolicy/worker/ledger"
)

// step is one thing that happens at a site.
type step struct {
	name string
	do   func(w *world)
}

var steps = slices.Concat(changesOfAgents(), changesOfMany(), sessionSteps(), gatewaySteps(), workerSteps())

// changesOfAgents are messages with one change.
func changesOfAgents() []step {
	var all []step
	for _, agent := range agents {
		add := func(name string, body func(w *world) string) {
			all = append(all, step{agent + ": " + name, func(w *world) { w.publishes(body(w), w.messageID(), false) }})
		}
		add("now", func(w *world) string { return wish(agent, w.flag(), w.name(agent)) })
		add("now, soon pointless", func(w *world) string {
			return wish(agent, w.flag(), w.name(agent)+until(700*time.Millisecond))
		})
		add("now, pointless already", func(w *world) string { return wish(agent, w.flag(), w.name(agent)+until(-time.Hour)) })
		for _, in := range []time.Duration{20 * time.Millisecond, 3 * time.Second, 10 * time.Minute} {
			add(fmt.Sprint("in ", in), func(w *world) string { return wish(agent, w.flag(), w.name(agent)+effective(in)) })
			add(fmt.Sprint("x in ", in), func(w *world) string { return wish(agent, w.flag(), `,"id":"x"`+effective(in)) })
		}
		add("x now", func(w *world) string { return wish(agent, w.flag(), `,"id":"x"`) })
		add("in 1s, soon pointless", func(w *world) string {
			return wish(agent, w.flag(), w.name(agent)+effective(time.Second)+until(1200*time.Millisecond))
		})
		add("cancel x", func(*world) string { return `{"cancel":true,"id":"x","agent_id":"` + agent + `"}` })
		add("cancel the last", func(w *world) string {
			return fmt.Sprintf(`{"cancel":true,"id":"c%d","agent_id":"%s"}`, w.named[agent], agent)
		})
		add("unusable", func(*world) string { return `{"flag":"yes","agent_id":"` + agent + `"}` })
	}
	return all
}

// changesOfMany are messages with several changes, or that belong together, or that come again.
func changesOfMany() []step {
	add := func(name string, body func(w *world) string) step {
		return step{name, func(w *world) { w.publishes(body(w), w.messageID(), false) }}
	}
	return []step{
		add("all three", func(w *world) string {
			return fmt.Sprintf(`{"agent_ids":["1001","1002","1003"],"flag":"%s"}`, w.flag())
		}),
		add("all three, in 2s", func(w *world) string {
			return fmt.Sprintf(`{"agent_ids":["1001","1002","1003"],"flag":"%s"%s}`, w.flag(), effective(2*time.Second))
		}),
		add("batch", func(w *world) string { return w.batch(`,"batch_id":"one"`) }),
		add("batch, in 1s", func(w *world) string { return w.batch(`,"batch_id":"one"` + effective(time.Second)) }),
		add("batch, soon pointless", func(w *world) string { return w.batch(`,"batch_id":"two"` + until(900*time.Millisecond)) }),
		{"batch over several messages", (*world).publishRest},
		{"batch over several messages, next", (*world).publishRest},
		{"the last message comes again", func(w *world) { w.repeat(1) }},
		{"the last message but one comes again", func(w *world) { w.repeat(2) }},
		add("many of one agent, and one that cannot be used", (*world).manyOfOne),
		{"nonsense", func(w *world) { w.publishes("{", w.messageID(), false) }},
	}
}

func (w *world) batch(more string) string {
	return fmt.Sprintf(`{"changes":[{"agent_id":"1001","flag":"%s"},{"agent_id":"1002","flag":"%s"},{"agent_id":"1002","flag":"%s"},
		{"agent_id":"7","flag":"f"},{"agent_id":"1003","flag":"%s"}]%s}`, w.flag(), w.flag(), w.flag(), w.flag(), more)
}

func (w *world) manyOfOne() string {
	var items []string
	w.crowds++
	for range 2 * maxOvertaken / w.crowds { // the checks take the square
		items = append(items, `{"agent_id":1001,"flag":"`+w.flag()+`"}`)
	}
	return `{"changes":[` + strings.Join(append(items, unusable), ",") + `]}`
}

// publishRest publishes the next message of a batch over several messages, or the first of another one.
func (w *world) publishRest() {
	if len(w.left) == 0 {
		w.many++
		total, rest := 4, `["1002","1003"]`
		if w.many%3 == 0 {
			total, rest = 2, `["1002","1003","1001"]` // goes beyond the total
		}
		b := fmt.Sprintf(`,"batch_id":"many","batch_total":%d`, total)
		w.left = []string{wish("1001", w.flag(), b), fmt.Sprintf(`{"agent_ids":%s,"flag":"%s"%s}`, rest, w.flag(), b)}
		if total == 4 {
			w.left = append(w.left, wish("1003", "yes", b))
		}
	}
	body := w.left[0]
	w.left = w.left[1:]
	w.publishes(body, w.messageID(), false)
}

// repeat has a message come again, if the server has forgotten its ID: that of a message which it still holds it knows.
func (w *world) repeat(back int) {
	if len(w.sent) < back {
		return
	}
	m := w.sent[len(w.sent)-back]
	held := slices.ContainsFunc(w.held(), func(d Delivery) bool { return d.Seq == m.seq })
	if held || m.cancel || m.again || time.Since(m.stored) > ledger.SameMessage {
		return
	}
	w.pass(time.Nanosecond) // no two messages are stored at the same instant
	w.publishes(m.body, m.id, true)
}

func (w *world) messageID() string { return fmt.Sprint("m", len(w.sent)) }

// flag returns a flag that no other change has, so that calls tell which change they are for.
func (w *world) flag() string {
	w.flags++
	return "f" + strconv.FormatInt(int64(w.flags), 36)
}

func (w *world) name(agent string) string {
	w.named[agent]++
	return fmt.Sprintf(`,"id":"c%d"`, w.named[agent])
}

func until(in time.Duration) string     { return `,"valid_until":"` + at(in) + `"` }
func effective(in time.Duration) string { return `,"effective_at":"` + at(in) + `"` }

func sessionSteps() []step {
	var all []step
	for _, agent := range agents {
		all = append(all,
			step{agent + ": signs in", func(w *world) { w.signsIn(agent) }},
			step{agent + ": signs out", func(w *world) {
				w.backend.set(func() { w.backend.good[agent] = "" })
				w.sessions.Delete(agent)
			}},
			step{agent + ": new GUID", func(w *world) { w.newGUID(agent); w.registryLearns(agent) }},
			step{agent + ": new GUID, registry behind", func(w *world) { w.newGUID(agent) }},
			step{agent + ": registry learns the GUID", func(w *world) { w.registryLearns(agent) }},
		)
	}
	return all
}

func (w *world) newGUID(agent string) {
	w.backend.set(func() {
		if w.backend.good[agent] != "" {
			w.rev++
			w.backend.good[agent] = fmt.Sprint("g", w.rev)
		}
	})
}

func (w *world) registryLearns(agent string) {
	old, ok := w.sessions.Of(agent)
	if !ok {
		return
	}
	w.rev++
	var guid string
	w.backend.set(func() { guid = w.backend.good[agent] })
	w.puts[agent]++
	if guid != "" {
		w.sessions.Put(agent, modelSession(agent, guid, old.SignedInAt), w.rev)
	}
}

func gatewaySteps() []step {
	var all []step
	for _, mode := range []string{"", "refused", "passing", "fault", "busy", "too many", "retry after", "not sent", "noise", "flapping", "one address down", "connections break"} {
		all = append(all, step{"gateway: " + mode, func(w *world) {
			w.backend.setMode(mode, "")
		}}, step{"gateway, for 1001: " + mode, func(w *world) {
			w.backend.setMode(mode, "1001")
		}})
	}
	for _, takes := range []time.Duration{0, 50 * time.Millisecond, 2 * time.Second} {
		all = append(all, step{fmt.Sprint("calls take ", takes), func(w *world) { w.backend.set(func() { w.backend.takes = takes }) }})
	}
	sound := step{"gateway: as it should", func(w *world) { w.backend.setMode("", w.backend.only) }}
	return append(all, sound, sound, sound, sound)
}

func workerSteps() []step {
	var all []step
	for _, d := range []time.Duration{time.Millisecond, 15 * time.Millisecond, 600 * time.Millisecond, 4 * time.Second, time.Minute, 20 * time.Minute} {
		pass := step{fmt.Sprint("pass ", d), func(w *world) { w.pass(d) }}
		all = append(all, pass, pass, pass)
	}
	for _, d := range []time.Duration{0, 10 * time.Millisecond, 700 * time.Millisecond} {
		all = append(all, step{fmt.Sprint("storing takes ", d), func(w *world) { w.journal.set(func() { w.journal.takes = d }) }})
	}
	pause := func(paused bool) func(w *world) {
		return func(w *world) { w.worker.SetControls(Controls{Paused: paused}) }
	}
	return append(all, []step{
		{"counting takes a second", func(w *world) { w.journal.set(func() { w.journal.countsFor = time.Second }) }},
		{"acknowledgements take 300ms", func(w *world) { w.journal.set(func() { w.journal.answers = 300 * time.Millisecond }) }},
		{"the next result's acknowledgement is lost", func(w *world) { w.journal.set(func() { w.journal.failNext = 1 }) }},
		{"what is on its way at a crash is lost", func(w *world) { w.journal.set(func() { w.journal.lingers = 0 }) }},
		{"what is on its way at a crash comes late", func(w *world) { w.journal.set(func() { w.journal.lingers = 300 * time.Millisecond }) }},
		{"what is on its way at a crash comes very late", func(w *world) { w.journal.set(func() { w.journal.lingers = 8 * time.Second }) }},
		{"the stream's clock is ahead", func(w *world) { w.ahead = 30 * time.Millisecond }},
		{"a term begins with slow reading", func(w *world) { w.reading = 40 * time.Millisecond }},
		{"a term begins with fast reading", func(w *world) { w.reading = 0 }},
		{"crash", func(w *world) { w.ends(false) }},
		{"crash and takeover", func(w *world) { w.ends(false); w.start(true) }},
		{"crash and takeover", func(w *world) { w.ends(false); w.start(true) }},
		{"crash and takeover, no call under way", func(w *world) { w.ends(false); w.start(false) }},
		{"crash, and all is restored", func(w *world) { w.ends(false); w.restored(); w.start(true) }},
		{"stop", func(w *world) { w.ends(true) }},
		{"stop and start", func(w *world) { w.ends(true); w.start(false) }},
		{"start", func(w *world) { w.start(true) }},
		{"start", func(w *world) { w.start(true) }},
		{"pause", pause(true)},
		{"resume", pause(false)},
		{"resume", pause(false)},
	}...)
}
