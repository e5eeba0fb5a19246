package service

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/config"
)

// NewLog returns the log that the configuration asks for. By default it is for people on a terminal and JSON elsewhere.
func NewLog(c config.Config, to *os.File) *slog.Logger {
	forEyes := c.LogFormat == "tint" || (c.LogFormat == "auto" && term.IsTerminal(int(to.Fd())))
	return slog.New(logHandler(to, c.LogLevel, forEyes))
}

func logHandler(to io.Writer, level slog.Level, forEyes bool) slog.Handler {
	if forEyes {
		return tint.NewTextHandler(to, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: colourless(), ReplaceAttr: readable})
	}
	return slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level, ReplaceAttr: readable})
}

// colourless reports whether the terminal has no colours, or its user wants none (no-color.org).
func colourless() bool { return os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" }

// readable writes durations as text, because slog's JSON would count nanoseconds. It cleans texts, which may quote a stranger: tint
// writes the escape character as it is, and slog's JSON everything above ASCII.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value.Any().(type) {
	case time.Duration:
		a.Value = slog.StringValue(v.String())
	case string:
		a.Value = slog.StringValue(terminal.Clean(v))
	case error:
		a.Value = slog.StringValue(terminal.Clean(v.Error()))
	}
	return a
}
