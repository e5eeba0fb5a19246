package status

import (
	"embed"
	"html/template"
	"net/http"
	"reflect"
	"strings"
	"time"

	"idlepolicy/messages"
	"idlepolicy/worker/view"
)

//go:embed page
var files embed.FS

// assets are the files that the page loads, and their types.
var assets = map[string]string{
	"style.css": "text/css; charset=utf-8",
	"script.js": "text/javascript; charset=utf-8",
	"icon.svg":  "image/svg+xml",
}

func asset(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		text, err := files.ReadFile("page/" + name)
		if err != nil {
			http.Error(w, "there is no such file", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(text) // a client that went away is not worth a line
	}
}

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"clock": clock, "ago": ago, "lasting": lasting, "count": count, "rate": perSecond, "flag": messages.PolicyText, "sign": outcomeSign,
	"covered": func(c view.CoverState) string { return coverText[c] }, "why": whyText, "said": lastCallText,
	"details": details, "first": first, "rest": rest,
}).ParseFS(files, "page/*.html"))

// sheet is the data of the templates.
type sheet struct {
	Base    string // the way from this page to the first one
	Title   string
	Site    string
	Actions bool
	Error   string // what is wrong with what was asked for
	Asked   string // the agent that was asked for
	Agent   agentSheet

	site
	Headline string
	Gate     []figure
	Work     []figure
	SignedIn []figure
	Plot     plot
	Batches  []batchLine
	Waits    []waitLine
	Covering covering
	Covered  coverList
	Hidden   hidden
}

// hidden is how many entries of each list are not shown.
type hidden struct{ Waits, Trouble, Batches int }

// How many lines of each list the page shows, so that it stays small however much happens.
const (
	shownResults = 25
	shownTrouble = 50
	shownWaits   = 50
	shownBatches = 25
)

// openLines is how many lines of a list are seen before it is opened.
const openLines = 8

func first(list reflect.Value) reflect.Value { return list.Slice(0, min(list.Len(), openLines)) }

func rest(list reflect.Value) reflect.Value {
	return list.Slice(min(list.Len(), openLines), list.Len())
}

func (s *Server) sheet(base string) sheet {
	return sheet{Base: base, Title: "Idle policy", Site: s.Site, Actions: s.Actions != nil}
}

// siteSheet is the sheet of the first page.
func (s *Server) siteSheet() sheet {
	p := s.sheet("")
	p.site = s.site()
	p.Plot = newPlot(p.History)
	p.Hidden.Trouble = max(0, len(p.Trouble)-shownTrouble)
	p.Trouble = p.Trouble[:min(len(p.Trouble), shownTrouble)]
	p.Last = p.Last[:min(len(p.Last), shownResults)]
	p.SignedIn = sessionFigures(p.Sessions)
	p.Headline = headline(&p.site)
	if v := p.View; v != nil {
		p.Gate, p.Work = gateFigures(v), workFigures(v)
		p.Batches, p.Hidden.Batches = batchLines(v)
		p.Waits, p.Hidden.Waits = waitLines(v)
		p.Covering = newCovering(v)
	}
	return p
}

// sectionNames are the parts of the first page that change while it is open: each is an element of this ID and the
// template of its content.
var sectionNames = []string{"headline", "coverage", "owner", "gate", "burst", "batches", "trouble", "waits", "results", "sessions"}

// sections returns the parts of the first page as they are now.
func (s *Server) sections() []section {
	p := s.siteSheet()
	all := make([]section, 0, len(sectionNames))
	for _, name := range sectionNames {
		var b strings.Builder
		if err := pages.ExecuteTemplate(&b, name, &p); err != nil {
			s.log().Error("part of the page not made", "part", name, "err", err)
		}
		all = append(all, section{ID: name, HTML: b.String()})
	}
	return all
}

// page is the first page.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	p := s.siteSheet()
	s.write(w, http.StatusOK, "page.html", &p)
}

// findAgent redirects a search to the page of the agent.
func (s *Server) findAgent(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimSpace(r.FormValue("id"))
	if messages.ValidAgentID(id) {
		w.Header().Set("Location", "agents/"+id) // relative, as a proxy may have put us below a path of its own
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p := s.sheet("")
	p.Title, p.Asked, p.Error = "No such agent", id, badAgentID
	s.write(w, http.StatusBadRequest, "search.html", &p)
}

// agentPage is the page of one agent.
func (s *Server) agentPage(w http.ResponseWriter, r *http.Request) {
	p := s.sheet("../")
	id := r.PathValue("id")
	if !messages.ValidAgentID(id) {
		p.Title, p.Asked, p.Error = "No such agent", id, badAgentID
		s.write(w, http.StatusBadRequest, "search.html", &p)
		return
	}
	p.Title, p.Asked = "Agent "+id, id
	p.Agent, p.At = s.agentSheet(r, id), time.Now()
	s.write(w, http.StatusOK, "agent.html", &p)
}

// write renders the whole page before it sends the first byte: half a page with status 200 would look complete.
func (s *Server) write(w http.ResponseWriter, code int, name string, p *sheet) {
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, name, p); err != nil {
		s.log().Error("page not made", "page", name, "err", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(b.String())) // a client that went away is not worth a line
}
