// What all parts share: elements, links, time that passes, words for numbers. Text from users is only ever set as text.

const styles = await Promise.all(["look.css", "policy.css"].map(sheet));

async function sheet(name) {
  const made = new CSSStyleSheet();
  made.replaceSync(await (await fetch(new URL(name, import.meta.url))).text());
  return made;
}

/** An element with properties and children. `class` is its class, names with a dash are attributes. */
export function h(tag, props = {}, ...children) {
  const element = tag in svgTags ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "title" || name === "aria-label") element.setAttribute(name, visible(value));
    else if (name === "class") element.setAttribute("class", value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !(tag in svgTags) && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (typeof child === "string" ? visible(child) : child)));
  return element;
}
/** A text in which what nobody can see, or what turns its direction round, is written out: a name reads as what it is. */
export const visible = (text) =>
  String(text).replace(/\r\n?/g, "\n").replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const svgTags = { svg: 1, path: 1, rect: 1, line: 1, g: 1, title: 1, text: 1, polygon: 1 };

/** A link within the dashboard: a real one, which a plain click follows without loading the page anew. `data-keep` names what
 *  it takes along from the query of the present address. */
export function link(href, props, ...children) {
  return h("a", { ...props, href, onclick: follow }, ...children);
}

/** Follow the link that was clicked, unless it is to be opened elsewhere. */
export function follow(event) {
  if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { keep } = event.currentTarget.dataset;
  const url = new URL(event.currentTarget.getAttribute("href"), location);
  if (keep && remembered(keep)) url.searchParams.set(keep, remembered(keep));
  go(url.pathname + url.search);
}

/** To another page, as the browser's Back and Forward get there: Streamlit reads the address when it hears of a `popstate`. */
export function go(href) {
  history.pushState(null, "", href);
  dispatchEvent(new PopStateEvent("popstate"));
  document.querySelector('[data-testid="stMain"]')?.scrollTo(0, 0);
}

/** Change the query of the address without going anywhere; what is null, or empty, is taken out. */
export function remember(query) {
  const url = new URL(location);
  for (const [name, value] of Object.entries(query)) value ? url.searchParams.set(name, value) : url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
}
export const remembered = (name, otherwise = "") => new URL(location).searchParams.get(name) ?? otherwise;

/** A part of a page. `draw({data, root, state, tell})` is called with new data; `state` is kept between calls on one root.
 *  The data is JSON, unless the part reads its bytes itself. */
export function part(draw, readsBytes = false) {
  return ({ data: sent, parentElement: root, setTriggerValue: tell }) => {
    const data = readsBytes ? sent : JSON.parse(new TextDecoder().decode(sent));
    if (!root.adoptedStyleSheets.includes(styles[0])) root.adoptedStyleSheets = styles;
    root.state ??= {};
    if (data?.now && !data.away) skew = data.now - Date.now();
    const done = draw({ data, root, state: root.state, tell });
    tick(root);
    return done;
  };
}

/** Replace the content of a root, keeping the focus on what has the same `id`, and what is wider than the page where it was. */
export function fill(root, ...children) {
  const focused = root.activeElement?.id;
  const before = [...root.querySelectorAll(".wide")].map((each) => each.scrollLeft);
  root.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (focused) root.getElementById(focused)?.focus({ preventScroll: true });
  root.querySelectorAll(".wide").forEach((each, i) => (each.scrollLeft = before[i] ?? each.scrollWidth)); // the newest is right
}

// -- time: the collector's, which may differ from the browser's ---------------------------------------------------------

let skew = 0;
export const now = () => Date.now() + skew;

/** A text that changes by itself: `write(now)` is asked again every second while the element is on the page. */
export function ticking(tag, props, write) {
  const element = h(tag, props, write(now()));
  element.dataset.ticks = "";
  element.write = write;
  return element;
}

const roots = new Set();
function tick(root) {
  roots.add(root);
}
setInterval(() => {
  for (const root of roots) {
    if (!root.isConnected && !root.host?.isConnected) roots.delete(root);
    else for (const element of root.querySelectorAll("[data-ticks]")) renew(element);
  }
}, 1000);
function renew(element) {
  const text = element.write(now());
  if (element.textContent !== text) element.textContent = text;
}

// -- words --------------------------------------------------------------------------------------------------------------

/** A length of time in two units at most: `7m 46s`, `12 s`, `0.42 s`, `35 ms`. */
export function length(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 0.0995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  let minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes}m ${pad(Math.round(seconds) % 60)}s`;
  minutes = Math.round(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
  const hours = Math.round(seconds / 3600);
  return hours < 24 * 10 ? `${Math.floor(hours / 24)}d ${pad(hours % 24)}h` : `${Math.round(hours / 24)} d`;
}
const pad = (number) => String(number).padStart(2, "0");

export const count = (number) => number.toLocaleString("en-US");
export const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

/** How long until `at`, or that it is due. */
export const until = (at) => (time) => (at - time > 0 ? length((at - time) / 1000) : "due");
export const since = (at) => (time) => length(Math.max(0, (time - at) / 1000));
