// Keeps the page as the server has it now. Without it the page is whole, too, and the browser loads it anew by itself.
"use strict";

const main = document.getElementById("main");
const connection = document.getElementById("connection");

// morph turns what is there into what is wanted and leaves alone what is the same, so that the focus, an open table
// and a meaning that is being read stay where they are.
function morph(there, wanted) {
  const fresh = [...wanted.childNodes];
  fresh.forEach((want, i) => {
    const have = there.childNodes[i];
    if (!have) {
      there.append(want);
    } else if (have.nodeType !== want.nodeType || have.nodeName !== want.nodeName || (want.id && have.id !== want.id)) {
      have.replaceWith(want);
    } else if (have.nodeType !== Node.ELEMENT_NODE) {
      if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
    } else if (have.nodeName === "TIME") {
      for (const name of ["datetime", "data-show"]) have.setAttribute(name, want.getAttribute(name));
      tell(have);
    } else {
      attributes(have, want);
      morph(have, want);
    }
  });
  while (there.childNodes.length > fresh.length) there.lastChild.remove();
}

function attributes(have, want) {
  for (const a of want.attributes) if (have.getAttribute(a.name) !== a.value) have.setAttribute(a.name, a.value);
  for (const a of [...have.attributes]) {
    if (!want.hasAttribute(a.name) && !(have.nodeName === "DETAILS" && a.name === "open")) have.removeAttribute(a.name);
  }
}

function show(id, html) {
  const there = document.getElementById(id);
  if (!there) return;
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  morph(there, wanted.content);
  there.querySelectorAll("time").forEach(tell);
}

// Times: in the reader's own zone, and how long ago or until then.
const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function span(seconds) {
  const at = units.findIndex(([, size]) => seconds >= size);
  if (at < 0) return "0 s";
  const [name, size] = units[at];
  const [less, part] = units[at + 1] || ["", 0];
  const rest = part ? Math.floor((seconds % size) / part) : 0;
  return Math.floor(seconds / size) + " " + name + (rest ? " " + rest + " " + less : "");
}

function tell(time) {
  const at = new Date(time.dateTime);
  let text;
  const seconds = Math.round((Date.now() - at) / 1000);
  if (time.dataset.show === "lasting") {
    text = "for " + span(Math.max(0, seconds));
  } else if (time.dataset.show === "ago") {
    text = seconds >= 0 ? span(seconds) + " ago" : "in " + span(-seconds);
  } else {
    const near = Math.abs(Date.now() - at) < 12 * 3600 * 1000;
    text = near ? at.toLocaleTimeString() : at.toLocaleString();
  }
  if (time.textContent !== text) time.textContent = text;
  const title = at.toLocaleString();
  if (time.title !== title) time.title = title;
}

const tellAll = () => document.querySelectorAll("time").forEach(tell);
tellAll();
setInterval(tellAll, 1000);

// The line that says that the page is old.
let heard = new Date();

function lost() {
  connection.textContent = "No connection since " + heard.toLocaleTimeString() + ": what is shown is from then. Trying again.";
  connection.hidden = false;
}

function found() {
  heard = new Date();
  connection.hidden = true;
  connection.textContent = "";
}

// A server that froze closes no connection, but it says nothing any more either: it does at least every 10 s.
function listen() {
  const events = new EventSource(main.dataset.events);
  let silence;
  const again = () => {
    clearTimeout(silence);
    events.close();
    lost();
    setTimeout(listen, 1000);
  };
  const hear = () => {
    clearTimeout(silence);
    silence = setTimeout(again, 25000);
    found();
  };
  events.addEventListener("open", hear);
  events.addEventListener("alive", hear);
  events.addEventListener("section", (e) => {
    const section = JSON.parse(e.data);
    show(section.id, section.html);
    hear();
  });
  events.addEventListener("error", again);
}

async function poll() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["now", "results", "as-of"]) show(id, fresh.getElementById(id).innerHTML);
    found();
  } catch {
    lost();
  }
  setTimeout(poll, 2000);
}

if (main && main.dataset.events) listen();
if (main && "poll" in main.dataset) setTimeout(poll, 2000);

// Escape puts a meaning away without moving the focus; it comes back with the next step.
const quiet = (on) => document.body.classList.toggle("quiet", on);
document.addEventListener("keydown", (e) => quiet(e.key === "Escape"));

// A meaning is wider than its figure and opens to the side that has room for it.
function turnTo(e) {
  quiet(false);
  const figure = e.target.closest?.(".figure");
  if (!figure) return;
  const at = figure.getBoundingClientRect(), around = figure.parentElement.getBoundingClientRect();
  document.body.classList.toggle("rightmost", at.left + at.right > around.left + around.right);
}
document.body.classList.add("scripted");
document.addEventListener("focusin", turnTo);
document.addEventListener("pointerover", turnTo);
