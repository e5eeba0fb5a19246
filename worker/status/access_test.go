//go:build browser

package status

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
)

// accessibilityFaults looks at the page as it is shown now.
func accessibilityFaults(b *tab) []string {
	b.Helper()
	faults := eval[[]string](b, structureFaults)
	faults = append(faults, eval[[]string](b, contrastFaults)...)
	faults = append(faults, nameFaults(b)...)
	return append(faults, axeFaults(b)...)
}

// nameFaults asks the browser itself for what a screen reader is told.
func nameFaults(b *tab) (faults []string) {
	b.Helper()
	named := []string{"button", "link", "textbox", "image", "progressbar", "heading", "region", "search", "DisclosureTriangle", "RootWebArea"}
	met := 0
	for _, node := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		role, name := said(node.Role), said(node.Name)
		if node.Ignored || !slices.Contains(named, role) {
			continue
		}
		met++
		if strings.TrimSpace(name) == "" && role != "search" {
			faults = append(faults, "a "+role+" has no name")
		}
		if role == "button" && said(node.Description) == "" && name != "Look up" && name != "Pause" && name != "Resume" && name != "Replay" {
			faults = append(faults, "the figure "+name+" does not say what it means")
		}
	}
	if met < 3 {
		faults = append(faults, fmt.Sprintf("only %d nodes were looked at", met))
	}
	return faults
}

func said(v *accessibility.Value) (text string) {
	if v != nil {
		_ = json.Unmarshal(v.Value, &text) // what is no text says nothing
	}
	return text
}

// structureFaults is a script that looks at headings, landmarks, labels, references and the size of what is to be hit.
const structureFaults = `(() => {
  const faults = [], all = (q) => [...document.querySelectorAll(q)];
  if (!document.documentElement.lang) faults.push("the page says no language");
  if (!document.title) faults.push("the page has no title");
  if (all("h1").length !== 1) faults.push(all("h1").length + " headings of the first level");
  let level = 0;
  for (const h of all("h1,h2,h3,h4,h5,h6")) {
    if (+h.nodeName[1] > level + 1) faults.push("the heading " + h.textContent + " skips a level");
    level = +h.nodeName[1];
  }
  for (const mark of ["main", "body > header"]) if (all(mark).length !== 1) faults.push(all(mark).length + " of " + mark);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    if (n.data.trim() && !n.parentElement.closest("header,main,footer,.skip,script,noscript")) faults.push("outside of all landmarks: " + n.data);
  }
  const ids = all("[id]").map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push("twice: the ID " + id);
  for (const name of ["aria-describedby", "aria-labelledby", "for"]) for (const e of all("[" + name + "]")) {
    if (!document.getElementById(e.getAttribute(name))) faults.push(name + " leads nowhere: " + e.getAttribute(name));
  }
  for (const e of all("input:not([type=hidden])")) if (!e.labels.length) faults.push("an input has no label: " + e.id);
  for (const e of all("button, summary, input:not([type=hidden]), a.agent")) {
    const box = e.getBoundingClientRect();
    if (e.checkVisibility() && (box.height < 24 || box.width < 24)) faults.push(e.textContent + " is hard to hit: " + box.width + " by " + box.height);
  }
  return faults;
})()`

// contrastFaults is a script that compares each text with what it stands on, as they are computed.
const contrastFaults = `(() => {
  const rgb = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { r: m[0], g: m[1], b: m[2], a: m.length > 3 ? m[3] : 1 }; };
  const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = (c) => 0.2126 * part(c.r) + 0.7152 * part(c.g) + 0.0722 * part(c.b);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; } return rgb("255 255 255"); };
  const faults = new Set();
  let met = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest("script,noscript,svg,progress") || (!e.checkVisibility() && !e.closest("details"))) continue;
    met++;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const enough = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5, got = ratio(rgb(style.color), ground(e));
    if (got < enough) faults.add(e.className + " " + n.data.trim().slice(0, 30) + ": contrast " + got.toFixed(2));
  }
  for (const e of document.querySelectorAll("svg path:not(.grid)")) {
    const got = ratio(rgb(getComputedStyle(e).stroke), ground(e));
    if (got < 3) faults.add("line " + e.getAttribute("class") + ": contrast " + got.toFixed(2));
  }
  for (const e of document.querySelectorAll("input, form button")) {
    const got = ratio(rgb(getComputedStyle(e).borderTopColor), ground(e.parentElement));
    if (got < 3) faults.add("border of " + e.id + ": contrast " + got.toFixed(2));
  }
  if (met < 3) faults.add("only " + met + " texts were looked at");
  return [...faults];
})()`

// axeFaults has axe-core look at the page.
func axeFaults(b *tab) (faults []string) {
	b.Helper()
	faults, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](axeCore(b.T)+`;
axe.run().then((r) => r.violations.flatMap((v) => v.nodes.map((n) => "axe: " + v.id + ": " + n.html + ": " + n.failureSummary)))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return faults
}

func axeCore(t *testing.T) string {
	t.Helper()
	file := os.Getenv(axeVariable)
	if file == "" {
		t.Fatalf("%s has to name the file axe.min.js of the npm package axe-core, which the page is checked with", axeVariable)
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}
