package main

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

// part is what one agent plays.
type part int

const (
	signedIn part = iota // from the beginning
	late                 // signs in while it runs
	stale                // was signed in elsewhere, so that the session in the registry is over; signs in again while it runs
)

// member is one agent.
type member struct {
	id   string
	part part
}

// The agents that are always there: those of the sample.
const (
	firstAgent = 1001
	lastAgent  = 1300
)

func sampleAgents() []string {
	var ids []string
	for n := firstAgent; n <= lastAgent; n++ {
		ids = append(ids, strconv.Itoa(n))
	}
	return ids
}

// sampleParts are those of the sample's agents that do not sit there, signed in.
var sampleParts = map[string]part{
	"1040": late, "1080": late, "1120": late, "1160": late, "1200": late, "1240": late, "1280": late,
	"1090": stale, "1190": stale,
}

// sampleTrouble is what the gateway answers to some of the sample's agents.
var sampleTrouble = map[string]gatewaytest.Rule{
	"1055": {Retcode: "000-002", Message: "invalid parameter"},
	"1155": {Retcode: "000-002", Message: "invalid parameter", Times: 1}, // somebody corrects it at the gateway: a replay succeeds
	"1255": {Retcode: "000-002", Message: "invalid parameter"},
	"1070": {Retcode: "100-009", Message: "the agent is in the wrong state", Times: 1},
	"1170": {Retcode: "100-009", Message: "the agent is in the wrong state", Times: 2},
	"1270": {Retcode: "100-007", Message: "the agent operation failed", Times: 2},
	"1130": {Fault: gatewaytest.Cut, Times: 1},
	"1230": {Status: 503, RetryAfter: time.Second, Times: 1},
}

// usual is how the gateway answers everybody else.
var usual = gatewaytest.Rule{Latency: 10 * time.Millisecond, Jitter: 20 * time.Millisecond}

// lateEvery and lateMost say which agents of somebody's own file sign in late: few enough that it does not take long.
const (
	lateEvery = 25
	lateMost  = 20
)

// castOf gives everybody a part: the agents of the sample, and those of somebody's own file, if there is one.
func castOf(own []string) []member {
	parts := map[string]part{}
	for i, id := range own {
		parts[id] = signedIn
		if n := i + 1; n%lateEvery == 0 && n/lateEvery <= lateMost {
			parts[id] = late
		}
	}
	for _, id := range sampleAgents() {
		if _, known := parts[id]; !known && len(own) > 0 {
			parts[id] = signedIn
		} else if !known {
			parts[id] = sampleParts[id]
		}
	}
	var cast []member
	for id, p := range parts {
		cast = append(cast, member{id, p})
	}
	slices.SortFunc(cast, func(a, b member) int { return cmp.Or(len(a.id)-len(b.id), cmp.Compare(a.id, b.id)) })
	return cast
}

// prepare has the gateway answer as it is to answer.
func prepare(g *gatewaytest.Gateway, sample bool) {
	if sample {
		for id, rule := range sampleTrouble {
			g.On(id, rule)
		}
	}
	g.SetTraffic(traffic)
	g.On("", usual) // the rule that was added first acts, so this comes last
}
