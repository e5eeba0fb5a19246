package faulttest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/natstest"
)

// A change is known by its agent and its flag: the flags of an agent are numbers that rise with each change, so that a
// call at the gateway tells which change it was made for.
const flagMark = "n"

func flagOf(n int) string {
	digits := strconv.FormatInt(int64(n), 36)
	return flagMark + strings.Repeat("0", 4-len(digits)) + digits
}

// numberOf returns the number that a flag says, 0 where it says none.
func numberOf(flag string) int {
	digits, ok := strings.CutPrefix(flag, flagMark)
	if !ok {
		return 0
	}
	n, _ := strconv.ParseInt(digits, 36, 64)
	return int(n)
}

// publisher publishes changes and remembers which of them the stream accepted: for each agent, the numbers from 1 on.
type publisher struct {
	site *site
	wg   sync.WaitGroup

	mu       sync.Mutex // guards what follows
	accepted map[string]int
	messages int
	again    int // tries that had to be made again, because nobody knew whether the message was stored
}

// writers publish at the same time. Each has agents of its own, because the order of the changes of one agent has to
// be known.
const writers = 4

// run publishes until ctx ends, and then for as long as it takes until the last message of each writer is accepted.
func (p *publisher) run(ctx context.Context, seed uint64) {
	for w := range writers {
		p.wg.Go(func() { p.write(ctx, w, rand.New(rand.NewPCG(seed, uint64(w)))) })
	}
}

func (p *publisher) write(ctx context.Context, w int, random *rand.Rand) {
	var own []string
	for i, agent := range p.site.agents {
		if i%writers == w {
			own = append(own, agent)
		}
	}
	numbers := map[string]int{}
	pace := time.NewTicker(p.site.setup.pause)
	defer pace.Stop()
	for n := 1; ; n++ {
		// Now and then a flood, now and then silence.
		if random.IntN(300) == 0 {
			pace.Reset(time.Duration(float64(p.site.setup.pause) * []float64{.25, .25, 1, 2, 10}[random.IntN(5)]))
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		var items []string
		for _, i := range random.Perm(len(own))[:p.size(random, len(own))] {
			numbers[own[i]]++
			items = append(items, fmt.Sprintf(`{"agent_id":%q,"flag":%q}`, own[i], flagOf(numbers[own[i]])))
		}
		text := items[0]
		if len(items) > 1 {
			text = "[" + strings.Join(items, ",") + "]"
		}
		if !p.publish(context.WithoutCancel(ctx), hostileMessage(random, fmt.Sprintf("writer%d-%d", w, n), text)) {
			return
		}
		p.mu.Lock()
		maps.Copy(p.accepted, numbers)
		p.messages++
		p.mu.Unlock()
	}
}

// size is how many changes the next message has: one, mostly.
func (p *publisher) size(random *rand.Rand, most int) int {
	if random.IntN(8) > 0 {
		return 1
	}
	return 1 + random.IntN(min(20, most))
}

// hostileMessage makes a message of changes. One in four has headers that mean something to a server, a client or a worker.
func hostileMessage(random *rand.Rand, id, text string) *nats.Msg {
	m := nats.NewMsg(names.Changes())
	m.Data = []byte(text)
	if blocks := natstest.Blocks(); random.IntN(4) == 0 {
		m.Header = stream.ParseHeader([]byte(blocks[random.IntN(len(blocks))].Text))
		for name := range m.Header {
			if !sendable.MatchString(name) {
				delete(m.Header, name)
			}
		}
	}
	m.Header.Set(messages.MsgIDHeader, id)
	return m
}

// sendable are names that the client library sends. The others are tried where there is time to send them without it.
var sendable = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// publish tries until the stream has accepted the message. It reports false if that takes too long.
func (p *publisher) publish(ctx context.Context, m *nats.Msg) bool {
	for end := time.Now().Add(healWithin); time.Now().Before(end); {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := p.site.js.PublishMsg(try, m)
		cancel()
		if err == nil {
			return true
		}
		p.mu.Lock()
		p.again++
		p.mu.Unlock()
		time.Sleep(100 * time.Millisecond) // asking at once again would only load a server that is starting
	}
	p.site.t.Errorf("message %s was not accepted within %v", m.Header.Get(messages.MsgIDHeader), healWithin)
	return false
}
