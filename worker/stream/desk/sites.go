package desk

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"idlepolicy/messages"
	"idlepolicy/worker/stream"
	"idlepolicy/worker/view"
)

// Site is one of the sites of a NATS system, at a glance.
type Site struct {
	Prefix     string         `json:"prefix"`
	Owner      string         `json:"owner"`      // empty: none answers
	Replicas   int            `json:"replicas"`   // that answer
	Ready      bool           `json:"ready"`      // an owner answers, and its gate is open
	Trouble    string         `json:"trouble"`    // why it is not ready
	Unfinished uint64         `json:"unfinished"` // messages in the stream of changes
	Coverage   *view.Coverage `json:"coverage"`   // nil: no owner answers
	Rate       *float64       `json:"rate"`       // calls per second that the gate lets through, 0: no limit; nil: no owner answers
}

// sitesAtOnce is how many sites are asked at the same time.
const sitesAtOnce = 16

// Sites finds the sites of the NATS system by their streams of changes, whatever prefix the desk has, and asks each how it is. They
// come in the order of their prefixes.
func (d *Desk) Sites(ctx context.Context) ([]Site, error) {
	var sites []Site
	listing := d.js.ListStreams(ctx)
	for info := range listing.Info() {
		if prefix, ok := stream.PrefixOfChanges(info.Config); ok {
			sites = append(sites, Site{Prefix: prefix, Unfinished: info.State.Msgs})
		}
	}
	if err := listing.Err(); err != nil {
		return nil, d.trouble("list the streams", "stream", err)
	}
	if len(sites) == 0 {
		return nil, &Unreachable{"no site on " + d.where + ": no worker has made its streams there, or this user's account is another one"}
	}
	slices.SortFunc(sites, func(a, b Site) int { return cmp.Compare(a.Prefix, b.Prefix) })
	places := make(chan struct{}, sitesAtOnce)
	var asking sync.WaitGroup
	for i := range sites {
		places <- struct{}{}
		asking.Go(func() {
			defer func() { <-places }()
			sites[i].ask(ctx, &Desk{By: d.By, names: messages.Names{Prefix: sites[i].Prefix}, nc: d.nc, js: d.js, where: d.where})
		})
	}
	asking.Wait()
	return sites, ctx.Err()
}

func (s *Site) ask(ctx context.Context, d *Desk) {
	var st Status
	err := d.ask(ctx, "status", question{}, &st)
	s.Replicas = len(st.Replicas)
	for _, r := range st.Replicas {
		if r.Role == view.RoleOwner {
			s.Owner = r.Name
		}
		s.Trouble = cmp.Or(s.Trouble, r.Trouble)
	}
	switch {
	case err != nil:
		s.Trouble = err.Error()
	case st.View == nil:
		s.Trouble = cmp.Or(s.Trouble, ErrNoOwner.Error())
	default:
		s.Coverage, s.Rate = &st.View.Coverage, &st.View.Gate.Rate
		s.Trouble = cmp.Or(st.View.Gate.Why, s.Trouble)
		s.Ready = s.Trouble == ""
	}
}
