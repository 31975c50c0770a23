-- SPDX-License-Identifier: MIT
-- The style sheet of a report: for a screen, light or dark, wide or narrow, and for paper. The
-- colours of the fates are Okabe and Ito's, or close to these: people with colour blindness can
-- distinguish them. Each fate is also shown in words.
return [[
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #fff; --ink: #1c2126; --quiet: #5d6670; --line: #dde1e5;
  --good: #00664b; --good-wash: #e3f3ed; --bad: #b3202a; --bad-wash: #fdeaea;
  --warn: #7a5600; --warn-wash: #fbf1d6;
  --untouched: #eef0f2; --same: #aeb6be; --written: #56b4e9; --rewritten: #0072b2;
  --erased: #f0d95c; --verified: #009e73; --doubt: #d55e00; --pending: #fff; --image: #b28aa6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1d2125; --ink: #e5e9ec; --quiet: #9aa4ae; --line: #343a41;
    --good: #5fd3ae; --good-wash: #16302a; --bad: #ff9191; --bad-wash: #3d1d20;
    --warn: #ecc765; --warn-wash: #322a14;
    --untouched: #2a2f35; --same: #69737d; --written: #6cc0ee; --rewritten: #2b86c5;
    --erased: #d9bf45; --verified: #1fb58a; --doubt: #e8702a; --pending: #1d2125;
    --image: #a67c99;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 3rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  overflow-wrap: anywhere; font-variant-numeric: tabular-nums;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; font-weight: 650; }
h2 { font-size: 1.15rem; margin: 0; font-weight: 650; }
h3 { font-size: .95rem; margin: 1.6rem 0 .5rem; font-weight: 650; }
p { margin: .35rem 0; }
a { color: inherit; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: .87em; white-space: pre-wrap; }
.quiet { color: var(--quiet); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.25rem; margin: 0 0 1rem; }
.title { display: flex; flex-wrap: wrap; gap: .3rem .8rem; align-items: baseline; }
.title .quiet { margin: 0; }
.badge { display: inline-block; padding: .1rem .55rem; border-radius: 6px; font-weight: 650;
  font-size: .85rem; white-space: nowrap; }
.good { color: var(--good); background: var(--good-wash); }
.bad { color: var(--bad); background: var(--bad-wash); }
.warn { color: var(--warn); background: var(--warn-wash); }
header.card { border-top: 5px solid var(--mark); }
header .name { margin: 0 0 .25rem; color: var(--quiet); font-size: .85rem; }
header h1 { color: var(--mark); }
.is-good { --mark: var(--good); } .is-bad { --mark: var(--bad); } .is-warn { --mark: var(--warn); }
dl { display: grid; grid-template-columns: 7.5rem 1fr; gap: .15rem 1rem;
  margin: 1rem 0 0; }
dt { color: var(--quiet); overflow-wrap: normal; }
dd { margin: 0; min-width: 0; }
pre { margin: .9rem 0 0; padding: .8rem 1rem; border-radius: 8px; background: var(--page);
  white-space: pre-wrap; font: .82rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas,
  monospace; }
pre.bad { background: var(--bad-wash); }
.sides { display: flex; flex-wrap: wrap; gap: 0 2rem; margin-top: .4rem; }
.sides > .drawn { flex: 0 1 384px; min-width: 0; }
.sides > .told { flex: 1 1 39.5rem; min-width: 0; }
.sides > .half { flex: 1 1 22rem; min-width: 0; }
.layout dl { margin-top: .15rem; }
.scroll { overflow-x: auto; margin-top: .7rem; }
.scroll th:nth-child(4):last-child, .scroll td:nth-child(4):last-child { padding-left: 1rem; }
table { border-collapse: collapse; max-width: 100%; font-size: .86rem; line-height: 1.4;
  overflow-wrap: normal; }
th { text-align: left; font-weight: 500; color: var(--quiet); vertical-align: bottom; }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
td { vertical-align: top; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; white-space: nowrap; }
.nowrap, code.nowrap { white-space: nowrap; }
td code { white-space: pre; }
td code.long { white-space: normal; }
td .long { overflow-wrap: anywhere; }
td .badge:not(:first-child) { padding: 0 .4rem; margin-left: .2rem; font-size: .8rem;
  line-height: 1.3; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: 2px;
  border: 1px solid #80808066; vertical-align: -.05em; }
.key.pending { border: 1px dashed var(--quiet); }
ul.legend { list-style: none; padding: 0; margin: .4rem 0 0; font-size: .86rem; columns: 17rem 2; }
ul.legend li { display: flex; align-items: baseline; }
ul.legend .key { flex: none; }
.note { font-size: .86rem; color: var(--quiet); }
details { margin-top: .8rem; }
summary { cursor: pointer; color: var(--quiet); }
svg { display: block; max-width: 100%; height: auto; overflow: visible; }
svg text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  fill: var(--ink); }
svg .quiet, svg .head, svg .address, svg .hole { fill: var(--quiet); }
svg .address { font: 10.5px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  text-anchor: end; }
svg .hole { text-anchor: middle; }
svg .leader { fill: none; stroke: var(--line); }
svg .divider { stroke: var(--card); stroke-width: .7; fill: none; }
svg .cut { stroke: var(--card); stroke-width: 2.5; fill: none; }
svg .sector { stroke: var(--card); stroke-width: 1; }
svg .sector.fine { stroke-width: .4; }
svg .sector.untouched, svg .sector.pending { stroke: var(--line); }
svg .sector.pending { stroke-dasharray: 3 3; stroke: var(--quiet); }
.untouched { fill: var(--untouched); background-color: var(--untouched); }
.same { fill: var(--same); background-color: var(--same); }
.written { fill: var(--written); background-color: var(--written); }
.rewritten { fill: var(--rewritten); background-color: var(--rewritten); }
.erased { fill: var(--erased); background-color: var(--erased); }
.verified { fill: var(--verified); background-color: var(--verified); }
.pending { fill: var(--pending); background-color: var(--pending); }
.doubt { fill: url(#hatch); background: repeating-linear-gradient(45deg, var(--doubt) 0 3px,
  var(--card) 3px 4.5px); }
.image { fill: var(--image); background-color: var(--image); }
svg .alarm { fill: var(--bad); font-weight: 700; }
#hatch-ground { fill: var(--doubt); }
#hatch-line { stroke: var(--card); stroke-width: 1.5; }
svg.defs { position: absolute; width: 0; height: 0; }
.strip { width: 160px; height: 12px; }
footer { color: var(--quiet); font-size: .86rem; }
@media (max-width: 34rem) {
  body { padding: .6rem .5rem 2rem; }
  .card { padding: .9rem .8rem; border-radius: 8px; }
  dl { grid-template-columns: 6.4rem 1fr; gap: .15rem .6rem; }
  thead { display: none; }
  table, tbody { display: block; }
  tr { display: flex; flex-wrap: wrap; gap: 0 .9rem; padding: .3rem 0;
    border-bottom: 1px solid var(--line); }
  td { padding: 0; border: 0; }
  td:empty { display: none; }
  td[data-head]::before { content: attr(data-head) " "; color: var(--quiet); }
}
@media print {
  @page { margin: 14mm; }
  :root {
    --page: #fff; --card: #fff; --ink: #000; --quiet: #444; --line: #bbb;
    --good: #00553f; --good-wash: #fff; --bad: #8f1018; --bad-wash: #fff;
    --warn: #5e4200; --warn-wash: #fff;
    --untouched: #f2f3f4; --same: #aeb6be; --written: #56b4e9; --rewritten: #0072b2;
    --erased: #f0d95c; --verified: #009e73; --doubt: #d55e00; --pending: #fff; --image: #b28aa6;
  }
  body { padding: 0; font-size: 10pt; max-width: none; }
  .card { border: 0; border-top: 1pt solid var(--line); border-radius: 0; padding: .8rem 0; }
  .board { break-before: page; }
  .board.only { break-before: auto; }
  .sides { flex-wrap: nowrap; gap: 0 1.2rem; }
  .sides > .drawn { flex: 0 0 36%; }
  .sides > .told, .sides > .half { flex: 1 1 0; }
  .scroll { overflow: visible; }
  .told table { font-size: 7pt; }
  .told .legend, .told .note { font-size: 7.4pt; }
  .told th, .told td { padding-right: .35rem; }
  details:not([open]) { display: none; }
  .badge, pre { border: 1pt solid var(--line); }
  svg, tr, pre, dl { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
]]
