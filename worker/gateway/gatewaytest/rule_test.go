package gatewaytest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/gateway/gatewaytest"
)

// codes makes calls and returns their retcodes.
func (b *bench) codes(t *testing.T, agent string, flags ...string) string {
	t.Helper()
	var codes []string
	for _, flag := range flags {
		codes = append(codes, b.set(t.Context(), agent, flag).code())
	}
	return strings.Join(codes, " ")
}

func TestFirstMatchingRuleActs(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001", "1002")
	b.On("1001", gatewaytest.Rule{Times: 1, Flag: "b", Retcode: "1"})
	b.On("", gatewaytest.Rule{Times: 1, Retcode: "2"})
	b.On("1001", gatewaytest.Rule{Times: 2, Retcode: "3"})
	forever := b.On("", gatewaytest.Rule{Flag: "c", Retcode: "4"})
	b.On("1001", gatewaytest.Rule{Flag: "c", Retcode: "5"})
	if got := b.codes(t, "1001", "a", "b", "b", "a", "a", "c"); got != "2 1 3 3 0 4" {
		t.Errorf("got %s", got)
	}
	if got := b.codes(t, "1002", "a", "b", "c", "c"); got != "0 0 4 4" {
		t.Errorf("another agent: got %s", got)
	}
	forever()
	forever()
	if got := b.codes(t, "1001", "c", "c"); got != "5 5" {
		t.Errorf("with one removed: got %s", got)
	}
	b.ClearRules()
	if got := b.codes(t, "1001", "c"); got != "0" {
		t.Errorf("without rules: got %s", got)
	}
}

// What is chosen at random is chosen again by the same seed.
func TestShareAndSeed(t *testing.T) {
	run := func(seed uint64) string {
		b := start(t, gatewaytest.Options{Seed: seed})
		b.signIn("1001")
		b.On("", gatewaytest.Rule{Share: 0.5, Retcode: "1"})
		return b.codes(t, "1001", slices.Repeat([]string{"x"}, 40)...)
	}
	first := run(1)
	if n := strings.Count(first, "1"); n < 5 || n > 35 {
		t.Errorf("%d of 40 calls, want about half", n)
	}
	if second := run(1); first != second {
		t.Errorf("got %s and then %s", first, second)
	}
	if other := run(2); first == other {
		t.Errorf("another seed makes no difference")
	}
}

func TestLatency(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	const latency, jitter = 20 * time.Millisecond, 20 * time.Millisecond
	b.On("1001", gatewaytest.Rule{Latency: latency, Jitter: jitter})
	b.set(t.Context(), "1001", "wrap")
	b.set(t.Context(), "1001", "wrap")
	calls := b.Calls()
	for _, c := range calls {
		if took := c.AppliedAt.Sub(c.At); took < latency {
			t.Errorf("it took effect after %s", took)
		}
		if took := c.Done.Sub(c.At); took < latency {
			t.Errorf("it took %s", took)
		}
	}
}

// A call whose answer is lost lands after a newer one of the same agent.
func TestLateLanding(t *testing.T) {
	for name, options := range protocols {
		t.Run(name, func(t *testing.T) {
			b := start(t, options)
			b.signIn("1001")
			land := make(chan struct{})
			b.On("1001", gatewaytest.Rule{Times: 1, Fault: gatewaytest.Cut, LandOn: land})
			if a := b.set(t.Context(), "1001", "old"); !broken(a.err) {
				t.Errorf("got %+v", a)
			}
			if a := b.set(t.Context(), "1001", "new"); a.code() != "0" {
				t.Errorf("got %+v", a)
			}
			wantFlag(t, b, "1001", "new")
			close(land)
			until(t, "the old call lands", func() bool { return b.Calls()[0].Applied })
			wantFlag(t, b, "1001", "old")
			stale := b.Calls().OutOfOrder(func(x, y gatewaytest.Call) int { return x.At.Compare(y.At) })
			if len(stale) != 1 || stale[0].Late.Flag != "old" || stale[0].After.Flag != "new" {
				t.Errorf("out of order: %+v", stale)
			}
		})
	}
}

// A late call meets the sessions of the moment when it lands.
func TestLateLandingAfterSignIn(t *testing.T) {
	b := start(t, gatewaytest.Options{})
	b.signIn("1001")
	b.On("1001", gatewaytest.Rule{LandAfter: time.Millisecond, LandOn: closedAfter(func() { b.SignIn("1001") })})
	if a := b.set(t.Context(), "1001", "old"); a.code() != "100-006" {
		t.Errorf("got %+v", a)
	}
	wantFlag(t, b, "1001", "true")
}

func closedAfter(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() { f(); close(done) }()
	return done
}
