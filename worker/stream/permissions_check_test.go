package stream_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/stream"
)

// check is what "idleworker -check" asks NATS, as the worker's user.
func (g *guarded) check() ([]string, error) {
	g.t.Helper()
	nc, err := stream.Connect(g.t.Context(), g.options(theWorker))
	if err != nil {
		g.t.Fatal(err)
	}
	defer nc.Close()
	return stream.Report(g.t.Context(), nc, stream.Layout{Names: guardedNames, Retention: time.Hour, Takeover: 3 * time.Second})
}

// without takes something out of the accounts that are delivered.
func without(permission, rest string) func(*guarded) {
	return func(g *guarded) { g.replace(g.file("accounts.conf"), "accounts.conf", permission, rest) }
}

// With the accounts that are delivered the check has nothing to say, first of streams to come and then of what is there.
func TestCheckHasAllPermissions(t *testing.T) {
	g := newGuarded(t)
	said, err := g.check()
	if err != nil || len(said) != 6 || !strings.Contains(strings.Join(said, "\n"), "stream IDLEPOLICY_CHANGES is missing: the worker creates it") {
		t.Errorf("before there is a stream: %q, %v", said, err)
	}
	g.prepare()
	if said, err := g.check(); err != nil || len(said) > 0 {
		t.Errorf("once all are there: %q, %v", said, err)
	}
	if refused := g.refused.all(); len(refused) > 0 {
		t.Errorf("refused: %q", refused)
	}
}

// Each permission without which the check finds out nothing is named by its subject. That the server gives no answer to what it
// denies must not cost the time that an answer may take.
func TestCheckNamesThePermissionThatIsMissing(t *testing.T) {
	cases := map[string]func(*guarded){ // by subject
		"_INBOX.": without(`subscribe: ["_INBOX.>", "idlepolicy.ctl.>"`, `subscribe: ["idlepolicy.ctl.>"`),
	}
	for _, name := range []string{
		"IDLEPOLICY_CHANGES", "IDLEPOLICY_RESULTS", "IDLEPOLICY_DEAD",
		"KV_idlepolicy_sessions", "KV_idlepolicy_control", "KV_idlepolicy_applied",
	} {
		create, info := `"$JS.API.STREAM.CREATE.`+name+`"`, `"$JS.API.STREAM.INFO.`+name+`"`
		cases[info] = without(create+", "+info, create)
	}
	for subject, change := range cases {
		t.Run(strings.Trim(subject, `"`), func(t *testing.T) {
			_, err := newGuarded(t, change).check()
			if err == nil || !strings.Contains(err.Error(), "NATS denies the user") || !strings.Contains(err.Error(), subject) {
				t.Errorf("said: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "context") {
				t.Errorf("it was waited for an answer: %v", err)
			}
		})
	}
}

// Whoever may not list streams can do without: it is said, and no error.
func TestCheckWithoutTheListOfStreams(t *testing.T) {
	said, err := newGuarded(t, without(`"$JS.API.STREAM.LIST" #`, "#")).check()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"could not be seen", `"$JS.API.STREAM.LIST"`} {
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%s is not in %q", want, said)
		}
	}
}

// An account that may not use JetStream is told apart from a permission.
func TestCheckOfAnAccountWithoutJetStream(t *testing.T) {
	if _, err := newGuarded(t, without("    jetstream: enabled", "")).check(); err == nil || !strings.Contains(err.Error(), "write jetstream: enabled into that account") {
		t.Errorf("said: %v", err)
	}
}
