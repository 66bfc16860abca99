// Charts of what happened minute by minute, as SVG: they take the page's colours, and stretch.
import { html, useState } from "./libraries.js";
import { clock, number, short } from "./format.js";

const [WIDTH, HEIGHT] = [1000, 100];
/** @typedef {{at: number, value: number | null}} Point */

/** The next round number: one, two or five, and zeros. @param {number} value */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 10)));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value) ?? value;
}

/** Each value as a step from the point before; what is not known is a gap. @param {Point[]} points @param {(at: number) => number} x @param {(value: number) => number} y */
function steps(points, x, y) {
  /** @type {string[]} */
  const found = [];
  for (const [nth, { at, value }] of points.entries()) {
    if (value === null || nth === 0) continue;
    const [from, to] = [x(points[nth - 1].at), x(at)];
    found.push(`M${from} ${HEIGHT}V${y(value)}H${to}V${HEIGHT}Z`);
  }
  return found.join("");
}

/** @param {Point[]} points @param {(at: number) => number} x @param {(value: number) => number} y */
function area(points, x, y) {
  const known = points.filter((each) => each.value !== null);
  if (!known.length) return "";
  const line = known.map(({ at, value }) => `L${x(at)} ${y(Number(value))}`).join("");
  return `M${x(known[0].at)} ${HEIGHT}${line}L${x(known[known.length - 1].at)} ${HEIGHT}Z`;
}

/**
 * Values over time. `tell` says one of them in words, `about` the whole.
 * @param {{title: string, kind: string, points: Point[], from: number, to: number, isRate?: boolean, tell: (value: string) => string, about: (most: string, last: string) => string}} props
 */
export function Chart({ title, kind, points, from, to, isRate, tell, about }) {
  const [shown, setShown] = useState(/** @type {number | null} */ (null));
  const values = points.map((each) => each.value ?? 0);
  const most = Math.max(0, ...values);
  const top = ceiling(most);
  const x = (/** @type {number} */ at) => Math.max(0, Math.round((WIDTH * 10 * (at - from)) / (to - from)) / 10);
  const y = (/** @type {number} */ value) => Math.round(10 * (HEIGHT - (HEIGHT * value) / top)) / 10;
  const point = points[shown ?? points.length - 1];
  function look(/** @type {PointerEvent} */ event) {
    const box = /** @type {Element} */ (event.currentTarget).getBoundingClientRect();
    const at = from + ((to - from) * (event.clientX - box.left)) / box.width;
    const after = points.findIndex((each) => each.at >= at);
    setShown(after < 0 ? points.length - 1 : after);
  }
  function step(/** @type {KeyboardEvent} */ event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || !points.length) return;
    event.preventDefault();
    setShown(Math.min(points.length - 1, Math.max(0, (shown ?? points.length) + by)));
  }
  return html`
    <figure class="chart">
      <figcaption><b>${title}</b> <span>${point ? `${clock(new Date(point.at))} · ${tell(number(point.value))}` : ""}</span></figcaption>
      <div class="plot" role="img" tabindex="0" aria-label=${`${title}: ${about(number(most), number(values.at(-1) ?? 0))}`}
        onPointerMove=${look} onPointerLeave=${() => setShown(null)} onKeyDown=${step} onBlur=${() => setShown(null)}>
        <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
          ${[0, HEIGHT / 2].map((at) => html`<line key=${at} class="grid" x1="0" x2=${WIDTH} y1=${at} y2=${at} />`)}
          <path class=${`${kind} ${isRate ? "rate" : ""}`} d=${(isRate ? steps : area)(points, x, y)} />
          ${shown !== null && point && html`<line class="at" x1=${x(point.at)} x2=${x(point.at)} y1="0" y2=${HEIGHT} />`}
        </svg>
        <span class="top">${short(top)}</span><span class="half">${short(top / 2)}</span>
      </div>
      <div class="axis" aria-hidden="true">${[0, 1, 2, 3].map((nth) => html`<span key=${nth}>${clock(new Date(from + ((to - from) * nth) / 3))}</span>`)}</div>
    </figure>`;
}
