package service

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"idlepolicy/config"
)

// NewLog returns the log that the configuration asks for: for eyes on a terminal, for machines elsewhere.
func NewLog(c config.Config, to *os.File) *slog.Logger {
	eyes := c.LogFormat == "tint" || (c.LogFormat == "auto" && term.IsTerminal(int(to.Fd())))
	return slog.New(logHandler(to, c.LogLevel, eyes))
}

func logHandler(to io.Writer, level slog.Level, eyes bool) slog.Handler {
	if eyes {
		return tint.NewTextHandler(to, &tint.Options{Level: level, TimeFormat: time.TimeOnly})
	}
	return slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level, ReplaceAttr: readable})
}

// readable writes durations as people say them: slog's JSON would count nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
