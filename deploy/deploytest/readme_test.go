package deploytest

import (
	"regexp"
	"strings"
	"testing"
)

// The users in the table of permissions are those of the configuration.
func TestManualNamesTheUsers(t *testing.T) {
	user := regexp.MustCompile(`CN=idlepolicy-[a-z]+`)
	manual, accounts := read(t, "deploy", "README.md")+read(t, "deploy", "CONNECTING.md"), read(t, "deploy", "nats", "accounts.conf")
	for _, name := range user.FindAllString(accounts, -1) {
		if !strings.Contains(manual, name) {
			t.Errorf("README.md does not tell what %s may do", name)
		}
	}
	for _, name := range user.FindAllString(manual, -1) {
		if !strings.Contains(accounts, name) {
			t.Errorf("README.md tells of %s, which accounts.conf does not have", name)
		}
	}
}
