package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/stream/natstest"
)

// A change with any header block that the server stores ends, as does one on which it is not, and so does the next change of
// its agent; a session record with it and a message on a result's subject keep nothing from going on.
func FuzzHeaderBlock(f *testing.F) {
	for _, b := range natstest.Blocks() {
		f.Add([]byte(strings.TrimPrefix(b.Text, "NATS/1.0\r\n")), true)
		f.Add([]byte(b.Text), false)
	}
	s := newSite(f)
	s.startOwner("a")
	s.signIn("1001", "g")
	raw := natstest.DialRaw(f, s.server.ClientURL())
	names := s.layout.Names
	n := 0
	f.Fuzz(func(t *testing.T, block []byte, whole bool) {
		text := string(block)
		if whole {
			text = "NATS/1.0\r\n" + text + "\r\n\r\n"
		}
		if len(text) == 0 || len(text) > 64<<10 || strings.Contains(text, "Nats-") { // those act on the server, as meant
			return
		}
		s, raw := *s, raw.For(t)
		s.t = t
		n++
		raw.Publish(names.Changes(), text, `{"agent_id":"1001","flag":"yes"}`)
		raw.Publish(names.Changes(), text, fmt.Sprintf(`{"agent_id":"1001","flag":"true","id":"c%d"}`, n))
		raw.Publish("$KV."+names.SessionsBucket()+".1002", text, "g")
		raw.Publish(names.Result(messages.Applied, "1001"), text, "")
		id := fmt.Sprintf("last-%d", n)
		s.publish(fmt.Sprintf(`{"agent_id":"1001","flag":"yes","id":"%s"}`, id))
		for end := time.Now().Add(natstest.Patience); ; time.Sleep(time.Millisecond) {
			m, err := GetLastMsg(t.Context(), s.js, names.DeadStream(), names.Dead("1001"))
			if err == nil && strings.Contains(m.Header.Get(messages.ResultHeader), `"`+id+`"`) && s.unfinished() == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the block %q holds the agent up: %d unfinished", text, s.unfinished())
			}
		}
	})
}
