package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/messages"
)

func (d *show) say(format string, a ...any) { fmt.Fprintf(d.stdout, format+"\n", a...) }

func (d *show) fact(name, format string, a ...any) {
	d.say("  %-12s %s", name, fmt.Sprintf(format, a...))
}

// introduce says what runs and where.
func (d *show) introduce(cast []member) {
	waits := 0
	for _, m := range cast {
		if m.part == late {
			waits++
		}
	}
	d.say("idledemo: the whole product in one process; Ctrl-C stops it")
	d.say("")
	d.fact("NATS", "%s", d.nats.ClientURL())
	agents := terminal.Plural(len(cast), "agent")
	if waits > 0 {
		agents += fmt.Sprintf(", of whom %d sign in while it runs", waits)
	}
	d.fact("gateway", "%s, simulated, with %s", d.gateway.URL(), agents)
	d.fact("tap", "%s, which the agents' desktops use as the gateway's address", d.tap)
	if d.page != "" {
		d.fact("status page", "http://%s/", d.page)
	}
	d.fact("rate", "%s", rateText(d.config.Rate))
	d.fact("changes", "%s: %s in %s", d.plan.Name, terminal.Plural(d.plan.Changes(), "change"), terminal.Plural(len(d.plan.Messages), "message"))
	d.say("")
}

func rateText(rate float64) string {
	if rate == 0 {
		return "no limit (IDLE_RATE)"
	}
	return fmt.Sprintf("at most %g calls per second to the gateway (IDLE_RATE)", rate)
}

// report says what became of the changes.
func (d *show) report(took time.Duration) {
	t := d.tally
	d.say("\n%d of %s ended, each exactly once, after %s:\n", len(t.all)-len(t.open), terminal.Plural(len(t.all), "change"),
		took.Round(10*time.Millisecond))
	terminal.WriteOutcomes(d.stdout, t.outcomes)
	if t.withdrawn > 0 {
		d.say("\nWithdrawn: %s, to take effect much later. With -serve they wait.", terminal.Plural(t.withdrawn, "change"))
	}
	if n := len(t.open); n > 0 {
		d.say("\nWaiting for their instant: %s.", terminal.Plural(n, "change"))
	}
	d.examples()
	d.gatewaySaw()
}

// examples shows single results.
func (d *show) examples() {
	if len(d.tally.shown) == 0 {
		return
	}
	d.say("\nSingle results:\n")
	rows := terminal.NewTable(d.stdout, "", "outcome", "agent", "flag", "attempts", "retcode", "message")
	var last *messages.Result
	for _, kind := range exampleKinds {
		if r, ok := d.tally.shown[kind]; ok {
			rows.AppendRow([]any{kind, r.Outcome, r.AgentID, r.Flag, r.Attempts, r.Retcode, terminal.Clean(r.Message)})
			last = &r
		}
	}
	rows.Render()
	body, err := json.MarshalIndent(last, "  ", "  ")
	if err != nil {
		return
	}
	names := messages.Names{Prefix: d.config.Prefix}
	d.say("\nThe last of them, as it was published on %s:\n\n  %s", names.Result(last.Outcome, last.AgentID), body)
}

// gatewaySaw is the simulator's own word.
func (d *show) gatewaySaw() {
	s := d.gateway.Summary()
	d.say("\nWhat the gateway saw:\n")
	signIns, rotations := d.gateway.Sessions()
	d.fact("desktops", "%s through the tap; GUIDs were replaced %s", terminal.Plural(signIns, "sign-in"), terminal.Plural(rotations, "time"))
	if s.Calls == 0 {
		d.fact("calls", "none")
		return
	}
	d.fact("calls", "%d; %d of them set a flag", s.Calls, s.Applied)
	d.fact("rate", "%d in its busiest second", s.MaxPerSecond)
	d.fact("retcodes", "%s", counts(s.Retcodes))
	if len(s.Faults) > 0 {
		d.fact("faults", "%s", counts(s.Faults))
	}
	d.fact("flags", "all %s have the one that was applied last", terminal.Plural(len(d.tally.flags), "agent"))
}

func counts(of map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s × %d", name, of[name]))
	}
	return strings.Join(all, ", ")
}

// next says what to try now.
func (d *show) next() {
	url, prefix := d.nats.ClientURL(), d.config.Prefix
	if d.serve {
		d.say("\nEverything stays up until Ctrl-C. Try this in another terminal:\n")
	} else {
		url = "nats://127.0.0.1:4222"
		d.say("\nWhat to try next: keep it up with \"go run ./cmd/idledemo -serve -nats-port 4222\", and in another terminal:\n")
	}
	for _, try := range [][2]string{
		{"export IDLE_NATS_URL=" + url + prefixText(prefix), ""},
		{`echo '{"agent_id": "1001", "flag": "false"}' | go run ./cmd/idlectl publish - --wait`, "publish a change and see its result"},
		{"go run ./cmd/idlectl status", "the coverage, the gate and what waits"},
		{"go run ./cmd/idlectl explain 1055", "why this agent does not have its policy"},
		{"go run ./cmd/idlectl dead list", "what failed, and can be replayed"},
		{"go run ./cmd/idlectl results", "every result as it comes"},
	} {
		if try[1] != "" {
			d.say("  # %s", try[1])
		}
		d.say("  %s", try[0])
	}
	d.say("\nAny NATS client can do the same: nats -s %s pub %s.changes '{\"agent_id\": \"1001\", \"flag\": \"false\"}'", url, prefix)
	d.say("deploy/TUTORIAL.md builds a whole site in ten minutes: desktops, a schedule, a broken gateway, a killed worker.")
	if d.serve && d.page != "" {
		d.say("\nThe status page: http://%s/", d.page)
	}
}

func prefixText(prefix string) string {
	if prefix == "idlepolicy" {
		return ""
	}
	return " IDLE_PREFIX=" + prefix
}
