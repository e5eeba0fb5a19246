package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"
)

// byHand is the loop without promises, as well as it can be written: messages are pulled ahead, as many calls are under
// way as the worker may have, results are published without waiting for each, and then the message is acknowledged.
// What fails comes again after a pause.
type byHand struct {
	js       jetstream.JetStream
	calls    *http.Client
	gateway  string
	sessions map[string]string
	limit    *rate.Limiter
	backoff  time.Duration // the first pause of a backoff as the worker has it; 0: always 500 ms
}

// pause is how long a message that failed waits.
func (h *byHand) pause(m jetstream.Msg) time.Duration {
	meta, err := m.Metadata()
	if err != nil || h.backoff == 0 {
		return 500 * time.Millisecond
	}
	grown := float64(h.backoff) * math.Pow(2, float64(meta.NumDelivered-1)) * (0.5 + rand.Float64())
	return time.Duration(min(grown, float64(30*time.Second)))
}

// session returns the GUID of an agent and where its calls go.
func (h *byHand) session(agent string) (guid, gateway string) {
	text := h.sessions[agent]
	var s struct {
		GUID    string `json:"guid"`
		Gateway string `json:"gateway_url"`
	}
	if json.Unmarshal([]byte(text), &s) != nil {
		return text, h.gateway
	}
	return s.GUID, s.Gateway
}

const handInFlight = 32

func playByHand() (obeying, error) {
	h := &byHand{gateway: os.Getenv("IDLE_GATEWAY_URL"), sessions: map[string]string{}, limit: rate.NewLimiter(rate.Inf, 1)}
	if r, _ := strconv.ParseFloat(os.Getenv("IDLE_RATE"), 64); r > 0 {
		h.limit = rate.NewLimiter(rate.Limit(r), int(r/10))
	}
	h.backoff, _ = time.ParseDuration(os.Getenv("IDLE_BACKOFF_INITIAL")) // empty: none
	pem, err := os.ReadFile(os.Getenv("IDLE_GATEWAY_CA"))
	if err != nil {
		return obeying{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	h.calls = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: handInFlight, TLSClientConfig: &tls.Config{RootCAs: roots}, DisableCompression: true,
	}}
	nc, err := nats.Connect(os.Getenv("IDLE_NATS_URL"))
	if err != nil {
		return obeying{}, err
	}
	if h.js, err = jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(16384)); err != nil {
		return obeying{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := h.run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "by hand:", err)
			os.Exit(1)
		}
	}()
	return obeying{end: func() { cancel(); <-over; nc.Close() }}, nil
}

func (h *byHand) run(ctx context.Context) error {
	if err := h.readSessions(ctx); err != nil {
		return err
	}
	ackWait, _ := time.ParseDuration(os.Getenv("IDLEBENCH_ACKWAIT")) // empty: the server's 30 s
	c, err := h.js.CreateOrUpdateConsumer(ctx, "IDLEPOLICY_CHANGES", jetstream.ConsumerConfig{
		Durable: "by-hand", AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 10000,
	})
	if err != nil {
		return err
	}
	work := make(chan jetstream.Msg)
	var pool sync.WaitGroup
	for range handInFlight {
		pool.Go(func() {
			for m := range work {
				h.apply(context.WithoutCancel(ctx), m)
			}
		})
	}
	consuming, err := c.Consume(func(m jetstream.Msg) { work <- m }, jetstream.PullMaxMessages(1000))
	if err != nil {
		return err
	}
	<-ctx.Done()
	consuming.Drain() // what was pulled ahead would else come again after the ack wait only
	<-consuming.Closed()
	close(work)
	pool.Wait()
	<-h.js.PublishAsyncComplete()
	return nil
}

func (h *byHand) readSessions(ctx context.Context) error {
	kv, err := h.js.KeyValue(ctx, "idlepolicy_sessions")
	if err != nil {
		return err
	}
	watch, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watch.Stop() }()
	for entry := range watch.Updates() {
		if entry == nil {
			break
		}
		h.sessions[entry.Key()] = string(entry.Value())
	}
	return nil
}

// handResult is what a result has to say at least.
type handResult struct {
	Outcome    string    `json:"outcome"`
	AgentID    string    `json:"agent_id"`
	Retcode    string    `json:"retcode"`
	Message    string    `json:"message"`
	Flag       string    `json:"flag"`
	ChangeSeq  uint64    `json:"change_seq"`
	ReceivedAt time.Time `json:"received_at"`
	FinishedAt time.Time `json:"finished_at"`
}

func (h *byHand) apply(ctx context.Context, m jetstream.Msg) {
	if h.limit.Wait(ctx) != nil {
		return
	}
	var change struct {
		AgentID string `json:"agent_id"`
		Flag    string `json:"flag"`
	}
	r := handResult{Outcome: "applied"}
	err := json.Unmarshal(m.Data(), &change)
	if err == nil {
		r.AgentID, r.Flag = change.AgentID, change.Flag
		r.Retcode, r.Message, err = h.post(ctx, change.AgentID, change.Flag)
	}
	if err != nil {
		_ = m.NakWithDelay(h.pause(m)) // otherwise it comes again after the ack wait
		return
	}
	if meta, err := m.Metadata(); err == nil {
		r.ChangeSeq, r.ReceivedAt = meta.Sequence.Stream, meta.Timestamp
	}
	r.FinishedAt = time.Now()
	text, _ := json.Marshal(r)
	if _, err := h.js.PublishAsync("idlepolicy.result.applied."+r.AgentID, text); err == nil {
		_ = m.Ack() // else it comes again
	}
}

var errRefused = errors.New("refused")

func (h *byHand) post(ctx context.Context, agent, flag string) (retcode, message string, err error) {
	guid, gateway := h.session(agent)
	url := gateway + "/agentgateway/resource/onlineagent/" + agent + "/autoenteridle/" + flag
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	req.Header.Set("Guid", guid)
	resp, err := h.calls.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Retcode string `json:"retcode"`
		Message string `json:"message"`
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err == nil && answer.Retcode != "0" {
		err = errRefused
	}
	return answer.Retcode, answer.Message, err
}
