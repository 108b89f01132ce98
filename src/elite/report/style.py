"""The look of the page: one quiet column, dark pictures on light paper, fit for a phone and for print."""

CSS = """
:root { color-scheme: light; --ink: #1d2430; --muted: #6a7380; --line: #e3e6ea; --paper: #f7f7f5; --accent: #2f6fde; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 56px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -0.02em; margin: 4px 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 21px; letter-spacing: -0.01em; margin: 0 0 4px; }
h3 { font-size: 16px; margin: 0 0 2px; }
p { margin: 0 0 12px; max-width: 74ch; }
.eyebrow { color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: 0.06em; text-transform: uppercase;
  margin: 0; }
.quiet, figcaption, .facts small { color: var(--muted); }
nav { margin: 18px 0 0; font-size: 14px; display: flex; flex-wrap: wrap; gap: 4px 18px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
section { padding: 40px 0 0; }
section > p, section > .stack > p { color: var(--muted); margin-bottom: 16px; }
section > .stack > p { margin: 0; }
.facts + .quiet { margin: 12px 0 0; font-size: 14px; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(215px, 1fr)); gap: 14px; margin: 28px 0 0; }
.facts div, figure.chart, .note, details, .legend { background: #fff; border: 1px solid var(--line);
  border-radius: 10px; }
.facts div { padding: 16px 18px; }
.facts dt { font-size: 13px; color: var(--muted); }
.facts dd { margin: 0; font-size: 30px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.facts dd i { font-style: normal; font-weight: 400; color: var(--muted); font-size: 18px; white-space: nowrap; }
.facts small { display: block; font-size: 13px; line-height: 1.4; margin-top: 2px; }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; align-items: start; }
.note + .note { margin-top: 16px; }
.stack > .note + .note { margin-top: 0; }
.big { font-size: 30px; font-weight: 650; letter-spacing: -0.02em; margin: 0 0 4px; }
.stack { display: grid; grid-template-columns: minmax(0, 1fr); gap: 16px; }
figure { margin: 0; }
figure img { display: block; width: 100%; height: auto; }
figure.chart { padding: 16px 18px 14px; }
figure.chart figcaption { margin-top: 8px; }
figcaption { font-size: 13.5px; line-height: 1.45; }
figcaption b { color: var(--ink); font-weight: 600; }
.scroll { overflow-x: auto; }
.scroll img { min-width: 620px; max-width: 860px; margin: 0 auto; }
.lesson .scroll img { max-width: none; }
.lesson + .lesson { margin-top: 16px; }
.note { padding: 14px 18px; }
.note ul { margin: 6px 0 0; padding-left: 20px; }
.note li { margin: 3px 0; }
.frame { margin-top: 30px; }
.frame > p { color: var(--muted); font-size: 14.5px; margin-bottom: 10px; max-width: none; }
.views + p { margin-top: 10px; }
.views { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 10px; }
.views.camera { grid-template-columns: 1fr; margin-top: 14px; }
.views img { border-radius: 8px; background: #111318; }
.views figcaption { padding: 5px 2px 0; }
.legend { display: flex; flex-wrap: wrap; gap: 5px 18px; padding: 12px 18px; margin: 0; list-style: none;
  font-size: 13.5px; }
.legend li { display: flex; align-items: center; gap: 7px; }
.legend span { width: 13px; height: 13px; border-radius: 3px; border: 1px solid #00000030; flex: none;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.legend .break { flex-basis: 100%; height: 0; }
table { border-collapse: collapse; font-size: 14px; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 6px 14px 6px 0; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
tr:first-child > * { border-top: 0; }
th { font-weight: 400; color: var(--muted); width: 11em; }
.numbers th { width: auto; }
.numbers td, .numbers th + th { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
code { overflow-wrap: anywhere; }
pre { margin: 0; padding: 0 18px 16px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: 12px 18px; font-weight: 600; font-size: 15px; }
footer { padding-top: 44px; padding-bottom: 56px; font-size: 13.5px; color: var(--muted); }
@media screen and (max-width: 760px) {
  main, header, footer { padding-left: 14px; padding-right: 14px; }
  header { padding-top: 30px; }
  h1 { font-size: 27px; }
  .pair, .views { grid-template-columns: minmax(0, 1fr); }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .facts div { padding: 12px 14px; }
  .facts dd { font-size: 24px; }
  .facts dd i { font-size: 15px; }
  figure.chart { padding: 12px 10px; }
  th { width: 7em; }
}
@media print {
  body { background: #fff; font-size: 11pt; }
  main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  nav { display: none; }
  .facts { grid-template-columns: repeat(4, 1fr); gap: 8px; }
  .facts div { padding: 10px 12px; }
  .facts dd { font-size: 18px; }
  .facts dd i { font-size: 12px; }
  section { padding-top: 24px; }
  figure, .facts div, .note, .legend, .views, p { break-inside: avoid; }
  h2, h3, section > p, .frame > p { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; }
}
"""
