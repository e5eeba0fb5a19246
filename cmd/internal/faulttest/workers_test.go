package faulttest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// replica is one of the workers: a place that one process after another fills.
type replica struct {
	site  *site
	name  string
	proc  *Process
	owner atomic.Bool            // as its log says
	page  atomic.Pointer[string] // URL of its HTTP server, as its log says; nil: it has said none yet
	mu    sync.Mutex             // guards log
	log   *os.File               // nil: nobody wants to read it
}

func (r *replica) start() {
	s, c := r.site, r.site.setup
	r.proc = Start(s.t, s.programs.worker, Options{Line: r.heed, Env: []string{
		"IDLE_NATS_URL=" + s.natsURLs(),
		"IDLE_REPLICAS=" + strconv.Itoa(c.servers),
		"IDLE_GATEWAY_URL=" + s.gateway.URL(),
		"IDLE_GATEWAY_CA=" + s.ca,
		"IDLE_GATEWAY_HOSTS=" + strings.TrimPrefix(s.gateway.URL(), "https://") + "," + s.second.listener.Addr().String(),
		"IDLE_GATEWAY_TIMEOUT=" + c.timeout.String(),
		"IDLE_TAKEOVER=" + takeover.String(),
		"IDLE_RATE=" + strconv.Itoa(c.rate),
		"IDLE_BURST=" + strconv.Itoa(c.burst),
		"IDLE_BACKOFF_INITIAL=100ms",
		"IDLE_BACKOFF_MAX=2s",
		"IDLE_MAX_ATTEMPTS=100", // what the gateway answers here passes, so nothing may fail
		"IDLE_HTTP_ADDR=" + c.http(),
		"IDLE_HTTP_PUBLISHERS_FILE=" + c.publishers,
		"IDLE_LOG_FORMAT=json",
	}})
}

// heed finds out from the log whether the process owns the site, and where it serves HTTP.
func (r *replica) heed(line string) {
	var l struct {
		Msg  string `json:"msg"`
		Role string `json:"role"`
		URL  string `json:"url"`
	}
	switch _ = json.Unmarshal([]byte(line), &l); l.Msg { // what is not JSON has no message
	case "ownership":
		r.owner.Store(l.Role == "owner")
	case "status page":
		page := strings.TrimSuffix(l.URL, "/")
		r.page.Store(&page)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.log != nil {
		_, _ = r.log.WriteString(line + "\n")
	}
}

// keepLog has the log written to a file as well.
func (r *replica) keepLog(dir string) error {
	var err error
	r.log, err = os.Create(filepath.Join(dir, r.name+".log"))
	return err
}

func (r *replica) kill() {
	r.proc.Kill()
	r.owner.Store(false)
}

func (r *replica) freeze() error { return r.proc.Signal(syscall.SIGSTOP) }
func (r *replica) thaw() error   { return r.proc.Signal(syscall.SIGCONT) }

// stop asks the process to end, and tells how it did.
func (r *replica) stop() (status int, took time.Duration) {
	began := time.Now()
	if err := r.proc.Signal(syscall.SIGTERM); err != nil {
		r.site.t.Error(err)
	}
	status = r.proc.Wait()
	r.owner.Store(false)
	return status, time.Since(began)
}

// ownerOr returns the replica that owns the site, or another one where none does.
func (s *site) ownerOr(other int) *replica {
	for _, r := range s.replicas {
		if r.owner.Load() {
			return r
		}
	}
	return s.replicas[other%len(s.replicas)]
}
