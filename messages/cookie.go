package messages

import (
	"fmt"
	"slices"
	"strings"
)

// readCookies reads cookies in any of the forms that programs keep them in: an array whose items are name=value or whole
// Set-Cookie lines, one string separated by semicolons, or an object. It also returns what it had to leave out, without
// any of the values.
func readCookies(raw []byte) (cookies, leftOut []string) {
	add := func(place, pair string) {
		switch pair = strings.TrimSpace(pair); {
		case !validCookie(pair):
			leftOut = append(leftOut, "cookies: "+place+" is not a name=value pair that can be sent; left out")
		case len(cookies) == maxCookies:
			leftOut = append(leftOut, fmt.Sprintf("cookies: more than %d; the others are left out", maxCookies))
		default:
			cookies = append(cookies, pair)
		}
	}
	switch raw[0] {
	case '[':
		w := walk{text: raw, at: 1}
		for n := 1; ; n++ {
			value, ok := w.element()
			if !ok {
				break
			}
			text, _ := unquote(value)
			first, _, _ := strings.Cut(withoutHeader(text), ";")
			add(fmt.Sprintf("number %d", n), first)
		}
	case '{':
		w := walk{text: raw, at: 1}
		for name, value, ok := w.member(); ok; name, value, ok = w.member() {
			text, isString := unquote(value)
			if !isString && isNumber(value) {
				text = string(value)
			} else if !isString {
				text = ";" // no cookie can hold it
			}
			add("one of them", string(name)+"="+text)
		}
	case '"':
		text, _ := unquote(raw)
		for i, pair := range strings.Split(withoutHeader(text), ";") {
			if pair = strings.TrimSpace(pair); pair != "" && (i == 0 || !isAttribute(pair)) {
				add("one of them", pair)
			}
		}
	default:
		leftOut = []string{"cookies: neither an array nor a string nor an object; left out"}
	}
	return cookies, slices.Compact(leftOut)
}

// withoutHeader removes the name of the header from a whole line.
func withoutHeader(line string) string {
	for _, header := range []string{"set-cookie:", "cookie:"} {
		if len(line) >= len(header) && strings.EqualFold(line[:len(header)], header) {
			return line[len(header):]
		}
	}
	return line
}

// isAttribute reports whether a part of a Set-Cookie line is an attribute of the cookie before it.
func isAttribute(part string) bool {
	name, _, _ := strings.Cut(part, "=")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "domain", "expires", "httponly", "max-age", "partitioned", "path", "priority", "samesite", "secure":
		return true
	}
	return false
}

// validCookie reports whether s can be sent in a Cookie header as it is: RFC 6265, section 4.1.1.
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

// isToken reports whether c can be in a token of HTTP: RFC 9110, section 5.6.2.
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) < 0
}
