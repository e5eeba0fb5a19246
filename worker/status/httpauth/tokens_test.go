package httpauth_test

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"idlepolicy/worker/status/httpauth"
)

const (
	first  = "first-token-of-the-test"
	second = "second-token-of-the-test"
)

func tokensOf(t *testing.T, text string) *httpauth.Tokens {
	t.Helper()
	k := &httpauth.Tokens{Path: filepath.Join(t.TempDir(), "tokens"), Log: slog.New(slog.DiscardHandler)}
	if err := os.WriteFile(k.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

func request(from, authorization string, overTLS bool) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	r.RemoteAddr = from
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	if overTLS {
		r.TLS = &tls.ConnectionState{}
	}
	return r
}

func TestWhoMayWrite(t *testing.T) {
	k := tokensOf(t, "# who may publish\n\nwfm "+first+"\r\nscripts\t"+second+"\n")
	if err := k.Load(); err != nil {
		t.Fatal(err)
	}
	const here, away = "127.0.0.1:5000", "192.0.2.7:5000"
	for _, test := range []struct {
		from, authorization string
		tls, insecure       bool
		name                string
		code                int
	}{
		{here, "Bearer " + first, false, false, "wfm", 0},
		{"[::1]:5000", "bearer " + second, false, false, "scripts", 0},
		{away, "Bearer " + first, true, false, "wfm", 0},
		{away, "Bearer " + first, false, true, "wfm", 0},
		{away, "Bearer " + first, false, false, "", http.StatusForbidden},
		{away, "", false, false, "", http.StatusForbidden},
		{"", "Bearer " + first, false, false, "", http.StatusForbidden},
		{here, "", false, false, "", http.StatusUnauthorized},
		{here, "Bearer", false, false, "", http.StatusUnauthorized},
		{here, "Basic " + first, false, false, "", http.StatusUnauthorized},
		{here, "Bearer wrong-token-of-the-test", false, false, "", http.StatusUnauthorized},
		{here, "Bearer " + first[:len(first)-1], false, false, "", http.StatusUnauthorized},
		{here, "Bearer " + first + " " + second, false, false, "", http.StatusUnauthorized},
		{here, "Bearer wfm", false, false, "", http.StatusUnauthorized},
	} {
		k.Insecure = test.insecure
		name, err := k.Check(request(test.from, test.authorization, test.tls))
		var refused *httpauth.Refused
		if name != test.name || errors.As(err, &refused) != (test.code != 0) || refused != nil && refused.Code != test.code {
			t.Errorf("%+v: %q, %v", test, name, err)
		}
		if err != nil && (strings.Contains(err.Error(), first) || strings.Contains(err.Error(), second)) {
			t.Errorf("the error shows a token: %v", err)
		}
	}
	twice := request(here, "Bearer "+first, false)
	twice.Header.Add("Authorization", "Bearer "+second)
	if _, err := k.Check(twice); err == nil {
		t.Error("two headers of tokens are accepted")
	}
}

// A token that is taken out of the file is worth nothing from then on; a file that is broken changes nothing.
func TestTokensAreReadAgain(t *testing.T) {
	k := tokensOf(t, "wfm "+first+"\n")
	if err := k.Load(); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(k.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		if err := os.Chtimes(k.Path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	check := func(token string, want bool) {
		t.Helper()
		if _, err := k.Check(request("127.0.0.1:1", "Bearer "+token, false)); (err == nil) != want {
			t.Errorf("token %s: %v", token, err)
		}
	}
	check(first, true)
	write("wfm " + first + "\nwfm " + second + "\n")
	check(first, true)
	check(second, true)
	write("wfm")
	check(second, true)
	write("wfm " + second + "\n")
	check(first, false)
	check(second, true)
	if err := os.Remove(k.Path); err != nil {
		t.Fatal(err)
	}
	check(second, true)
}

func TestTokenFilesThatCannotBeUsed(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "holds no token",
		"# nothing\n":                           "holds no token",
		"wfm\n":                                 "line 1: want NAME TOKEN",
		"a " + first + "\nwfm x y\n":            "line 2: want NAME TOKEN",
		"wfm short\n":                           "line 1: the token is too short",
		"a/b " + first + "\n":                   "line 1: want a name",
		"a " + first + "\nb " + first + "\n":    "line 2: the token is that of a too",
		"a " + strings.Repeat("x", 100_000):     "a line is too long",
		"wfm " + first + "\n" + second + " x y": "line 2",
	} {
		err := tokensOf(t, text).Load()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), first) || strings.Contains(err.Error(), second) {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
	if err := (&httpauth.Tokens{Path: "no-such-file"}).Load(); err == nil {
		t.Error("a file that is not there is read")
	}
}
