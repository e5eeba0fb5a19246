package service

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"idlepolicy/cmd/internal/sheet"
	"idlepolicy/worker/status"
	"idlepolicy/worker/status/httpauth"
	"idlepolicy/worker/stream/desk"
)

// api returns what programs may do over HTTP. It works as idlectl does, so any replica can be used.
func (s *Service) api() (*status.API, error) {
	a := &status.API{
		Publish: s.publish, Results: s.results,
		Explain: func(ctx context.Context, agent string, last int) (x any, err error) {
			err = s.asked(func(d *desk.Desk) error { x, err = d.Gather(ctx, agent, last); return err })
			return x, err
		},
		Batch: func(ctx context.Context, id string) (body []byte, err error) {
			err = s.asked(func(d *desk.Desk) error { body, err = d.BatchNow(ctx, id); return err })
			return body, err
		},
		LastSeq: func(ctx context.Context) (seq uint64, err error) {
			err = s.asked(func(d *desk.Desk) error { seq, err = d.LastSeq(ctx); return err })
			return seq, err
		},
		Streams: func(ctx context.Context) (o any, err error) {
			err = s.asked(func(d *desk.Desk) error { o, err = d.Overview(ctx); return err })
			return o, err
		},
	}
	if s.Config.HTTPPublishersFile == "" {
		return a, nil
	}
	a.Publishers = &httpauth.Tokens{Path: s.Config.HTTPPublishersFile, Insecure: s.Config.HTTPInsecure, Log: s.Log}
	if err := a.Publishers.Load(); err != nil {
		return nil, fmt.Errorf("IDLE_HTTP_PUBLISHERS_FILE=%s: %w", s.Config.HTTPPublishersFile, err)
	}
	return a, nil
}

// asked calls f with a connection to the site, if this process is connected.
func (s *Service) asked(do func(d *desk.Desk) error) error {
	d := s.link.desk()
	if d == nil {
		return errNotYet
	}
	return do(d)
}

// publish parses what was posted as idlectl publish parses a file, and stores it.
func (s *Service) publish(ctx context.Context, p status.Post) (status.Receipt, error) {
	d := s.link.desk()
	if d == nil {
		return status.Receipt{}, errNotYet
	}
	read, err := sheet.Read("the body", p.Format, p.Body, sheet.Stamp{})
	if err != nil {
		return status.Receipt{}, unusable(sheet.Problem{Line: 1, Message: err.Error()})
	}
	if len(read.Problems) > 0 {
		return status.Receipt{}, unusable(read.Problems...)
	}
	read.SetSource(p.Source)
	if err := read.Fits(d.MaxPayload()); err != nil {
		return status.Receipt{}, unusable(sheet.Problem{Line: 1, Message: err.Error()})
	}
	r := status.Receipt{Stream: d.ChangesStream(), Changes: read.Changes()}
	stored := 0
	err = d.Store(ctx, publications(read, p.Key), func(st desk.Stored) {
		stored++
		if st.Duplicate {
			r.Duplicates++
		}
		if r.FirstSeq == 0 || st.Seq < r.FirstSeq {
			r.FirstSeq = st.Seq
		}
		r.LastSeq = max(r.LastSeq, st.Seq)
	})
	if err != nil {
		return r, notStored(stored, len(read.Messages), p.Key, err)
	}
	return r, nil
}

// notStored says how much of a publication was stored, and how to continue.
func notStored(stored, all int, key string, err error) error {
	again := "repeat the request with the same Idempotency-Key, and no message is stored twice"
	switch {
	case key == "" && stored > 0:
		again = "the request had no Idempotency-Key, so a repetition publishes those again"
	case key == "":
		again = "repeat the request, with an Idempotency-Key"
	}
	return fmt.Errorf("the stream has stored %d of %d messages; %s: %w", stored, all, again, err)
}

// publications returns the messages to publish. The ID of a single one is the key, those of several are made of the key and their place
// and content.
func publications(read *sheet.Sheet, key string) iter.Seq[desk.Publication] {
	if key == "" {
		return read.Publications("http-" + strings.ToLower(rand.Text()))
	}
	if len(read.Messages) > 1 {
		return read.Publications(key)
	}
	m := read.Messages[0]
	return slices.Values([]desk.Publication{{ID: key, Body: m.Body, Agents: m.Agents}})
}

func unusable(all ...sheet.Problem) error {
	u := &status.Unusable{}
	for _, p := range all {
		u.Problems = append(u.Problems, status.Problem{Line: p.Line, Column: p.Column, Field: p.Field, Message: p.Message})
	}
	return u
}

func (s *Service) results(ctx context.Context, q status.ResultQuery, each func(seq uint64, result []byte) error) error {
	return s.asked(func(d *desk.Desk) error {
		query := desk.Query{
			Agent: q.Agent, Outcomes: q.Outcomes, Batch: q.Batch, Seq: q.From, Last: q.Last, Since: q.Since, Live: q.Follow,
		}
		return d.Results(ctx, query, func(e desk.Event) error { return each(e.Seq, bytes.TrimSpace(e.Raw)) })
	})
}

// certificate returns the HTTP server's certificate; nil: it serves plain HTTP.
func (s *Service) certificate() (*httpauth.Certificate, error) {
	if s.Config.HTTPCert == "" {
		return nil, nil
	}
	c := &httpauth.Certificate{Cert: s.Config.HTTPCert, Key: s.Config.HTTPKey, Log: s.Log}
	if err := c.Load(); err != nil {
		return nil, errors.Join(errors.New("IDLE_HTTP_CERT and IDLE_HTTP_KEY cannot be used"), err)
	}
	return c, nil
}
