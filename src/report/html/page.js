// Adds to a page that is complete without it: copy buttons, series switched on and off, a crosshair shared by the charts
// over time, and zoom into a stretch of it; a page of a run that goes on follows it. Values are read off the pictures.
'use strict';
{
const all = (of, css) => [...of.querySelectorAll(css)];
const make = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const buttonOf = (text) => Object.assign(document.createElement('button'), { type: 'button', textContent: text });
const off = new Set(); // series that are switched off
let busy = () => false; // whether somebody reads what an update would take away

const dress = () => {
for (const box of all(document, '.command')) {
  const button = buttonOf('Copy');
  button.addEventListener('click', async () => {
    const code = box.querySelector('code');
    const done = await navigator.clipboard?.writeText(code.textContent).then(() => true, () => false);
    if (!done) getSelection().selectAllChildren(code);
    button.textContent = done ? 'Copied' : 'Selected';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  box.append(button);
}
// `lin LO HI PX PX`
const scaleOf = (text) => {
  const [kind, ...numbers] = text.split(' ');
  const [lo, hi, from, to] = numbers.map(Number);
  const share = (px) => (px - from) / (to - from);
  return { lo, hi, from, to, kind,
    value: (px) => kind === 'log' ? lo * (hi / lo) ** share(px) : lo + share(px) * (hi - lo),
    px: (value) => from + (value - lo) / (hi - lo) * (to - from) };
};
const pointsOf = (d) => [...d.matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map((m) => [Number(m[1]), Number(m[2])]);
const shown = (v) => {
  const digits = Math.abs(v) < 9.995 ? 2 : Math.abs(v) < 99.95 ? 1 : 0;
  return v.toLocaleString('en', { minimumFractionDigits: 0, maximumFractionDigits: digits });
};
const clock = (s, span) => s < 120 && span < 120 ? shown(s) + ' s'
  : `${s >= 3600 ? Math.floor(s / 3600) + ':' : ''}${String(Math.floor(s / 60) % 60).padStart(s >= 3600 ? 2 : 1, '0')}:${String(Math.floor(s % 60)).padStart(2, '0')}`;
const charts = all(document, 'figure > svg[data-x]').map((svg) => {
  const scales = { l: scaleOf(svg.dataset.l), r: svg.dataset.r && scaleOf(svg.dataset.r) }, figure = svg.parentElement;
  const series = all(svg, '[data-s]').map((g) => ({
    g, index: g.dataset.s, scale: scales[g.dataset.side] ?? scales.l,
    points: all(g, 'path:not(.area)').flatMap((p) => pointsOf(p.getAttribute('d'))).sort((a, b) => a[0] - b[0]),
  }));
  const chart = { svg, figure, series, width: svg.viewBox.baseVal.width, x: scaleOf(svg.dataset.x), y: [scales.l.to, scales.l.from], out: new Map() };
  for (const item of all(figure, '.legend li')) {
    const index = item.dataset.s;
    chart.out.set(index, item.querySelector('output'));
    const button = buttonOf('');
    const key = `${figure.id} ${item.querySelector('span').textContent}`;
    const show = () => {
      button.setAttribute('aria-pressed', String(!off.has(key)));
      for (const s of series) if (s.index === index) s.g.classList.toggle('off', off.has(key));
    };
    button.append(item.querySelector('svg'), item.querySelector('span'));
    button.addEventListener('click', () => { off.delete(key) || off.add(key); show(); });
    item.prepend(button);
    show();
  }
  return chart;
});
// Charts over time share one window of it.
const overTime = charts.filter((c) => c.x.kind === 'time');
const window0 = overTime.length ? [overTime[0].x.lo, overTime[0].x.hi] : [0, 1];
let view = window0, label = null;
// Of what is seen to the whole axis; pixels of a picture.
const whole = (c, px) => c.x.px(view[0] + (px - c.x.from) / (c.x.to - c.x.from) * (view[1] - view[0]));
const at = (c, event, box = c.svg.getBoundingClientRect()) =>
  Math.min(Math.max((event.clientX - box.left) / box.width * c.width, c.x.from), c.x.to);
const crosshair = (px) => {
  for (const c of overTime) {
    c.cursor ??= c.svg.appendChild(make('line', { class: 'cursor', y1: c.y[0], y2: c.y[1] }));
    c.cursor.classList.toggle('off', px === null);
    for (const out of c.out.values()) out.textContent = '';
    if (px === null) continue;
    const there = whole(c, px);
    for (const end of ['x1', 'x2']) c.cursor.setAttribute(end, px);
    for (const s of [...c.series].reverse()) {
      const near = s.points.reduce((best, p) => Math.abs(p[0] - there) < Math.abs(best[0] - there) ? p : best, [Infinity, 0]);
      const out = c.out.get(s.index);
      if (out && Math.abs(near[0] - there) < 8) out.textContent = shown(s.scale.value(near[1]));
    }
  }
  if (label) label.textContent = px === null ? hint : 'at ' + clock(overTime[0].x.value(whole(overTime[0], px)), view[1] - view[0]);
};
const hint = 'Point at a chart to read all of them at one time; drag to zoom.';
const zoom = (from, to) => {
  view = from === window0[0] && to === window0[1] ? window0 : [from, to];
  for (const c of overTime) {
    const k = (window0[1] - window0[0]) / (to - from);
    const shift = c.x.from - c.x.px(from) * k;
    c.svg.querySelector('.plot').setAttribute('transform', k === 1 ? '' : `translate(${shift} 0) scale(${k} 1)`);
    for (const g of all(c.svg, '.marks')) g.classList.toggle('off', k !== 1);
    const ticks = c.svg.querySelector('.xticks');
    c.ticks ??= ticks.innerHTML;
    if (k === 1) { ticks.innerHTML = c.ticks; continue; }
    ticks.replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((share) => Object.assign(
      make('text', { class: 'f-faint', x: c.x.from + share * (c.x.to - c.x.from), y: c.y[1] + 17, 'text-anchor': 'middle', 'font-size': 12 }),
      { textContent: clock(from + share * (to - from), to - from) })));
  }
  reset.hidden = view === window0;
};
const reset = Object.assign(buttonOf('Show the whole time'), { hidden: true });
if (overTime.length > 1) {
  const tools = Object.assign(document.createElement('p'), { className: 'tools' });
  label = Object.assign(document.createElement('span'), { textContent: hint });
  reset.addEventListener('click', () => zoom(...window0));
  tools.append(reset, label);
  overTime[0].figure.parentElement.before(tools);
}
let from = null; // where a drag began
busy = () => from !== null || view !== window0 || !getSelection().isCollapsed;
for (const c of overTime) {
  c.svg.addEventListener('pointermove', (event) => {
    const px = at(c, event);
    crosshair(px);
    if (from === null) return;
    c.brush ??= c.svg.appendChild(make('rect', { class: 'brush', y: c.y[0], height: c.y[1] - c.y[0] }));
    for (const [key, value] of [['x', Math.min(from, px)], ['width', Math.abs(px - from)]]) c.brush.setAttribute(key, value);
  });
  c.svg.addEventListener('pointerleave', () => { if (from === null) crosshair(null); });
  c.svg.addEventListener('pointerdown', (event) => { if (event.pointerType === 'mouse' && event.button === 0) { from = at(c, event); c.svg.setPointerCapture(event.pointerId); } });
  c.svg.addEventListener('pointerup', (event) => {
    const [a, b] = [from ?? 0, at(c, event)].map((px) => whole(c, px)).sort((x, y) => x - y);
    if (from !== null && b - a > 3) zoom(c.x.value(a), c.x.value(b));
    from = null;
    c.brush = c.brush?.remove();
  });
  c.svg.addEventListener('dblclick', () => zoom(...window0));
}
};
dress();

if (document.body.dataset.events) {
  const events = new EventSource(document.body.dataset.events);
  const update = (event) => {
    if (event.type === 'end') events.close(); else if (busy()) return;
    const next = new DOMParser().parseFromString(event.data, 'text/html');
    document.title = next.title;
    for (const part of ['header', 'main']) document.querySelector(part).replaceWith(next.querySelector(part));
    dress();
  };
  for (const kind of ['page', 'end']) events.addEventListener(kind, update);
  events.addEventListener('error', () => { document.querySelector('.stamp').textContent = 'not reached'; });
}
}
