// What the views of an import and of a job share.
import { html, useEffect, useState } from "./libraries.js";
import { download, follow, get } from "./api.js";
import { dateTime, duration, instant, number, percent } from "./format.js";
import { Button, Counts, Fault, Icon, Notice, Pager, Reasons, Skeleton, Value, announce, useLoad } from "./ui.js";
import { Rejected, afterName } from "./import_preview.js";
import { T } from "./text.js";

const PAGE = 20;
const RUNNING = ["ACCEPTED", "PROCESSING", "REVERTING", "CANCELLING"];
/** @param {any} job */
export const hasEnded = (job) => !RUNNING.includes(job.state);
/** @param {any} job */
export const isRunning = (job) => ["ACCEPTED", "PROCESSING"].includes(job.state);

/** The job as it is, followed for as long as it changes. @param {string} id */
export function useJob(id) {
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [round, setRound] = useState(0);
  const first = useLoad((signal) => get(`batchinfo/status/${id}`, {}, signal), [id, round]);
  const state = job?.state ?? first.data?.state;
  useEffect(() => { if (first.data) setJob(first.data); }, [first.data]);
  useEffect(() => {
    if (!state || hasEnded({ state })) return undefined;
    /** @type {any} */
    let timer;
    // Where events don't come through, the status is asked for again and again.
    const again = () => { timer = setTimeout(() => setRound((/** @type {number} */ before) => before + 1), 2000); };
    const stop = follow(id, (status) => {
      setJob(status);
      if (hasEnded(status)) {
        announce(T.states[status.state]);
        setRound((/** @type {number} */ before) => before + 1); // the reasons of rejected lines are told once it has ended
      }
    }, again);
    return () => { stop(); clearTimeout(timer); };
  }, [id, state, round]);
  return { job, isLost: Boolean(first.error), error: job ? null : first.error, reload: () => setRound((/** @type {number} */ before) => before + 1) };
}

/** @param {{state: string}} props */
export const State = ({ state }) => html`<span class="state ${state.toLowerCase()}">${T.states[state] ?? state}</span>`;

/** @param {any} job */
const doneLines = (job) => job.inserted + job.updated + job.unchanged + job.rejected + (job.mode === "delete" ? job.deleted : 0);

/** @param {any} job */
export const parts = (job) => [
  { name: T.outcomes.inserted, count: job.inserted, kind: "insert" },
  { name: T.outcomes.updated, count: job.updated, kind: "update" },
  { name: T.outcomes.unchanged, count: job.unchanged, kind: "unchanged" },
  ...(job.deleted || ["delete", "delsert"].includes(job.mode) ? [{ name: T.outcomes.deleted, count: job.deleted, kind: "delete" }] : []),
  { name: T.outcomes.rejected, count: job.rejected, kind: "reject" },
];

/** @param {{job: any, isLost: boolean}} props */
export function Progress({ job, isLost }) {
  const done = doneLines(job);
  const until = instant(job.estimatedFinishDate);
  const left = until ? Math.max(0, (until.getTime() - Date.now()) / 1000) : null;
  const tenth = Math.floor((10 * done) / Math.max(1, job.total));
  useEffect(() => { if (tenth > 0) announce(T.progress.spoken(percent(tenth, 10))); }, [tenth]);
  const isWaiting = job.state === "ACCEPTED";
  return html`
    <section class="card progress">
      <h2>${isWaiting ? T.progress.waiting : isRunning(job) ? T.progress.title : T.states[job.state]}</h2>
      <p><${Icon} name="file" /> <bdi>${job.fileName ?? T.noName}</bdi></p>
      <progress max=${Math.max(1, job.total)} value=${isWaiting || !isRunning(job) ? undefined : done} aria-label=${T.progress.title}></progress>
      <p class="facts"><span><b>${number(done)}</b> ${T.progress.of(number(job.total))}</span>
        ${job.rowsPerSecond > 0 && html`<span>${T.progress.speed(number(Math.round(job.rowsPerSecond)))}</span>`}
        ${left !== null && html`<span>${T.progress.left(duration(left))}</span>`}</p>
      ${isLost ? html`<${Notice} kind="warn">${T.progress.lost}<//>` : html`<p class="quiet">${T.progress.leave}</p>`}
      <${Counts} parts=${parts(job)} total=${0} />
    </section>`;
}

/** @param {{job: any}} props */
export function Outcome({ job }) {
  const began = instant(job.importedDate);
  const ended = instant(job.finishedDate);
  const isUndone = ["REVERTED", "CANCELLED", "FAILED"].includes(job.state);
  return html`
    <section class="card"><h2 class="result">${job.state === "FAILED" ? job.statusMessage : isUndone ? T.states[job.state] : job.rejected ? T.result.some(job.total - job.rejected, job.total) : T.result.all(job.total)}</h2>
      <p class="quiet">${ended && began ? T.result.ended(dateTime(ended), duration((ended.getTime() - began.getTime()) / 1000)) : ""}</p>
      ${job.state === "REVERTED" && html`<p>${T.result.hadDone}</p>`}
      <${Counts} parts=${parts(job)} total=${job.mode === "delsert" ? job.total + job.deleted : job.total} />
      ${job.notes > 0 && html`<${Notes} job=${job} />`}
    </section>`;
}

/** @param {{job: any}} props */
function Notes({ job }) {
  const [isOpen, setOpen] = useState(false);
  const notes = useLoad((signal) => (isOpen ? get(`batchinfo/notes/${job.id}`, { pageSize: 100 }, signal) : Promise.resolve(null)), [job.id, isOpen]);
  return html`
    <details onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}><summary>${T.result.notes(job.notes)}</summary>
      <${Fault} error=${notes.error} />
      <ul>${notes.data?.notes.map((/** @type {any} */ each) => html`<li key=${`${each.line} ${each.column}`}>${T.line(each.line)}: <b><bdi>${each.column}</bdi></b> ${each.value && html`<q><${Value}>${each.value}<//></q> `}${afterName(each)}</li>`)}</ul></details>`;
}

/** `onCorrected`: to go on with the corrected file. @param {{job: any, onCorrected?: () => void}} props */
export function ErrorLines({ job, onCorrected }) {
  const [start, setStart] = useState(0);
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState(/** @type {any} */ (null));
  const page = useLoad((signal) => get(`batchinfo/errors/${job.id}`, { start, pageSize: PAGE }, signal), [job.id, start, job.state]);
  async function save() {
    setBusy(true);
    setFault(null);
    try {
      await download(`batchinfo/errors/${job.id}`, "text/csv", T.result.errorFile(job.fileName ?? job.id));
    } catch (caught) {
      setFault(caught);
    }
    setBusy(false);
  }
  return html`
    <section class="card"><div class="heading"><h2>${T.result.errors(job.rejected)}</h2>
        <div class="actions"><${Button} icon="down" isBusy=${isBusy} onClick=${save}>${T.result.download}<//>
          ${onCorrected && html`<${Button} kind="primary" icon="import" onClick=${onCorrected}>${T.result.corrected}<//>`}</div></div>
      <p class="quiet">${T.result.downloadAbout}</p>
      <${Fault} error=${fault} />
      ${job.rejectedBy?.length > 0 && html`<${Reasons} faults=${job.rejectedBy} />`}
      <${Fault} error=${page.error} again=${page.reload} />
      ${page.data ? html`${page.data.total > 0 && html`<${Rejected} rows=${page.data.Errors} />`}
        ${page.data.unlisted && html`<p class="quiet">${T.result.unlisted(page.data.unlisted)}</p>`}
        <${Pager} start=${start} size=${PAGE} total=${page.data.total} onStart=${setStart} />` : !page.error && html`<${Skeleton} />`}
    </section>`;
}
