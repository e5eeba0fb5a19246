package messages

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isWord reports whether s is made of 1 to most letters, digits, - and _.
func isWord(s string, most int) bool {
	if len(s) == 0 || len(s) > most {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// unquote returns the text of a JSON string, with invalid UTF-8 replaced, and whether raw is one.
func unquote(raw []byte) (string, bool) {
	if raw[0] != '"' {
		return "", false
	}
	if plain := raw[1 : len(raw)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// cut returns at most n bytes of s and never a part of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// shown returns a value as it stands in the message, short enough for a sentence and printable.
func shown(raw []byte) string {
	const most = 40
	short := strings.ToValidUTF8(string(raw[:min(len(raw), most+utf8.UTFMax)]), "?")
	short = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, short)
	if len(raw) > most {
		return cut(short, most) + "…"
	}
	return short
}
