// One job: its life, what came of it, and what can still be done about it.
import { html, useState } from "./libraries.js";
import { address, get, may, post, session, whenReady } from "./api.js";
import { dateTime, duration, instant, number } from "./format.js";
import { asOf, pointOf } from "./as_of.js";
import { Back, Button, Change, Confirm, Counts, Empty, Fault, Heading, Notice, Skeleton, Table, Value, announce, fullName, link, useLoad, useTitle } from "./ui.js";
import { EMPTY, begin } from "./import.js";
import { ErrorLines, Outcome, Progress, State, hasEnded, isRunning, useJob } from "./job_parts.js";
import { T } from "./text.js";

/** @param {{id: string}} props */
export function Job({ id }) {
  const { job, error, isLost, reload } = useJob(id);
  const [asked, setAsked] = useState(/** @type {string | null} */ (null));
  useTitle(job?.fileName ?? T.job.title(id));
  if (error) return html`<${Back} to="jobs" title=${T.jobs.title} /><${Heading} title=${T.job.title(id)} />${error.status === 400 ? html`<${Empty} icon="jobs" title=${T.job.gone} />` : html`<${Fault} error=${error} again=${reload} />`}`;
  if (!job) return html`<${Heading} title=${T.job.title(id)} /><${Skeleton} rows=${6} />`;
  const isMine = job.importedBy === session.value?.name;
  const mayUndo = may("admin") || (may("importer") && isMine);
  const isDone = ["COMPLETED", "COMPLETED_WITH_ERRORS"].includes(job.state);
  return html`
    <${Back} to="jobs" title=${T.jobs.title} />
    <${Heading} title=${html`<bdi>${job.fileName ?? T.noName}</bdi>`} about=${html`<${State} state=${job.state} /> · ${T.modes[job.mode][0]} · <bdi>${job.importedBy}</bdi>`}>
      ${isRunning(job) && (may("manager") || (may("importer") && isMine)) && html`<${Button} onClick=${() => setAsked("cancel")}>${T.job.cancel}<//>`}
      ${isDone && mayUndo && html`<${Button} icon="undo" onClick=${() => setAsked("undo")}>${T.job.undo}<//>`}
      ${job.state === "REVERTED" && mayUndo && html`<${Button} icon="undo" onClick=${() => setAsked("redo")}>${T.job.redo}<//>`}
    <//>
    ${job.undoFailure && html`<${Notice} kind="warn" title=${T.job.undoFailed(job.undoFailure.failures)}>${job.undoFailure.reason}
      ${job.undoFailure.nextTryDate && html` ${T.job.nextTry(dateTime(instant(job.undoFailure.nextTryDate)))}`}<//>`}
    ${hasEnded(job) ? html`<${Outcome} job=${job} />` : html`<${Progress} job=${job} isLost=${isLost} />`}
    <div class="two">
      <section class="card"><h2>${T.job.life}</h2><${Life} job=${job} /></section>
      <section class="card"><h2>${T.job.file}</h2><${Facts} job=${job} /></section>
    </div>
    ${hasEnded(job) && job.rejected > 0 && html`<${ErrorLines} job=${job} onCorrected=${may("importer") ? () => begin(id, { ...EMPTY, mode: job.mode }) : undefined} />`}
    ${isDone && html`<${Proof} job=${job} />`}
    ${asked && html`<${Ask} job=${job} what=${asked} onClose=${() => setAsked(null)} onDone=${() => { setAsked(null); reload(); }} />`}`;
}

/** @param {{job: any}} props */
function Life({ job }) {
  const steps = [
    [T.job.accepted, job.importedDate, job.importedBy],
    [T.job.started, job.startedDate],
    [T.job.finished, job.finishedDate],
    [T.job.undone, job.revertedDate, job.revertedBy],
    [T.job.cancelled, job.cancelledDate, job.cancelledBy],
  ].filter(([, date]) => date);
  return html`
    <ol class="life">${steps.map(([name, date, by], at) => html`
      <li key=${name}><b>${name}</b><span>${dateTime(instant(date))}${by && html` · <bdi>${by}</bdi>`}</span>
        ${at > 0 && html`<small>${T.job.later(duration(((instant(date)?.getTime() ?? 0) - (instant(steps[at - 1][1])?.getTime() ?? 0)) / 1000))}</small>`}</li>`)}
    </ol>`;
}

/** @param {{job: any}} props */
function Facts({ job }) {
  return html`
    <dl class="facts-list">
      <dt>${T.job.id}</dt><dd><code>${job.id}</code></dd>
      <dt>${T.job.lines}</dt><dd>${number(job.total)}</dd>
      <dt>${T.job.format}</dt><dd>${T.columns.delimiter(job.delimiter)}, ${job.charset.toUpperCase()}</dd>
      <dt>SHA-256</dt><dd><code class="hash" title=${job.sha256}>${job.sha256}</code></dd>
    </dl>
    <p class="links">
      ${["COMPLETED", "COMPLETED_WITH_ERRORS"].includes(job.state) && html`
        <a href=${address(`batchinfo/results/${job.id}`, { format: "csv" })} download=${`results-${job.id}.csv`}>${T.job.results}</a>
        <a href=${link("users", { job: job.id })}>${T.job.users}</a>
        <a href=${link("users")} onClick=${() => { asOf.value = pointOf(job.id, job.fileName ?? undefined); }}>${T.job.audience}</a>`}
    </p>`;
}

/** @param {{job: any}} props */
function Proof({ job }) {
  const [round, setRound] = useState(0);
  const { data, error, isLoading, reload } = useLoad((signal) => (round ? get(`batchinfo/proof/${job.id}`, {}, signal) : Promise.resolve(null)), [job.id, round]);
  return html`
    <section class="card"><div class="heading"><div><h2>${T.proof.title}</h2><p class="quiet">${T.proof.about}</p></div>
      <${Button} isBusy=${round > 0 && isLoading} onClick=${() => (round ? reload() : setRound(1))}>${T.proof.action}<//></div>
      <${Fault} error=${error} />
      ${data && html`
        <${Notice} kind=${data.isProven ? "good" : "bad"} title=${data.isProven ? T.proof.proven : T.proof.differs(data.differences)}>
          ${T.proof.sums(number(data.lines), number(data.eventsInLog), number(data.usersLeft))}<//>
        ${data.findings.length > 0 && html`<${Table} caption=${T.proof.findings} rows=${data.findings} columns=${[
          { title: T.proof.where, cell: (/** @type {any} */ row) => html`${row.table} <${Value}>${row.subject}<//>` },
          { title: T.proof.column, cell: (/** @type {any} */ row) => html`<${Value}>${row.column}<//>` },
          { title: T.proof.expected, cell: (/** @type {any} */ row) => html`<${Value}>${row.expected}<//>` },
          { title: T.proof.found, cell: (/** @type {any} */ row) => html`<${Value}>${row.found}<//>` }]} />`}
        <details><summary>${T.proof.partitions(data.partitions.length)}</summary>
          <${Table} caption=${T.proof.partitions(data.partitions.length)} rows=${data.partitions} columns=${[
            { title: T.proof.partition, cell: (/** @type {any} */ row) => row.partition },
            { title: T.proof.events, kind: "num", cell: (/** @type {any} */ row) => number(row.events) },
            { title: T.proof.offsets, cell: (/** @type {any} */ row) => `${number(row.openedOffset)} – ${number(row.sealedOffset)}` },
            { title: T.proof.digest, cell: (/** @type {any} */ row) => html`<code>${row.digestFound}</code>` }]} /></details>`}
    </section>`;
}

/** What an undo, redo or cancel would do, before it is done. @param {any} props */
function Ask({ job, what, onClose, onDone }) {
  const [told, setTold] = useState("");
  const isPreviewed = what !== "cancel";
  const { data, error, reload } = useLoad((signal) => (isPreviewed
    ? whenReady(() => post(`batchinfo/${what}/${job.id}`, undefined, { query: { dryRun: true }, signal }), setTold, signal)
    : Promise.resolve({})), [job.id, what]);
  const words = T.asks[what];
  async function act() {
    await post(`batchinfo/${what}/${job.id}`);
    announce(words.done);
    onDone();
  }
  return html`
    <${Confirm} title=${words.title} action=${words.action} kind=${what === "redo" ? "primary" : "danger"} isReady=${Boolean(data)} onDo=${act} onClose=${onClose} isWide=${isPreviewed}>
      <p>${words.about}</p>
      <${Fault} error=${error} again=${reload} />
      ${!data && !error && html`<p class="quiet">${told || T.asks.wait}</p><${Skeleton} />`}
      ${data?.samples && html`<${Undone} preview=${data} />`}
    <//>`;
}

/** @param {{preview: any}} props */
function Undone({ preview }) {
  const kinds = /** @type {[string, string][]} */ ([["restored", "insert"], ["removed", "delete"], ["changedBack", "update"], ["kept", "unchanged"]]);
  return html`
    <p class="lead">${T.undone.users(number(preview.usersBefore), number(preview.usersAfter))}</p>
    <${Counts} parts=${kinds.map(([name, kind]) => ({ name: T.undone[name], count: preview[name], kind }))} />
    ${preview.samples.changedBack.length > 0 && html`<h3>${T.undone.changedBack}</h3><${Table} caption=${T.undone.changedBack} rows=${preview.samples.changedBack} columns=${[
      { title: T.fields.key, kind: "main", cell: (/** @type {any} */ row) => html`<b><${Value}>${row.key}<//></b>` },
      { title: T.preview.changes, cell: (/** @type {any} */ row) => html`<${Change} before=${row.before} after=${row.after} />` }]} />`}
    ${["restored", "removed"].map((name) => preview.samples[name].length > 0 && html`<h3>${T.undone[name]}</h3><${Table} caption=${T.undone[name]} rows=${preview.samples[name]} columns=${[
      { title: T.fields.key, kind: "main", cell: (/** @type {any} */ row) => html`<b><${Value}>${row.key}<//></b>` },
      { title: T.users.name, cell: (/** @type {any} */ row) => html`<${Value}>${fullName(row.user)}<//>` },
      { title: T.fields.country, cell: (/** @type {any} */ row) => html`<${Value}>${row.user.country}<//>` }]} />`)}
    ${preview.laterJobs.length > 0 && html`<${Notice} kind="warn">${T.undone.later(preview.laterJobs.length)}<//>`}`;
}

