package messages_test

import (
	"testing"

	"idlepolicy/messages"
)

func TestPolicyText(t *testing.T) {
	for flag, want := range map[string]string{
		"": "", "true": "idle after a call", "false": "wrap-up (flag false)", "NULL": "wrap-up (flag NULL)",
	} {
		if got := messages.PolicyText(flag); got != want {
			t.Errorf("the flag %q is %q in words, want %q", flag, got, want)
		}
	}
}
