package deploytest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// manuals are what operators read.
var manuals = []string{"README.md", "SECURITY.md", "SCHEDULES.md"}

func TestManualsNameWhatIsThere(t *testing.T) {
	var (
		path    = regexp.MustCompile(`deploy/[a-z][a-zA-Z0-9/_.-]*[a-zA-Z0-9]`)
		setting = regexp.MustCompile(`IDLE_[A-Z_]*[A-Z]`)
		link    = regexp.MustCompile(`\]\(([^)#]+)`)
	)
	known := variables(t)
	for _, manual := range manuals {
		text := read(t, "deploy", manual)
		for _, file := range path.FindAllString(text, -1) {
			if _, err := os.Stat(fromRoot(file)); err != nil && !strings.HasPrefix(file, "deploy/secrets") { // made by a script
				t.Errorf("%s names %s: %v", manual, file, err)
			}
		}
		for _, name := range setting.FindAllString(text, -1) {
			if !known[name] {
				t.Errorf("%s names %s, which nothing reads", manual, name)
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(fromRoot("deploy", m[1])); err != nil {
				t.Errorf("%s leads to %s: %v", manual, m[1], err)
			}
		}
	}
}

// A link inside the page leads to a heading of it.
func TestHeadingsOfLinksAreThere(t *testing.T) {
	text := read(t, "deploy", "README.md")
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		headings[strings.ReplaceAll(strings.ToLower(m[1]), " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if !headings[m[1]] {
			t.Errorf("no heading for #%s", m[1])
		}
	}
}

// The users in the table of permissions are those of the configuration.
func TestManualNamesTheUsers(t *testing.T) {
	user := regexp.MustCompile(`CN=idlepolicy-[a-z]+`)
	manual, accounts := read(t, "deploy", "README.md"), read(t, "deploy", "nats", "accounts.conf")
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
