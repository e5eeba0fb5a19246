//go:build browser

package status

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"idlepolicy/worker/view"
)

// noReload marks the page: the mark is gone once it is loaded again.
const noReload = `window.same = true`

// text is what the page shows in an element.
func (b *tab) text(id string) string {
	b.Helper()
	return eval[string](b, `document.getElementById("`+id+`").innerText`)
}

func (b *tab) press(key string) {
	b.Helper()
	b.do(chromedp.KeyEvent(key))
}

func TestPageIsLive(t *testing.T) {
	s := newStage().busy().open(t)
	b := newTab(t, s.url)
	b.visit(s.url, 1280, 800, "light")
	eval[bool](b, noReload)
	s.worker.set(func(a *actor) {
		a.view.Gate = view.GateState{State: "paused", Why: "an operator paused it", Limit: 50, Rate: 50}
		a.view.Due, a.view.Batches = 98_765, nil
	})
	b.wait(`document.getElementById("headline").textContent.includes("The gate is paused")`)
	b.wait(`document.getElementById("due").innerText.includes("98,765")`)
	b.wait(`document.getElementById("batches").innerText.includes("No batch is under way")`)
	b.wait(`window.same`)
	b.clean()
}

// The owner is killed while the page of a standby is open. That page shows the new owner, which is its own process.
func TestPageOfTheStandbyShowsTheNewOwner(t *testing.T) {
	s := newStage()
	s.server.Name = "w2"
	s.worker.set(func(a *actor) { a.ok = false })
	s.owner.set(func(a *actor) { a.ok, a.view = true, view.View{Gate: view.GateState{State: "open", Rate: 50}} })
	s.set(func(s *stage) { s.role = Role{Role: view.RoleStandby, Owner: "w1"} })
	s.open(t)
	b := newTab(t, s.url)
	b.visit(s.url, 390, 844, "dark")
	eval[bool](b, noReload)
	b.wait(`document.getElementById("headline").textContent.startsWith("w1 is the owner")`)
	s.owner.set(func(a *actor) { a.stuck = true })
	s.set(func(s *stage) { s.replicas = s.replicas[1:] })
	b.wait(`!document.getElementById("owner").innerText.includes("w1")`)
	s.worker.set(func(a *actor) { a.ok = true })
	s.set(func(s *stage) {
		s.role = Role{Role: view.RoleOwner, Owner: "w2"}
		s.replicas = []view.Replica{{Name: "w2", Role: view.RoleOwner}}
	})
	b.wait(`document.getElementById("headline").textContent.startsWith("w2 is the owner")`)
	b.wait(`document.querySelector("#owner strong").textContent === "owner"`)
	b.wait(`window.same`)
	b.clean()
}

// What the reader does with the page stays as it is while the figures change under it.
func TestPageKeepsTheReadersPlace(t *testing.T) {
	s := newStage().busy().crowded().open(t)
	b := newTab(t, s.url)
	b.visit(s.url, 1280, 800, "light")
	b.wait(`document.querySelectorAll("#waits details").length === 1`)
	eval[bool](b, noReload)
	eval[bool](b, `document.querySelector("#waits details").open = true`)
	eval[bool](b, `document.getElementById("agent-id").value = "12"; document.querySelector("#due button").focus(); true`)
	s.worker.set(func(a *actor) { a.view.Due = 7_000; a.view.Waits = a.view.Waits[3:] })
	b.wait(`document.getElementById("due").innerText.includes("7,000")`)
	b.wait(`!document.getElementById("waits").innerText.includes("100002")`)
	for what, holds := range map[string]string{
		"the focus":      `document.activeElement === document.querySelector("#due button")`,
		"the open list":  `document.querySelector("#waits details").open`,
		"what was typed": `document.getElementById("agent-id").value === "12"`,
		"the meaning":    `document.getElementById("due-means").checkVisibility()`,
	} {
		if !eval[bool](b, holds) {
			t.Errorf("%s is lost", what)
		}
	}
	b.clean()
}

func TestPageByKeyboard(t *testing.T) {
	s := newStage().busy().open(t)
	b := newTab(t, s.url)
	b.visit(s.url, 1280, 800, "light")
	b.press(kb.Tab)
	if got := eval[string](b, `document.activeElement.className`); got != "skip" {
		t.Errorf("the first stop is %q", got)
	}
	stops := eval[int](b, `document.querySelectorAll("main button, main input, main a, main summary").length`)
	if stops < 15 {
		t.Fatalf("only %d things to reach", stops)
	}
	met := map[string]bool{}
	for range stops {
		b.press(kb.Tab)
		met[eval[string](b, `(window.seen ??= []).push(document.activeElement) + ""`)] = true
		if !eval[bool](b, `(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; })()`) {
			t.Errorf("the focus cannot be seen on %s", eval[string](b, `document.activeElement.outerHTML`))
		}
	}
	if missed := eval[string](b, `[...document.querySelectorAll("main button, main input, main a, main summary")].filter((e) => !seen.includes(e)).map((e) => e.outerHTML).join("\n")`); missed != "" || len(met) != stops {
		t.Errorf("not reached: %s", missed)
	}
	b.clean()
}

func TestEveryFigureHasAnExplanation(t *testing.T) {
	s := newStage().busy().crowded().open(t)
	b := newTab(t, s.url)
	shown := func(id string) bool {
		return eval[bool](b, `(() => { const e = document.getElementById("`+id+`-means"), r = e.getBoundingClientRect();
			return e.checkVisibility() && r.left >= 0 && r.right <= document.documentElement.clientWidth && r.width > 200; })()`)
	}
	for _, wide := range []int64{390, 1280} {
		b.visit(s.url, wide, 900, "light")
		ids := eval[[]string](b, `[...document.querySelectorAll(".figure")].map((e) => e.id)`)
		if len(ids) < 15 {
			t.Fatalf("only %d figures", len(ids))
		}
		for _, id := range ids {
			if shown(id) {
				t.Errorf("%s tells before it is asked", id)
			}
			if wide == 390 {
				b.do(chromedp.Tap(chromedp.CSS("#" + id + " button")))
			} else {
				eval[bool](b, `document.querySelector("#`+id+` button").focus(), true`)
			}
			if !shown(id) {
				t.Errorf("%d pixels: %s does not tell", wide, id)
			}
			if id == "gate-state" || id == "unfinished" {
				b.shoot(fmt.Sprintf("meaning-%s-%d", id, wide))
			}
			b.press(kb.Escape)
			if shown(id) {
				t.Errorf("%d pixels: Escape does not put %s away", wide, id)
			}
		}
	}
	b.clean()
}

func TestSearchByKeyboard(t *testing.T) {
	s := newStage().busy().crowded().open(t)
	b := newTab(t, s.url)
	b.visit(s.url, 390, 844, "light")
	b.do(chromedp.Focus(chromedp.CSS("#agent-id")))
	b.do(chromedp.KeyEvent("1001\r"))
	b.do(chromedp.WaitVisible(chromedp.CSS("#now")))
	if got := eval[string](b, `location.pathname`); got != "/agents/1001" {
		t.Errorf("led to %s", got)
	}
	eval[bool](b, noReload)
	s.worker.set(func(a *actor) { a.agents = map[string]view.AgentView{"1001": {AgentID: "1001"}} })
	b.wait(`document.getElementById("now").innerText.includes("not signed in")`) // it is live, too
	b.wait(`window.same`)
	b.clean()
}

// Without a connection the page says so, with the time from which its figures are, and comes back by itself.
func TestPageShowsThatItIsOld(t *testing.T) {
	s := newStage().busy().open(t)
	address := s.server.Address()
	b := newTab(t, s.url)
	b.visit(s.url, 1280, 800, "light")
	b.wait(`document.getElementById("connection").hidden`)
	s.stop()
	b.wait(`document.getElementById("connection").innerText.startsWith("No connection since")`)
	again := newStage().busy()
	again.server.Addr = address
	again.worker.set(func(a *actor) { a.view.Due = 31_337 })
	again.open(t)
	b.wait(`document.getElementById("connection").hidden && document.getElementById("due").innerText.includes("31,337")`)
}

func TestPageWithoutScripts(t *testing.T) {
	s := newStage().busy().open(t)
	b := newTab(t, s.url)
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(s.url, 390, 844, "light")
	if text := b.text("gate") + b.text("owner") + b.text("batches"); !strings.Contains(text, "25/s") || !strings.Contains(text, "UTC") {
		t.Errorf("the page says %s", text)
	}
	b.clean()
}

func TestPauseInTheBrowser(t *testing.T) {
	s := newStage().busy()
	paused := make(chan struct{}, 1)
	s.server.Actions = &Actions{Token: "sesame", Pause: func(context.Context) error { paused <- struct{}{}; return nil }}
	s.open(t)
	b := newTab(t, s.url)
	b.visit(s.url, 390, 844, "light")
	b.do(chromedp.Focus(chromedp.CSS("#token")))
	b.do(chromedp.KeyEvent("sesame\r"))
	b.do(chromedp.WaitVisible(chromedp.CSS("nav a")))
	<-paused
	if said := b.text("main"); !strings.HasPrefix(said, "The gate is paused") {
		t.Errorf("the page says %q", said)
	}
	b.shoot("paused")
	if got := eval[string](b, `location.pathname`); got != "/actions/pause" {
		t.Errorf("led to %s", got)
	}
	b.do(chromedp.Click(chromedp.CSS("nav a")), chromedp.WaitVisible(chromedp.CSS("#token")))
	if got := eval[string](b, `document.getElementById("token").value`); got != "" {
		t.Errorf("the page keeps the token %q", got)
	}
	b.clean()
}
