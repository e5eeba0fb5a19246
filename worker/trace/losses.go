package trace

import (
	"context"
	"log/slog"
	"net/url"
	"strings"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// losses is an exporter that drops spans that cannot be sent, because traces must not hold up the worker or fill its memory. It logs
// once when that begins and once when it ends.
type losses struct {
	sdk.SpanExporter
	log     *slog.Logger
	secrets *strings.Replacer
	batches int // lost since the collector last took one
}

func newLosses(e sdk.SpanExporter, log *slog.Logger) *losses {
	return &losses{SpanExporter: e, log: log, secrets: secrets()}
}

// ExportSpans implements sdk.SpanExporter. It is called for one batch after the other, and logs all failures itself.
func (l *losses) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && l.batches == 0:
		l.log.Warn("spans are lost until the collector takes them again", "err", l.plain(err))
		fallthrough
	case err != nil:
		l.batches++
	case l.batches > 0:
		l.log.Info("the collector takes spans again", "lost_batches", l.batches)
		l.batches = 0
	}
	return nil
}

// longest is what the log has room for: the exporter puts the collector's whole answer into its errors.
const longest = 300

// plain is the text of an error as it may be shown. An answer can repeat what was wrong with a credential.
func (l *losses) plain(err error) string {
	text := l.secrets.Replace(err.Error())
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}

// secrets hides each word of the headers' values, since "Bearer" stands before what is secret.
func secrets() *strings.Replacer {
	var pairs []string
	_, all := setting("HEADERS")
	for pair := range strings.SplitSeq(all, ",") {
		_, value, _ := strings.Cut(pair, "=")
		plain, _ := url.PathUnescape(value) // what cannot be read was refused at the start
		for word := range strings.FieldsSeq(plain) {
			pairs = append(pairs, word, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}
