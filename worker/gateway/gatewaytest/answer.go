package gatewaytest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The values of headers are shared, so that an answer costs no allocation for them.
var (
	jsonType  = []string{"application/json;charset=UTF-8"}
	pageType  = []string{"text/html;charset=utf-8"}
	plainType = []string{"text/plain"}
	onlyPost  = []string{http.MethodPost}
)

const success = `{"result": {}, "message": "success", "retcode": "0"}`

func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, v *visit) {
	fault := v.rule.Fault
	switch {
	case fault == Cut || v.outage == Refusing || v.outage == Resetting:
		cutOff(r)
		return
	case fault == Hang || v.outage == Hanging:
		g.hang(r)
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	if v.retcode == "" {
		page(w, v)
		return
	}
	body := v.body()
	switch fault {
	case CutJSON:
		body = body[:len(body)-len(body)/3]
	case Huge:
		g.flood(w, r, v.retcode, (16<<20)/len(filler))
		return
	case Endless:
		g.flood(w, r, v.retcode, 0)
		return
	case WrongType:
		h["Content-Type"] = plainType
	default:
	}
	w.WriteHeader(v.status)
	_, _ = io.WriteString(w, body) // the client may be gone: nobody is left to tell
}

// hang returns when there is nobody left to answer.
func (g *Gateway) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-g.done:
	}
}

// body is the gateway's own answer, written by hand: a benchmark asks for it ten thousand times a second.
func (v *visit) body() string {
	r := v.rule
	if v.retcode == "0" && r.Result == EmptyObject && r.Message == "" && !r.Number {
		return success
	}
	message := r.Message
	if message == "" {
		message = messageOf(v.retcode)
	}
	result := [...]string{EmptyObject: `"result": {}, `, EmptyText: `"result": "", `, NoResult: ""}[r.Result]
	code := strconv.Quote(v.retcode)
	if _, err := strconv.ParseUint(v.retcode, 10, 32); err == nil && r.Number {
		code = v.retcode
	}
	return `{` + result + `"message": ` + quote(message) + `, "retcode": ` + code + `}`
}

// page is what a servlet container or a proxy sends.
func page(w http.ResponseWriter, v *visit) {
	h, r := w.Header(), v.rule
	h["Content-Type"] = pageType
	if v.status == http.StatusMethodNotAllowed {
		h["Allow"] = onlyPost
	}
	if r.Location != "" {
		h["Location"] = []string{r.Location}
	}
	if r.RetryAfter > 0 {
		h["Retry-After"] = []string{retryAfter(r.RetryAfter, r.Date, time.Now())}
	}
	w.WriteHeader(v.status)
	if r.Fault != Empty {
		text := strconv.Itoa(v.status) + " " + http.StatusText(v.status)
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>"+text+"</title></head><body><h1>"+text+"</h1></body></html>\n")
	}
}

// retryAfter rounds up: the header knows whole seconds only.
func retryAfter(d time.Duration, date bool, now time.Time) string {
	if !date {
		return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
	}
	return now.Add(d + time.Second - 1).UTC().Format(http.TimeFormat)
}

// filler is a piece of a very long message.
var filler = strings.Repeat("x", 16<<10)

// flood sends a message of so many pieces; of no end, and slowly, where pieces is 0.
func (g *Gateway) flood(w http.ResponseWriter, r *http.Request, retcode string, pieces int) {
	_, err := io.WriteString(w, `{"result": {}, "message": "`)
	out := http.NewResponseController(w)
	for n := 0; err == nil && (n < pieces || pieces == 0); n++ {
		if pieces == 0 && (out.Flush() != nil || !g.wait(5*time.Millisecond, r.Context().Done())) {
			return
		}
		_, err = io.WriteString(w, filler)
	}
	_, _ = io.WriteString(w, `", "retcode": "`+retcode+`"}`)
}
