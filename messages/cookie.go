package messages

import (
	"errors"
	"fmt"
	"strings"
)

// readCookies accepts what can be sent back in a Cookie header as it is: RFC 6265, section 4.1.1.
func readCookies(raw []byte) ([]string, error) {
	if raw[0] != '[' {
		return nil, errors.New("cookies: no array; want name=value strings")
	}
	n := count(raw, maxCookies+1)
	if n > maxCookies {
		return nil, fmt.Errorf("cookies: more than %d", maxCookies)
	}
	var cookies []string
	w := walk{text: raw, at: 1}
	for i := range n {
		value, _ := w.element()
		text, ok := unquote(value)
		if !ok || !validCookie(text) {
			return nil, fmt.Errorf("cookies: number %d is no cookie; want a name=value string", i+1)
		}
		cookies = append(cookies, text)
	}
	return cookies, nil
}

func validCookie(s string) bool {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" || len(s) > 4096 {
		return false
	}
	for i := range len(name) {
		if !isToken(name[i]) {
			return false
		}
	}
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c > '~' || strings.IndexByte(`",;\`, c) >= 0 {
			return false
		}
	}
	return true
}

// isToken tells whether c can be in a token of HTTP: RFC 9110, section 5.6.2.
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) < 0
}
