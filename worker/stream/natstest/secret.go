package natstest

import (
	"encoding/base64"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
)

// Secret returns a made-up password, token or GUID: printable, and often with characters that have a meaning in URLs or files.
func Secret(r *rand.Rand) string {
	const plain, special = "abcdefghijkmnpqrstuvwxyzABCDEFGHIJKLMNPQRSTUVWXYZ23456789", "#/?@:%,&=+;$!*'()[]{}<>|^~`\"\\.-_ "
	text := make([]byte, 14+r.IntN(12))
	for i := range text {
		if text[i] = plain[r.IntN(len(plain))]; r.IntN(4) == 0 && i > 0 && i < len(text)-1 {
			text[i] = special[r.IntN(len(special))]
		}
	}
	return string(text)
}

// Leak returns what of a secret stands in a text, in any form that programs write texts in; empty: nothing. A part is a leak too.
func Leak(text, secret string) string {
	const telling = 7
	quoted := strconv.Quote(secret)
	for _, form := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:], quoted[1 : len(quoted)-1],
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	} {
		for i := 0; i+telling <= len(form); i++ {
			if part := form[i : i+telling]; strings.Contains(text, part) {
				return part
			}
		}
	}
	return ""
}
