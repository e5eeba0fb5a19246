package desk_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"idlepolicy/worker/stream/desk"
	"idlepolicy/worker/stream/natstest"
)

// wishes are n messages about so many agents in turn; at runs before each.
func wishes(n, agents int, at func(i int)) func(func(desk.Publication) bool) {
	return func(yield func(desk.Publication) bool) {
		for i := range n {
			at(i)
			agent := strconv.Itoa(1001 + i%agents)
			p := desk.Publication{ID: fmt.Sprintf("w-%d", i), Body: fmt.Appendf(nil, "%s %d", agent, i), Agents: []string{agent}}
			if !yield(p) {
				return
			}
		}
	}
}

func nothing(int) {}

// published reads back what the stream of changes holds.
func published(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	c, err := js.CreateConsumer(t.Context(), names.ChangesStream(), jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	left := c.CachedInfo().NumPending
	it, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Stop()
	var bodies []string
	for range left {
		m, err := it.Next(jetstream.NextContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, string(m.Data()))
	}
	return bodies
}

// A server that goes away in the middle loses nothing, doubles nothing, and never puts an agent's older wish behind a
// newer one.
func TestPublishThroughARestart(t *testing.T) {
	dir := t.TempDir()
	srv := natstest.StartAt(t, dir, server.RANDOM_PORT)
	d, _ := siteAt(t, srv.ClientURL())
	port := natstest.Port(srv)
	const n, agents = 4000, 700
	var told []int
	err := d.Publish(t.Context(), wishes(n, agents, func(i int) {
		if i == n/2 {
			natstest.Stop(srv)
			srv = natstest.StartAt(t, dir, port)
		}
	}), func(s desk.Stored) { told = append(told, s.Index) })
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != n || !slices.IsSorted(told) {
		t.Errorf("%d of %d told, in order: %t", len(told), n, slices.IsSorted(told))
	}
	_, js := siteAt(t, srv.ClientURL())
	got := published(t, js)
	if len(got) != n {
		t.Errorf("%d messages stored, want %d", len(got), n)
	}
	last := map[string]int{}
	for _, body := range got {
		var agent string
		var i int
		if _, err := fmt.Sscan(body, &agent, &i); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[agent]; ok && before >= i {
			t.Fatalf("agent %s: wish %d is stored behind %d", agent, i, before)
		}
		last[agent] = i
	}
}

func TestPublishKeepsTheOrderOfOneAgent(t *testing.T) {
	d, js := newSite(t)
	if err := d.Publish(t.Context(), wishes(200, 1, nothing), func(desk.Stored) {}); err != nil {
		t.Fatal(err)
	}
	for i, body := range published(t, js) {
		if body != fmt.Sprintf("1001 %d", i) {
			t.Fatalf("message %d is %s", i, body)
		}
	}
}

func TestPublishReportsDuplicates(t *testing.T) {
	d, _ := newSite(t)
	var first, second []desk.Stored
	for _, told := range []*[]desk.Stored{&first, &second} {
		if err := d.Publish(t.Context(), wishes(3, 3, nothing), func(s desk.Stored) { *told = append(*told, s) }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range first {
		if first[i].Duplicate || !second[i].Duplicate || first[i].Seq != second[i].Seq {
			t.Errorf("first %+v, second %+v", first[i], second[i])
		}
	}
}

func TestPublishInterrupted(t *testing.T) {
	d, js := newSite(t)
	ctx, interrupt := context.WithCancel(t.Context())
	told := 0
	err := d.Publish(ctx, wishes(1000, 1000, func(i int) {
		if i == 500 {
			interrupt()
		}
	}), func(desk.Stored) { told++ })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if stored := len(published(t, js)); told != 500 || stored != 500 {
		t.Errorf("told of %d, stored are %d, want 500", told, stored)
	}
}

func TestPermissionIsNamed(t *testing.T) {
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{
			{Username: "root", Password: "geheim"},
			{Username: "guest", Password: "geheim", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{names.Prefix + ".>", "$JS.API.STREAM.INFO." + names.DeadStream()}},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { natstest.Stop(srv) })
	srv.Start()
	at := func(user string) string { return strings.Replace(srv.ClientURL(), "://", "://"+user+":geheim@", 1) }
	siteAt(t, at("root"))
	d := open(t, at("guest"))
	err = d.Dead(t.Context(), desk.DeadQuery{}, func(desk.Letter) error { return nil })
	var away *desk.Unreachable
	if !errors.As(err, &away) || !strings.Contains(err.Error(), "ermissions") || strings.Contains(err.Error(), "geheim") {
		t.Errorf("error %v", err)
	}
}
