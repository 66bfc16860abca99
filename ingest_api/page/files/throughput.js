// How much is applied to the tables, and how much waits, over the last hours.
import { html, useState } from "./libraries.js";
import { get } from "./api.js";
import { instant, number } from "./format.js";
import { Chart } from "./charts.js";
import { Fault, Skeleton, useEvery, useLoad } from "./ui.js";
import { T } from "./text.js";

const SPANS = /** @type {[number, string][]} */ (Object.entries(T.throughput.spans).map(([minutes, title]) => [Number(minutes), title]));

export function ThroughputCharts() {
  const [minutes, setMinutes] = useState(180);
  const { data, error, reload } = useLoad(async (signal) => ({ ...(await get("admin/throughput", { minutes }, signal)), span: minutes, now: Date.now() }), [minutes]);
  useEvery(15_000, reload);
  if (!data) return error ? html`<${Fault} error=${error} again=${reload} />` : html`<${Skeleton} rows=${6} />`;
  const of = (/** @type {string} */ name) => data.minutes.map((/** @type {any} */ each) => ({ at: instant(each.minuteDate)?.getTime() ?? 0, value: each[name] }));
  const span = { from: data.now - data.span * 60_000, to: data.now };
  const waiting = data.waiting.reduce((/** @type {number} */ sum, /** @type {number} */ each) => sum + each, 0);
  return html`
    <section class="card"><div class="heading"><h2>${T.throughput.title}</h2>
        <div class="segments">${SPANS.map(([each, title]) => html`
          <button key=${each} type="button" aria-pressed=${each === minutes ? "true" : "false"} onClick=${() => setMinutes(each)}>${title}</button>`)}</div></div>
      <${Fault} error=${error} />
      ${data.minutes.length < 2 ? html`<p class="quiet">${T.throughput.none}</p>` : html`<div class="charts">
        <${Chart} title=${T.throughput.applied} kind="insert" points=${of("applied")} ...${span} isRate tell=${T.throughput.records} about=${T.throughput.about} />
        <${Chart} title=${T.throughput.waiting} kind="update" points=${of("waiting")} ...${span} tell=${T.throughput.records} about=${T.throughput.about} /></div>`}
      ${waiting > 0 ? html`<h3>${T.throughput.byPartition}</h3><${Partitions} waiting=${data.waiting} />` : html`<p class="quiet">${data.waiting.length ? T.throughput.nothing : T.throughput.silent}</p>`}
    </section>`;
}

/** @param {{waiting: number[]}} props */
const Partitions = ({ waiting }) => html`
  <ol class="reasons partitions">${waiting.map((each, at) => html`
    <li key=${at}><div><span>${T.proof.partition} ${number(at)}</span><span>${number(each)}</span></div><i style=${{ width: `${(100 * each) / Math.max(...waiting)}%` }}></i></li>`)}
  </ol>`;
