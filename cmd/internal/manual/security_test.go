package manual

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
)

// Each row of the tables of SECURITY.md says what is proved, and names the tests that hold it. They are there.
func TestSecuritySaysOnlyWhatIsProved(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	known, rows := tests(t), 0
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		isHeader := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---")
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || isHeader {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		named := testName.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(named) == 0 {
			t.Errorf("no test holds: %s", line)
		}
		for _, m := range named {
			if !known[m[1]] {
				t.Errorf("there is no %s, which is to hold: %s", m[1], line)
			}
		}
	}
	if rows < 30 {
		t.Errorf("%d rows were found: are the tables still written as they were?", rows)
	}
}

// tests are the names of all tests of the tree.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, m := range testFunc.FindAllStringSubmatch(string(text), -1) {
			known[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}
