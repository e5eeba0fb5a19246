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
	quotedWords = regexp.MustCompile("`([^`]+)`")
	joined      = regexp.MustCompile(`"\s*\+\s*"`) // a text that goes on in the next line
)

// The words that the runbook explains are words that a program says.
func TestRunbookExplainsWhatTheLogSays(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## What the log says\n")
	section, _, _ = strings.Cut(section, "\n## ")
	said, all := sentences(t), 0
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		for _, words := range quotedWords.FindAllStringSubmatch(cells[1], -1) {
			all++
			if !strings.Contains(said, words[1]) {
				t.Errorf("no program says %q", words[1])
			}
		}
	}
	if all < 30 {
		t.Errorf("%d rows were found: is the table still written as it was?", all)
	}
}

// sentences is the source of all programs, with texts that are spread over lines put together.
func sentences(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		text, err := os.ReadFile(file)
		b.WriteString(joined.ReplaceAllString(string(text), ""))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
