"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const body = document.querySelector("#tensors tbody");
const search = document.getElementById("filter");
const shown = document.getElementById("shown");
const NS = "http://www.w3.org/2000/svg";
let order = { key: "index", down: false };

function text(tag, content, cls) {
  const node = document.createElement(tag);
  node.textContent = content;
  if (cls) node.className = cls;
  return node;
}
function broken(node) { // long names break behind dots first
  const parts = node.textContent.split(".");
  node.replaceChildren(...parts.flatMap((p, i) => i ? [document.createElement("wbr"), p] : [p]).map((p, i, all) => typeof p === "string" && i < all.length - 1 ? p + "." : p));
  return node;
}
function real(x) { return x === "inf" ? Infinity : x; } // which JSON has no number for
function number(x, digits) { return x === null || x === undefined ? "" : x.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }); }
function percent(x) { return x === null || x === undefined ? "" : x === Infinity ? "infinite" : (100 * x).toPrecision(3) + "\u00a0%"; }

function svg(width, height, label) {
  const node = document.createElementNS(NS, "svg");
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.setAttribute("width", width);
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", label);
  return node;
}
function rect(parent, x, y, w, h, cls, title) {
  const node = document.createElementNS(NS, "rect");
  for (const [k, v] of Object.entries({ x, y, width: Math.max(w, 0), height: Math.max(h, 0) })) node.setAttribute(k, v);
  if (cls) node.setAttribute("class", cls);
  if (title) { const t = document.createElementNS(NS, "title"); t.textContent = title; node.append(t); }
  parent.append(node);
  return node;
}
function label(parent, x, y, content, anchor) {
  const node = document.createElementNS(NS, "text");
  node.setAttribute("x", x); node.setAttribute("y", y); node.setAttribute("text-anchor", anchor || "start");
  node.textContent = content;
  parent.append(node);
}
function figure(node, caption) {
  const f = document.createElement("figure");
  f.append(node, text("figcaption", caption));
  return f;
}
function bars(counts, other, caption, left, right, say) {
  const w = 300, h = 110, top = Math.max(0, ...counts.filter(Number.isFinite), ...(other || [])) || 1;
  const s = svg(w, h + 14, caption), step = w / counts.length, tell = say || (c => number(c, 0));
  const draw = (c, i, cls, title) => { const tall = h * Math.min(c / top, 1); rect(s, i * step, h - tall, step - .5, tall, c === Infinity ? "w" : cls, title); };
  counts.forEach((c, i) => draw(c, i, "b", tell(c)));
  (other || []).forEach((c, i) => draw(c, i, "c", "before: " + tell(c)));
  label(s, 0, h + 12, left); label(s, w, h + 12, right, "end");
  return figure(s, caption);
}
function densityMap(t) {
  const rows = t.cells.length, cols = rows ? t.cells[0].length : 0, w = 300;
  const cw = w / Math.max(cols, 1), ch = Math.min(cw, 300 / Math.max(rows, 1));
  const s = svg(w, Math.max(ch * rows, 4), t.steps ? "changes over the matrix" : "density over the matrix");
  t.cells.forEach((line, r) => line.forEach((count, c) => {
    const size = t.rows[r] * t.cols[c], share = size ? count / size : 0;
    const node = rect(s, c * cw, r * ch, cw, ch, "b", `cell ${r}, ${c}: ${number(count, 0)} of ${number(size, 0)} ${t.steps ? "changed" : "stored and not zero"}`);
    node.style.opacity = share.toFixed(3);
  }));
  return figure(s, t.steps ? "where values changed: each cell is a part of the matrix, full colour is a cell of which all changed" : "where values are not zero: each cell is a part of the matrix, full colour is a full cell");
}
function details(t) {
  const row = document.createElement("tr"), wide = document.createElement("td"), cell = document.createElement("div"), plots = text("div", "", "plots");
  row.className = "open"; row.id = "open-" + t.index;
  wide.colSpan = document.querySelectorAll("#tensors th").length;
  cell.append(text("h3", t.name));
  for (const w of t.warnings) cell.append(text("p", w, "warn"));
  if (t.worst) cell.append(text("p", `worst group: ${percent(t.worst[0])} at row ${t.worst[1]}, from column ${t.worst[2]} on`));
  plots.append(densityMap(t));
  if (t.steps) plots.append(bars(t.steps, null, "how many values moved by 1, by 2 to 3, by 4 to 7 ... representable values", "1", "2^" + (t.steps.length - 1)));
  else {
    const what = (t.before ? "values that are not zero (blue), and those of the original (orange)" : "values that are not zero") + (t.beyond ? "; the outer bars hold those beyond, too" : "");
    plots.append(bars(t.hist, t.before, what, "-" + t.limit.toPrecision(3), t.limit.toPrecision(3)));
  }
  for (const [errors, along, one] of [[t.rowerr, "rows", "row"], [t.colerr, "columns", "column"]])
    if (errors && errors.length) plots.append(bars(errors, null, `relative error along the ${along}, largest ${percent(Math.max(...errors))}`, "first " + one, "last " + one, percent));
  const apiece = (counts, all) => all > counts.length ? `, ${number(Math.floor(all / counts.length), 0)} or more to a bar` : "";
  if (t.patterns) plots.append(bars(t.patterns, null, `use of the ${number(t.of, 0)} patterns${apiece(t.patterns, t.of)}: ${t.entropy.toFixed(3)} bits a group, bound ${t.bound.toFixed(3)}`, "pattern 0", "last"));
  if (t.codes) plots.append(bars(t.codes, null, `use of the codes${apiece(t.codes, t.range[1] - t.range[0] + 1)}`, "code " + t.range[0], "" + t.range[1]));
  cell.append(plots); wide.append(cell); row.append(wide);
  return row;
}
function toggle(t, line, button) {
  const open = document.getElementById("open-" + t.index);
  button.setAttribute("aria-expanded", String(!open));
  if (open) open.remove(); else line.after(details(t));
}
const CELLS = {
  size: t => [t.shape.join(" × "), "text"],
  format: t => [t.format, "text"],
  dtype: t => [t.dtype, "text"],
  nbytes: t => [number(t.nbytes, 0)],
  nnz: t => [number(t.nnz, 0)],
  bits: t => [number(t.bits, 2)],
  density: t => [percent(t.density)],
  error: t => [percent(t.error)],
  snr: t => [number(t.snr, 1)],
  worstValue: t => [percent(t.worstValue)],
  farthest: t => [t.farthest ? "up to " + number(t.farthest, 0) : ""],
};
const keys = [...document.querySelectorAll("#tensors th")].map(head => head.dataset.key).filter(key => key !== "name");
function draw() {
  const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = data.filter(t => wanted.every(w => (t.name + " " + t.format + " " + t.dtype + " " + t.shape).toLowerCase().includes(w)));
  rows.sort((a, b) => {
    const x = a[order.key], y = b[order.key];
    if (x === y) return a.index - b.index;
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return (x < y ? -1 : 1) * (order.down ? -1 : 1);
  });
  body.replaceChildren(...rows.map(t => {
    const line = document.createElement("tr"), first = document.createElement("td"), button = broken(text("button", t.name));
    button.type = "button"; button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => toggle(t, line, button));
    first.append(button); line.append(first);
    for (const key of keys) line.append(text("td", ...CELLS[key](t)));
    return line;
  }));
  shown.textContent = `${rows.length} of ${data.length} tensors`;
}
for (const head of document.querySelectorAll("#tensors th")) {
  head.querySelector("button").addEventListener("click", () => {
    const key = head.dataset.key;
    order = { key, down: order.key === key ? !order.down : head.dataset.down === "1" };
    for (const h of document.querySelectorAll("#tensors th")) h.setAttribute("aria-sort", h === head ? (order.down ? "descending" : "ascending") : "none");
    draw();
  });
}
function openTensor(name) {
  const button = [...body.querySelectorAll("button")].find(b => b.textContent === name);
  if (!button) return;
  if (button.getAttribute("aria-expanded") === "false") button.click();
  button.focus();
  button.scrollIntoView({ block: "center" });
}
// A link keeps what is looked at: #filter=words&sort=key&open=name
function fromLink() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  search.value = wanted.get("filter") || "";
  const head = document.querySelector(`#tensors th[data-key="${CSS.escape(wanted.get("sort") || "")}"]`);
  if (head) head.querySelector("button").click(); else draw();
  if (wanted.has("open")) openTensor(wanted.get("open"));
}
data.forEach((t, i) => {
  for (const key of ["error", "snr"]) t[key] = real(t[key]);
  for (const key of ["worst", "rowerr", "colerr"]) t[key] = t[key] && t[key].map(real);
  t.index = i; t.worstValue = t.worst ? t.worst[0] : null; t.farthest = t.steps && t.nnz ? 2 ** t.steps.length - 1 : 0; t.size = t.shape.reduce((a, b) => a * b, 1);
});
search.addEventListener("input", draw);
window.addEventListener("hashchange", fromLink);
fromLink();
for (const link of document.querySelectorAll("[data-open]")) link.addEventListener("click", () => {
  search.value = "";
  draw();
  openTensor(data[Number(link.dataset.open)].name);
});
