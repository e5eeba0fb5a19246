package httpauth

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Tokens are bearer tokens from a file with lines of NAME TOKEN. Blank lines and lines that begin with # are skipped; a name
// may stand on several lines, so that its token can be replaced without a gap. Set the exported fields, then Load.
type Tokens struct {
	Path     string
	Insecure bool         // tokens may come over plain HTTP from other machines
	Log      *slog.Logger // nil: slog.Default

	mu      sync.Mutex // guards what follows
	known   []token
	seen    version
	trouble string // what was logged of the file last
}

// token is a token as it is kept in memory.
type token struct {
	name string
	hash [sha256.Size]byte
}

// version tells one content of the file from another.
type version struct {
	at   time.Time
	size int64
}

// MinToken is how many characters a token has at least: shorter ones can be guessed.
const MinToken = 12

// Refused is why a request is refused.
type Refused struct {
	Code int // 401 or 403
	Why  string
}

// Error returns the reason.
func (r *Refused) Error() string { return r.Why }

// Write answers the request with the reason as JSON.
func (r *Refused) Write(w http.ResponseWriter) {
	if r.Code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="idlepolicy"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.Code)
	fmt.Fprintf(w, "{\"error\": %q}\n", r.Why) // plain ASCII sentences: the same in Go and in JSON
}

// Load reads the file. Its error names the line that is wrong, and never a token.
func (t *Tokens) Load() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.Path)
	if err != nil {
		return plain(err)
	}
	t.seen = version{info.ModTime(), info.Size()}
	text, err := os.ReadFile(t.Path)
	if err != nil {
		return plain(err)
	}
	known, err := parse(text)
	if err != nil {
		return err
	}
	t.known = known
	return nil
}

// plain leaves out the path, which the caller names.
func plain(err error) error {
	if opening, ok := errors.AsType[*os.PathError](err); ok {
		return opening.Err
	}
	return err
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

func parse(text []byte) (known []token, err error) {
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
			continue
		case len(fields) != 2:
			return nil, fmt.Errorf("line %d: want NAME TOKEN", n)
		case !validName.MatchString(fields[0]):
			return nil, fmt.Errorf("line %d: want a name of 1 to 64 letters, digits, -, _, . and @", n)
		case len(fields[1]) < MinToken:
			return nil, fmt.Errorf("line %d: the token is too short; want at least %d characters", n, MinToken)
		}
		next := token{fields[0], sha256.Sum256([]byte(fields[1]))}
		for _, k := range known {
			if k.hash == next.hash && k.name != next.name {
				return nil, fmt.Errorf("line %d: the token is that of %s too; want one for each name", n, k.name)
			}
		}
		known = append(known, next)
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("a line is too long")
	}
	if len(known) == 0 {
		return nil, errors.New("it holds no token; want lines of NAME TOKEN")
	}
	return known, nil
}

// Check returns the name that the request's token stands for. Its error is a *Refused.
func (t *Tokens) Check(r *http.Request) (name string, err error) {
	if r.TLS == nil && !t.Insecure && !isLoopback(r.RemoteAddr) {
		return "", &Refused{http.StatusForbidden, "a token is accepted over HTTPS or from this machine only"}
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || given == "" || len(r.Header.Values("Authorization")) != 1 {
		return "", &Refused{http.StatusUnauthorized, "Authorization: missing; want one header of Bearer TOKEN"}
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for _, k := range t.current() {
		if subtle.ConstantTimeCompare(k.hash[:], hash[:]) == 1 {
			name = k.name
		}
	}
	if name == "" {
		return "", &Refused{http.StatusUnauthorized, "Authorization: the token is not known"}
	}
	return name, nil
}

// current returns the tokens of the file as it is now. A file that cannot be used any more is logged once, and the tokens
// from before stay valid.
func (t *Tokens) current() []token {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.Path)
	if err == nil && (version{info.ModTime(), info.Size()}) == t.seen {
		return t.known
	}
	var known []token
	if err == nil {
		t.seen = version{info.ModTime(), info.Size()}
		var text []byte
		if text, err = os.ReadFile(t.Path); err == nil {
			known, err = parse(text)
		}
	}
	log := cmp.Or(t.Log, slog.Default())
	switch {
	case err == nil:
		t.known, t.trouble = known, ""
		log.Info("tokens read again", "file", t.Path, "tokens", len(known))
	case plain(err).Error() != t.trouble:
		t.trouble = plain(err).Error()
		log.Warn("tokens cannot be read again, the former ones stay valid", "file", t.Path, "err", plain(err))
	}
	return t.known
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}
