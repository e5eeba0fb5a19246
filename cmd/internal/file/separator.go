package file

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// separators are those that programs put between the columns of a CSV file. Where a header has several of them equally
// often, the first one here wins.
const separators = "\t;,|"

// CutSeparatorLine removes a first line such as "sep=;", with which Excel and PowerShell name the separator. It returns
// 0 if there is none. The line still counts when lines are numbered.
func CutSeparatorLine(text []byte) (rest []byte, separator rune) {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	named := strings.Trim(strings.TrimRight(string(line), "\r"), `"`)
	if len(named) < len("sep=;") || !strings.EqualFold(named[:4], "sep=") {
		return text, 0
	}
	r, size := utf8.DecodeRuneInString(named[4:])
	if strings.Trim(named[4+size:], string(r)+`,;"`) != "" || !strings.ContainsRune(separators+" :^~", r) {
		return text, 0
	}
	return rest, r
}

// Separator returns what separates the columns, by the header: whatever stands in it most often outside of quotes. It
// returns a comma if there is nothing of the kind.
func Separator(text []byte) rune {
	counts := map[rune]int{}
	quoted := false
	for _, c := range text[:min(len(text), 64<<10)] {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\n' && len(counts) > 0:
			return most(counts)
		case strings.IndexByte(separators, c) >= 0:
			counts[rune(c)]++
		}
	}
	return most(counts)
}

func most(counts map[rune]int) rune {
	best := ','
	for _, r := range separators {
		if counts[r] > counts[best] {
			best = r
		}
	}
	return best
}
