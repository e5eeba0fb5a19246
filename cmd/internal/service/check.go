package service

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"idlepolicy/config"
	"idlepolicy/worker/status"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/stream/access"
	"idlepolicy/worker/trace"
)

// checkWithin bounds what each check may take when nothing answers.
const checkWithin = 15 * time.Second

// Check tries to reach everything that the configuration names, and prints one line for each. It changes nothing. It reports whether
// all of it can be reached.
func Check(ctx context.Context, c config.Config, w io.Writer) bool {
	fmt.Fprintln(w, "ok      configuration")
	for _, warning := range c.Warnings() {
		fmt.Fprintln(w, "warning "+warning)
	}
	all := true
	for _, check := range []func(context.Context, config.Config, io.Writer) bool{checkNATS, checkGateway, checkAddress, checkTraces} {
		all = within(ctx, func(ctx context.Context) bool { return check(ctx, c, w) }) && all
	}
	return all
}

// within gives each check its own time limit, so that one without an answer does not make the next one fail.
func within(ctx context.Context, check func(context.Context) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	return check(ctx)
}

func checkTraces(ctx context.Context, _ config.Config, w io.Writer) bool {
	on, err := trace.Check(ctx)
	if !on && err == nil {
		return true
	}
	return say(w, "traces, as the OTEL_ variables have them", err)
}

func say(w io.Writer, what string, err error) bool {
	if err != nil {
		fmt.Fprintf(w, "FAILED  %s: %v\n", what, err)
		return false
	}
	fmt.Fprintln(w, "ok      "+what)
	return true
}

func checkNATS(ctx context.Context, c config.Config, w io.Writer) bool {
	conn, err := stream.Connect(ctx, natsOptions(c, ProcessName(), nil))
	if err != nil {
		return say(w, "NATS", err)
	}
	defer conn.Close()
	say(w, fmt.Sprintf("NATS at %s, server version %s", stream.Where(conn), conn.ConnectedServerVersion()), nil)
	notes, err := stream.OtherServers(ctx, natsOptions(c, ProcessName(), nil), conn)
	for _, note := range notes {
		fmt.Fprintln(w, "warning "+note)
	}
	if err != nil {
		return say(w, "every server of "+access.RedactAll(c.NATSURLs), err)
	}
	remarks, err := stream.Report(ctx, conn, layout(c))
	if !say(w, "streams and buckets of "+c.Prefix, err) {
		return false
	}
	for _, r := range remarks {
		fmt.Fprintln(w, "        "+r)
	}
	// If it cannot be read, none is set, or the streams and buckets above have said why.
	if rate, err := stream.OperatorsRate(ctx, conn, layout(c).Names); err == nil && rate != nil && *rate != c.Rate {
		fmt.Fprintf(w, "warning an operator set the rate to %s calls per second: IDLE_RATE=%s holds again after idlectl rate configured\n",
			plainNumber(*rate), plainNumber(c.Rate))
	}
	return true
}

func checkGateway(ctx context.Context, c config.Config, w io.Writer) bool {
	what := "gateway at " + c.GatewayURL
	client, err := newGateway(c, nil, nil)
	if err != nil {
		return say(w, what, err)
	}
	return say(w, what, client.Check(ctx))
}

func checkAddress(ctx context.Context, c config.Config, w io.Writer) bool {
	if c.HTTPAddr == "" {
		return true
	}
	what := "IDLE_HTTP_ADDR=" + c.HTTPAddr
	note, err := status.CheckAddress(ctx, c.HTTPAddr, status.Process{Program: "idleworker", Site: c.Prefix})
	if note != "" {
		what += ": " + note
	}
	return say(w, what, err)
}

func plainNumber(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
