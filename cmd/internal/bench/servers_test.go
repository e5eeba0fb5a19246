package bench

import (
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"idlepolicy/worker/gateway/gatewaytest"
	"idlepolicy/worker/stream/natstest"
)

// playNATS is a NATS server with its store in the folder that the environment names.
func playNATS() (obeying, error) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: os.Getenv("IDLEBENCH_STORE"), NoSigs: true, NoLog: true,
	})
	if err != nil {
		return obeying{}, err
	}
	s.Start()
	if !s.ReadyForConnections(natstest.Patience) {
		return obeying{}, errNotReady
	}
	return obeying{ready: s.ClientURL(), end: func() { s.Shutdown(); s.WaitForShutdown() }, verbs: map[string]func(order) (reply, error){
		"messages": func(order) (reply, error) { // that clients have sent
			v, err := s.Varz(nil)
			if err != nil {
				return reply{}, err
			}
			return reply{Count: int(v.InMsgs)}, nil
		},
	}}, nil
}

// seen is a call as the gateway saw it.
type seen struct {
	At, Done int64 // Unix nanoseconds
	Agent    int
	Status   int
	Retcode  string
	Fault    string
}

// playGateway is the simulated gateway.
func playGateway() (obeying, error) {
	g, err := gatewaytest.Start(gatewaytest.Options{ForgetCalls: os.Getenv("IDLEBENCH_FORGET") != ""})
	if err != nil {
		return obeying{}, err
	}
	ca, err := g.WriteCA(os.Getenv("IDLEBENCH_STORE"))
	if err != nil {
		return obeying{}, err
	}
	return obeying{ready: g.URL(), end: g.Close, verbs: map[string]func(order) (reply, error){
		"ca":      func(order) (reply, error) { return reply{Text: ca}, nil },
		"sign in": func(o order) (reply, error) { return signIn(g, o.N), nil },
		"rule": func(o order) (reply, error) {
			rule := gatewaytest.Rule{
				Times: o.N, Latency: o.Time, Status: o.Status, RetryAfter: retryAfter(o.Text),
				Share: o.Share, Fault: gatewaytest.Fault(o.Fault),
			}
			if !o.Odd {
				g.On("", rule)
				return reply{}, nil
			}
			rule.Times = 0
			for i := range o.N {
				if agent := firstAgent + i; agent%2 == 1 {
					g.On(strconv.Itoa(agent), rule)
				}
			}
			return reply{}, nil
		},
		"capacity": func(o order) (reply, error) {
			g.SetCapacity(gatewaytest.Capacity{PerSecond: o.N, Status: o.Status, RetryAfter: retryAfter(o.Text)})
			return reply{}, nil
		},
		"outage": func(o order) (reply, error) { return reply{}, g.SetOutage(gatewaytest.Outage(o.N)) },
		"hang":   func(order) (reply, error) { g.On("", gatewaytest.Rule{Fault: gatewaytest.Hang}); return reply{}, nil },
		"mend":   func(order) (reply, error) { g.ClearRules(); return reply{}, g.SetOutage(gatewaytest.NoOutage) },
		"count":  func(order) (reply, error) { return count(g), nil },
		"calls":  func(order) (reply, error) { return calls(g), nil },
	}}, nil
}

const firstAgent = 1001

func signIn(g *gatewaytest.Gateway, agents int) reply {
	var r reply
	for i := range agents {
		r.Texts = append(r.Texts, g.SignIn(strconv.Itoa(firstAgent+i)))
	}
	return r
}

func retryAfter(text string) time.Duration {
	d, _ := time.ParseDuration(text) // empty: none
	return d
}

// count tells of all calls that reached the gateway, also of connections that were reset before they could carry one.
func count(g *gatewaytest.Gateway) reply {
	s := g.Summary()
	return reply{Count: s.Calls + s.Dropped}
}

func calls(g *gatewaytest.Gateway) reply {
	var r reply
	for _, c := range g.Calls() {
		one := seen{At: c.At.UnixNano(), Status: c.Status, Retcode: c.Retcode, Fault: c.Fault}
		one.Agent, _ = strconv.Atoi(c.AgentID) // 0: the path is that of no call
		if !c.Done.IsZero() {
			one.Done = c.Done.UnixNano()
		}
		r.Calls = append(r.Calls, one)
	}
	return r
}
