package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"idlepolicy/cmd/internal/terminal"
	"idlepolicy/worker/stream/desk"
)

func (a *app) sites() *cobra.Command {
	return &cobra.Command{
		Use:   "sites",
		Short: "Show all sites of the NATS system, one on each line",
		Long: `Show all sites of the NATS system, one on each line. Sites are found by their streams, so --prefix does not matter; the user must
be allowed to list streams and to ask the workers of each site. If a site is not ready, the exit status is 1.`,
		Args: none,
		RunE: a.verb(func(ctx context.Context, d *desk.Desk, _ []string) error { return a.showSites(ctx, d) }),
	}
}

func (a *app) showSites(ctx context.Context, d *desk.Desk) error {
	sites, err := d.Sites(ctx)
	if err != nil {
		return err
	}
	troubled := 0
	for _, s := range sites {
		if !s.Ready {
			troubled++
		}
	}
	if a.json {
		err = a.printJSON(sites)
	} else {
		a.siteTable(sites)
	}
	if troubled > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %s not ready", troubled, terminal.Plural(len(sites), "site")))
	}
	return err
}

func (a *app) siteTable(sites []desk.Site) {
	t := terminal.NewTable(a.stdout, "site", "owner", "state", "unfinished", "coverage", "rate")
	for _, s := range sites {
		state, coverage, rate := "ready", "", ""
		if !s.Ready {
			state = terminal.Clean(s.Trouble)
		}
		if c := s.Coverage; c != nil {
			coverage, rate = fmt.Sprintf("%d of %d", c.InForce, c.Agents()), perSecond(*s.Rate)
		}
		t.AppendRow([]any{s.Prefix, terminal.Clean(s.Owner), state, s.Unfinished, coverage, rate})
	}
	t.Render()
}
