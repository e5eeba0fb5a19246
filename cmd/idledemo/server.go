package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const readyWithin = 5 * time.Minute // a machine that is very busy needs half a minute

// startNATS starts a server with JetStream on a port of the loopback interface; 0: a free one.
func startNATS(dir string, port int, log *slog.Logger) (*server.Server, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "idledemo", Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir,
		NoSigs: true, // Ctrl-C is ours: the worker stops before its server does
	})
	if err != nil {
		return nil, fmt.Errorf("make the NATS server: %w", err)
	}
	said := &serverLog{log: log}
	s.SetLogger(said, false, false)
	s.Start()
	if said.fatal.Load() == nil && s.ReadyForConnections(readyWithin) {
		return s, nil
	}
	stopNATS(s)
	if why := said.fatal.Load(); why != nil {
		return nil, errors.New("start the NATS server: " + *why)
	}
	return nil, errors.New("start the NATS server: it is not ready after " + readyWithin.String())
}

// stopNATS returns when the server has let go of its store.
func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// serverLog is what the server says, in the log of the worker. Without it the server would say nothing, and end the process
// for an address that is taken.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string] // the error that ended it; nil: none
}

// Noticef and the others are the levels that the server knows. Its warnings are about a store in a temporary directory and
// other things that are meant here.
func (l *serverLog) Noticef(format string, v ...any) { l.at(slog.LevelInfo, format, v) }

// Warnf is for what is meant here.
func (l *serverLog) Warnf(format string, v ...any) { l.at(slog.LevelInfo, format, v) }

// Errorf is for what went wrong.
func (l *serverLog) Errorf(format string, v ...any) { l.at(slog.LevelError, format, v) }

// Debugf is off.
func (l *serverLog) Debugf(format string, v ...any) { l.at(slog.LevelDebug, format, v) }

// Tracef is off.
func (l *serverLog) Tracef(format string, v ...any) { l.at(slog.LevelDebug, format, v) }

// Fatalf records the error that ends the server.
func (l *serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.fatal.Store(&why) // whoever starts the server says it
	l.at(slog.LevelInfo, format, v)
}

func (l *serverLog) at(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats-server", "says", fmt.Sprintf(format, v...))
}
