package messages

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// No word of the table, in any letter case, trimmed or not, becomes a change, in any of the shapes of a message.
func TestRefusedFlagsNeverBecomeChanges(t *testing.T) {
	spaces := []string{"", " ", "\t", "\u00a0", "\r\n"}
	for word, reason := range notFlag {
		for range 10 {
			spelled := randomCase(word)
			if spelled == "true" {
				continue
			}
			flag, err := json.Marshal(spaces[rand.IntN(len(spaces))] + spelled + spaces[rand.IntN(len(spaces))])
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{
				`{"agent_id":"1001","flag":` + string(flag) + `}`,
				`{"agent_ids":["1001"],"flag":` + string(flag) + `}`,
				`[{"agent_id":"1001","flag":` + string(flag) + `}]`,
				`{"flag":` + string(flag) + `,"changes":[{"agent_id":"1001"}]}`,
				`{"flag":"false","changes":[{"agent_id":"1001","flag":` + string(flag) + `}]}`,
			} {
				if string(flag) == `"true"` {
					continue
				}
				m := Decode([]byte(body), defaultName)
				if len(m.Changes) != 0 || len(m.Rejected) != 1 {
					t.Fatalf("%s became a change: %+v", body, m)
				}
				if got := m.Rejected[0].Message; !strings.HasSuffix(got, " "+reason) || m.Rejected[0].Flag != "" {
					t.Fatalf("%s: %q does not give the reason %q", body, got, reason)
				}
				checkSchema(t, "change", []byte(body), false)
			}
		}
	}
}

func randomCase(word string) string {
	var b strings.Builder
	for _, r := range word {
		if rand.IntN(2) == 0 {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// The contract names these; the table may grow but never lose one.
func TestWordsOfTheContractAreInTheTable(t *testing.T) {
	const contract = "true t yes y on 1 vrai vero wahr sant tosi igaz idle auto free ready null none nil nan na - undef"
	for word := range strings.FieldsSeq(contract) {
		if notFlag[word] == "" {
			t.Errorf("%s is not in the table", word)
		}
	}
}

func TestCheckFlag(t *testing.T) {
	for _, good := range []string{"true", "false", "FALSE", "False", "0", "no", "off", "n", "f", "x", "wrap", "acw", "aZ-_9", "faux", "_", "a-b"} {
		if err := CheckFlag(good); err != nil {
			t.Errorf("%q %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"vrai":   "means true in a French spreadsheet; write true",
		" WAHR ": "means true in a German spreadsheet; write true",
		"Idle":   "names the idle state",
		"NULL":   "stands for nothing",
		"True":   "looks like true",
		" true":  "looks like true",
		"":       "is not a flag",
		"wrapup": "is not a flag",
		"a b":    "is not a flag",
	} {
		if err := CheckFlag(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", bad, err, want)
		}
	}
}

// The schema refuses exactly the words of the table. On failure the message has the pattern that it should hold.
func TestSchemaRefusesTheWordsOfTheTable(t *testing.T) {
	text, err := os.ReadFile("schema/change.json")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`"not": \{"pattern": "\^\((.*)\)\$"\}\n +\}\n +\]\n +\},\n +"id"`).FindSubmatch(text)
	var patterns []string
	for _, row := range notFlags {
		for word := range strings.FieldsSeq(row.words) {
			if isWord(word, maxFlag) {
				patterns = append(patterns, anyCase(word))
			}
		}
	}
	if want := strings.Join(patterns, "|"); found == nil || string(found[1]) != want {
		t.Errorf("the pattern of words that are not flags must be\n^(%s)$", want)
	}
}

// anyCase returns a pattern for a word in any letter case: JSON Schema has no flag for that.
func anyCase(word string) string {
	var b strings.Builder
	for _, r := range word {
		if unicode.IsLetter(r) {
			b.WriteString("[" + string(unicode.ToUpper(r)) + string(r) + "]")
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
