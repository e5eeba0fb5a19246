package gateway

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"idlepolicy/messages"
	"idlepolicy/worker"
)

func verdictOn(body []byte, session messages.Session) worker.Answer {
	s := understand(body)
	return s.verdict(worker.Answer{}, session)
}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		body    string
		class   worker.Class
		retcode string
		message string
	}{
		{`{"result": {}, "message": "success", "retcode": "0"}`, worker.Success, "0", "success"},
		{`{"retcode": 0}`, worker.Success, "0", ""},
		{` {"retcode":"0","message":null,"result":[1,{"retcode":"1"}]} ` + "\n", worker.Success, "0", ""},
		{`{"retcode":"0","message":{"text":"x"}}`, worker.Success, "0", ""},
		{"\ufeff" + `{"message":"success","retcode":"0"}` + "\n", worker.Success, "0", "success"},
		{"\ufeff\ufeff" + `{"retcode":"0"}`, worker.Success, "0", ""},
		// GBK: a character whose second byte is a backslash, and one without
		{"{\"message\":\"\xd7\xf9\xcf\xaf\x81\x5c\",\"retcode\":\"100-006\"}", worker.NoAgent, "100-006", "座席乗"},
		{"{\"message\":\"\xd7\xf9\xcf\xaf\xce\xb4\xb5\xc7\xc2\xbc\",\"retcode\":\"100-006\"}", worker.NoAgent, "100-006", "座席未登录"},
		{`{"message":"caf` + "\xe9" + `","retcode":"0"}`, worker.Success, "0", "caf\ufffd"}, // Latin-1
		{gzipped(`{"message":"success","retcode":"0"}`), worker.Success, "0", "success"},
		{gzipped(`{"retcode":"0"}`)[:20], worker.Unsound, "", ""},
		{`{"retcode":"100-006","Retcode":"0"}`, worker.NoAgent, "100-006", ""},
		{`{"RETCODE":"0"}`, worker.Unsound, "", ""},
		{`{"retcode":"00"}`, worker.Passing, "00", ""},
		{`{"retcode":0.0}`, worker.Passing, "0.0", ""},
		{`{"retcode":-1}`, worker.Passing, "-1", ""},
		{`{"retcode":"100-008","message":"signed out"}`, worker.NoAgent, "100-008", "signed out"},
		{`{"retcode":""}`, worker.Unsound, "", ""},
		{`{"retcode":null}`, worker.Unsound, "", ""},
		{`{"retcode":true}`, worker.Unsound, "", ""},
		{`{"retcode":["0"]}`, worker.Unsound, "", ""},
		{`{"retcode":"` + strings.Repeat("0", 65) + `"}`, worker.Unsound, "", ""},
		{`{}`, worker.Unsound, "", ""},
		{`{"result":{"retcode":"0"}}`, worker.Unsound, "", ""},
		{`[{"retcode":"0"}]`, worker.Unsound, "", ""},
		{`"0"`, worker.Unsound, "", ""},
		{`{"retcode":"0"} and more`, worker.Unsound, "", ""},
		{`{"retcode":"0"`, worker.Unsound, "", ""},
		{``, worker.Unsound, "", ""},
		{`<html>{"retcode":"0"}</html>`, worker.Unsound, "", ""},
	} {
		a := verdictOn([]byte(test.body), messages.Session{})
		if a.Class != test.class || a.Retcode != test.retcode || a.Message != test.message {
			t.Errorf("%s: %+v", test.body, a)
		}
	}
}

// gzipped is what a proxy makes of an answer that compresses whatever passes.
func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}

func TestEveryDocumentedCodeIsInTheTable(t *testing.T) {
	documented := map[string]worker.Class{
		"0":       worker.Success,
		"000-002": worker.Refused, "000-006": worker.Refused, "000-001": worker.Refused, "100-001": worker.Refused,
		"000-003": worker.NoAgent, "100-006": worker.NoAgent, "100-008": worker.NoAgent,
		"000-004": worker.Passing, "000-007": worker.Passing, "100-007": worker.Passing, "100-009": worker.Passing,
		"000-000": worker.Passing, "123-456": worker.Passing,
	}
	for code, want := range documented {
		if got := classOf(code); got != want {
			t.Errorf("%s is %v, want %v", code, got, want)
		}
	}
	for code := range classes {
		if _, known := documented[code]; !known {
			t.Errorf("%s is in the table and not in this test", code)
		}
	}
}

// A code that is in the table but not in these files would be counted as other, or be explained nowhere.
func TestCodesAreNamedEverywhere(t *testing.T) {
	for path, quote := range map[string]string{
		"../status/metrics.go": `"`, "gatewaytest/retcode.go": `"`, "../../README.md": "`", "../../deploy/README.md": "`",
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for code := range classes {
			success := code == "0" && strings.HasSuffix(path, "README.md")
			if unknown := code == "000-000" && strings.HasPrefix(path, "gatewaytest"); success || unknown {
				continue // explained in words
			}
			if !bytes.Contains(text, []byte(quote+code+quote)) {
				t.Errorf("%s does not name %s", path, code)
			}
		}
	}
}

func TestLongMessageIsCutBetweenCharacters(t *testing.T) {
	a := verdictOn([]byte(`{"retcode":"1","message":"x`+strings.Repeat("é", maxMessage)+`"}`), messages.Session{})
	if len(a.Message) > maxMessage || len(a.Message) < maxMessage-4 || !utf8.ValidString(a.Message) {
		t.Errorf("%d bytes, valid %t", len(a.Message), utf8.ValidString(a.Message))
	}
}

func TestReadRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 59, 30, 0, time.UTC)
	header := func(after, date string) http.Header { return http.Header{"Retry-After": {after}, "Date": {date}} }
	for _, test := range []struct {
		after, date string
		want        time.Duration
	}{
		{"2", "", 2 * time.Second},
		{" 2 ", "", 2 * time.Second},
		{"0", "", 0},
		{"-1", "", 0},
		{"1e300", "", maxRetryAfter},
		{"NaN", "", 0},
		{"100000000000000000000", "", maxRetryAfter},
		{"soon", "", 0},
		{"", "", 0},
		{"Sun, 22 Nov 2026 07:59:40 GMT", "", 10 * time.Second},
		{"Sun, 22 Nov 2026 07:59:20 GMT", "", 0},
		{"Sun, 22 Nov 2026 09:59:20 GMT", "", 119*time.Minute + 50*time.Second},
		{"Sun, 22 Nov 2027 09:59:20 GMT", "", maxRetryAfter},
		{"Sun, 22 Nov 2026 09:00:05 GMT", "Sun, 22 Nov 2026 09:00:00 GMT", 5 * time.Second}, // its clock is ahead
	} {
		if got := retryAfter(header(test.after, test.date), now); got != test.want {
			t.Errorf("Retry-After %q, Date %q: %v, want %v", test.after, test.date, got, test.want)
		}
	}
}

func FuzzVerdict(f *testing.F) {
	for _, body := range []string{`{"result": {}, "message": "success", "retcode": "0"}`, `{"retcode":1e9}`, `[]`, `{"message":"\ud800"}`} {
		f.Add([]byte(body))
	}
	session := messages.Session{GUID: "secret-guid"}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := verdictOn(body, session)
		if a.Class.Answered() != (a.Retcode != "") || (a.Class == worker.Unsound) != (a.Fault != "") {
			t.Errorf("answer %+v", a)
		}
		if strings.Contains(a.Message+a.Fault, session.GUID) {
			t.Errorf("the GUID is shown: %+v", a)
		}
	})
}
