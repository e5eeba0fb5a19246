package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// documents are all that have commands.
func documents(t *testing.T) []string {
	t.Helper()
	found := []string{filepath.Join(root, "README.md")}
	for _, pattern := range []string{"deploy/*.md", "messages/*.md", "worker/*.md", "deploy/*/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, more...)
	}
	return found
}

// block is a fenced block of sh.
type block struct {
	section string // the heading of the second level that it stands under
	line    int
	text    string
	staysUp bool
	needs   string // what is not there; empty: it is run
}

var needs = regexp.MustCompile(`^<!-- needs: (.+) -->$`)

// blocks returns the blocks of sh of a document, and what is wrong with the form of any block.
func blocks(t *testing.T, file string) (found []block, wrong []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section, before, fence := "", "", ""
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case fence == "" && strings.HasPrefix(line, "```"):
			fence = strings.TrimPrefix(line, "```")
			if fence == "" {
				wrong = append(wrong, line+": the block does not say what it is")
				fence = "unknown"
			}
			if fence == "sh" {
				b := block{section: section, line: i + 1, staysUp: before == "<!-- stays up -->"}
				if m := needs.FindStringSubmatch(before); m != nil {
					b.needs = m[1]
				}
				found = append(found, b)
			}
		case strings.HasPrefix(line, "```"):
			fence = ""
		case fence == "sh":
			found[len(found)-1].text += line + "\n"
			if explained.MatchString(line) {
				wrong = append(wrong, line+": an explanation follows the command on its line")
			}
		case fence == "" && before == "" && strings.HasPrefix(line, "    "):
			wrong = append(wrong, line+": a block that is not fenced")
		case strings.HasPrefix(line, "## "):
			section = line
		}
		before = line
	}
	return found, wrong
}

// explained finds what is not part of a command: a comment, or words after a gap.
var explained = regexp.MustCompile(`^[^'"#]*\S( {2,}\S|\s#)`)

func TestCommandsCanBeCopiedAsTheyStand(t *testing.T) {
	all := 0
	for _, file := range documents(t) {
		found, wrong := blocks(t, file)
		all += len(found)
		for _, w := range wrong {
			t.Errorf("%s: %s", file, w)
		}
	}
	if all < 20 {
		t.Errorf("%d blocks of commands were found: are they still written as they were?", all)
	}
	for line, bad := range map[string]bool{
		"go run ./cmd/idledemo        run it": true, "go test ./... # test it": true, "bin/idleworker -check": false,
	} {
		if explained.MatchString(line) != bad {
			t.Errorf("%q: taken for a command with an explanation: %t", line, !bad)
		}
	}
}

// The README is for the first minute; everything else is one click away.
func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 150 {
		t.Errorf("%d lines, want 150 at most", n)
	}
}
