import { html, useEffect, useRef, useState } from "./libraries.js";
import { may, upload } from "./api.js";
import { bytes, duration, number, percent } from "./format.js";
import { Button, Change, Confirm, Counts, Fault, Field, Icon, Notice, Reasons, Skeleton, Table, Value, announce, go } from "./ui.js";
import { begin, change, draft, isPacked, options } from "./import.js";
import { Choice } from "./import_columns.js";
import { T } from "./text.js";

const MODES = ["upsert", "insert", "update", "ignore", "delsert", "delete"];
const REMOVING = ["delsert", "delete"];
const LIMITS = { MAX_DELETE_PERCENT: "maxDeletePercent", MAX_REJECTED_PERCENT: "maxRejectedPercent" };

/** What was last sent without a success: sent again as it is, it has the same key, so that it becomes one import. */
let tried = { of: "", key: "" };

/** @param {File} file @param {any} asked */
function keyOf(file, asked) {
  const of = JSON.stringify([file.name, file.size, file.lastModified, asked]);
  if (tried.of !== of) tried = { of, key: Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("") };
  return tried.key;
}

export function Preview() {
  const { file, inspection, mode, choices, preview } = draft.value;
  const [error, setError] = useState(/** @type {any} */ (null));
  const [sent, setSent] = useState(0);
  const [round, setRound] = useState(0);
  const [isAsking, setAsking] = useState(false);
  const [sending, setSending] = useState(/** @type {any} */ (null));
  const { maxRejected, maxDeletePercent, maxRejectedPercent, ...asked } = /** @type {any} */ (options());
  const wanted = JSON.stringify([asked, round]);
  const [seen, setSeen] = useState(preview ? wanted : "");

  useEffect(() => {
    if (seen === wanted || !file) return undefined;
    const stop = new AbortController();
    setSent(0);
    setError(null);
    upload("audience/import", file, file.name, { ...asked, dryRun: true }, {
      signal: stop.signal, charset: charset(), tell: (done, total) => setSent(total ? done / total : 0),
    }).then((found) => {
      change({ preview: found });
      setSeen(wanted);
      announce(T.preview.summary(found));
    }, (caught) => { if (!stop.signal.aborted) setError(caught); });
    return () => stop.abort();
  }, [wanted]);

  const isSeen = seen === wanted && preview;
  const set = (/** @type {string} */ name, /** @type {any} */ value) => change({ choices: { ...draft.value.choices, [name]: value || undefined } });
  const going = isSeen ? preview.delete : 0;
  const lifted = (/** @type {any} */ each) => choices[LIMITS[/** @type {keyof typeof LIMITS} */ (each.code)]] === 100;
  const stops = isSeen ? preview.refusedFor.filter((/** @type {any} */ each) => !lifted(each)) : [];
  const isNothing = isSeen && choices.maxRejected === 0 && preview.reject > 0;

  async function send() {
    setAsking(false);
    const stop = new AbortController();
    const key = keyOf(/** @type {File} */ (file), options());
    const began = Date.now();
    setError(null);
    setSending({ done: 0, total: file?.size ?? 0, stop });
    try {
      const taken = await upload("audience/import", /** @type {File} */ (file), file?.name ?? "", options(), {
        key, signal: stop.signal, charset: charset(),
        tell: (done, total, how) => setSending({ done, total, stop, how, seconds: (Date.now() - began) / 1000 }),
      });
      tried = { of: "", key: "" };
      change({ file: null, inspection: null, preview: null, step: 0, corrects: "" });
      go(`import/${taken.id}`);
    } catch (caught) {
      if (!stop.signal.aborted) setError(caught);
      setSending(null);
    }
  }

  if (sending) return html`<${Sending} name=${file?.name} state=${sending} />`;
  return html`
    <fieldset class="modes"><legend>${T.preview.question}</legend>
      ${MODES.filter((each) => may(REMOVING.includes(each) ? "manager" : "importer")).map((each) => html`
        <label key=${each} class="mode ${REMOVING.includes(each) ? "removing" : ""}">
          <input type="radio" name="mode" value=${each} checked=${mode === each} onChange=${() => change({ mode: each })} />
          <span><b>${T.modes[each][0]}</b><small>${T.modes[each][1]}</small></span></label>`)}
    </fieldset>
    <details><summary>${T.columns.more}</summary><div class="row">
      ${["upsert", "update"].includes(mode) && html`
        <${Choice} name="blankCells" choices=${choices} set=${set} all=${T.preview.blankCells} label=${T.preview.blankCellsLabel} />
        <${Choice} name="overwrite" choices=${choices} set=${set} all=${T.preview.overwrite} label=${T.preview.overwriteLabel} />`}
      <label class="check"><input type="checkbox" checked=${choices.maxRejected === 0} onChange=${(/** @type {any} */ event) => change({ choices: { ...choices, maxRejected: event.target.checked ? 0 : undefined } })} />
        <span><b>${T.preview.allOrNothing}</b><small>${T.preview.allOrNothingAbout}</small></span></label>
    </div></details>
    <section class="card" aria-busy=${!isSeen && !error}>
      <h2>${T.preview.title}</h2>
      ${error ? html`<${Fault} error=${error} again=${() => { setError(null); setRound(round + 1); }} />`
        : !isSeen ? html`<p class="quiet">${sent < 1 && file && file.size > 1e6 ? T.preview.reading(percent(sent, 1)) : T.preview.comparing}</p><${Skeleton} rows=${5} />`
        : html`<${Would} preview=${preview} />`}
    </section>
    ${isSeen && preview.refusedFor.map((/** @type {any} */ each) => html`
      <${Notice} kind="warn" title=${each.message}><label class="check"><input type="checkbox" checked=${lifted(each)}
        onChange=${(/** @type {any} */ event) => set(LIMITS[/** @type {keyof typeof LIMITS} */ (each.code)], event.target.checked ? 100 : undefined)} />
        <span>${T.preview.allTheSame}</span></label><//>`)}
    ${isNothing && html`<${Notice} kind="warn">${T.preview.nothing(preview.reject)}<//>`}
    <footer class="next"><${Button} onClick=${() => change({ step: 1 })}>${T.back}<//>
      <${Button} onClick=${() => begin()}>${T.preview.giveUp}<//>
      <${Button} kind=${going ? "danger" : "primary"} icon="import" disabled=${!isSeen || stops.length > 0 || isNothing}
        onClick=${() => (REMOVING.includes(mode) && going ? setAsking(true) : send())}>${isSeen ? T.preview.go(preview) : T.preview.goPlain}<//></footer>
    ${isAsking && html`<${AskRemoval} going=${going} mode=${mode} onDo=${send} onClose=${() => setAsking(false)} />`}`;

  function charset() {
    return file && (isPacked(file) || /\.(ndjson|jsonl)$/i.test(file.name)) ? undefined : inspection?.charset;
  }
}

/** @param {any} props */
function AskRemoval({ going, mode, onDo, onClose }) {
  const [typed, setTyped] = useState("");
  return html`
    <${Confirm} title=${T.removal.title(going)} kind="danger" action=${T.removal.action(going)} onDo=${onDo} onClose=${onClose} isReady=${typed.replace(/\D/g, "") === String(going)}>
      <p>${mode === "delsert" ? T.removal.delsert : T.removal.delete} ${T.removal.undo}</p>
      <${Field} label=${T.removal.type(number(going))}>${(/** @type {any} */ about) => html`
        <input ...${about} inputmode="numeric" autocomplete="off" autofocus value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />`}<//>
    <//>`;
}

/** @param {any} props */
function Sending({ name, state }) {
  const { done, total, seconds, how, stop } = state;
  const isSent = done >= total && total > 0;
  const left = seconds > 2 && done > 0 ? ((total - done) * seconds) / done : null;
  return html`
    <section class="card progress"><h2>${isSent ? T.sending.finishing : T.sending.title}</h2>
      <p><${Icon} name="file" /> <bdi>${name}</bdi></p>
      <progress max="1" value=${isSent ? undefined : done / (total || 1)} aria-label=${T.sending.title}></progress>
      <p class="quiet">${how ? T.sending[how] : T.sending.sent(bytes(done), bytes(total))}${left && !isSent ? ` · ${T.progress.left(duration(left))}` : ""}</p>
      <p><${Button} onClick=${() => stop.abort()}>${T.cancel}<//></p>
    </section>`;
}

/** What a dry run has found. @param {{preview: any}} props */
function Would({ preview }) {
  const kinds = ["insert", "update", "unchanged", "delete", "reject"];
  const shown = kinds.filter((each) => preview.samples[each].length);
  const [chosen, setChosen] = useState(/** @type {string | null} */ (null));
  const kind = chosen && shown.includes(chosen) ? chosen : ["reject", "delete", "update", "insert", "unchanged"].find((each) => shown.includes(each));
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const move = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !kind) return;
    const next = (shown.indexOf(kind) + step + shown.length) % shown.length;
    setChosen(shown[next]);
    /** @type {HTMLElement} */ (list.current?.children[next]).focus();
  };
  return html`
    <p class="lead">${T.preview.summary(preview)}</p>
    <${Counts} parts=${kinds.filter((each) => preview[each] || each !== "delete").map((each) => ({ name: T.preview.kinds[each], count: preview[each], kind: each }))} />
    ${preview.pendingJobs > 0 && html`<${Notice} kind="warn">${T.preview.pending(preview.pendingJobs)}<//>`}
    ${preview.notes.map((/** @type {string} */ note) => html`<${Notice}>${note}<//>`)}
    ${preview.notedBy.map((/** @type {any} */ each) => html`<${Notice}>${(each.code === "OPT_OUT_KEPT" ? T.preview.kept : T.preview.dropped)(each.count, each.column)}<//>`)}
    ${preview.newAttributes.length > 0 && html`<${Notice}>${T.preview.newAttributes(preview.newAttributes.join(", "))}<//>`}
    ${preview.rejectedBy.length > 0 && html`<h3>${T.preview.reasons}</h3><${Reasons} faults=${preview.rejectedBy} />`}
    ${shown.length > 0 && html`<h3>${T.preview.examples}</h3>
      <div class="segments" role="tablist" ref=${list} onKeyDown=${move}>${shown.map((each) => html`
        <button key=${each} type="button" role="tab" aria-selected=${each === kind ? "true" : "false"} tabindex=${each === kind ? 0 : -1} onClick=${() => setChosen(each)}>${T.preview.kinds[each]} <small>${number(preview[each])}</small></button>`)}</div>
      <${Samples} kind=${kind} rows=${preview.samples[kind ?? ""]} />`}`;
}

/** @param {{kind: any, rows: any[]}} props */
function Samples({ kind, rows }) {
  const line = { title: T.preview.line, kind: "num line", cell: (/** @type {any} */ row) => number(row.line) };
  if (kind === "reject") return html`<${Rejected} rows=${rows} />`;
  if (kind === "update") {
    return html`<${Table} caption=${T.preview.examples} rows=${rows} columns=${[line, { title: T.preview.changes, cell: (/** @type {any} */ row) => html`<${Change} before=${row.before} after=${row.after} />` }]} />`;
  }
  if (kind === "unchanged") {
    return html`<${Table} caption=${T.preview.examples} rows=${rows} columns=${[line, { title: T.fields.id, cell: (/** @type {any} */ row) => row.id }]} />`;
  }
  const names = ["email", "mobileNumber", "firstName", "lastName", "country", "state"].filter((name) => rows.some((row) => row.user[name]));
  return html`<${Table} caption=${T.preview.examples} rows=${rows} columns=${[...(kind === "insert" ? [line] : []),
    ...names.map((name) => ({ title: T.fields[name], cell: (/** @type {any} */ row) => html`<${Value}>${row.user[name]}<//>` }))]} />`;
}

/** Rejected lines, with the reason at the cell. @param {{rows: any[]}} props */
export const Rejected = ({ rows }) => html`
  <${Table} caption=${T.preview.rejected} rows=${rows} columns=${[
    { title: T.preview.line, kind: "num line", cell: (/** @type {any} */ row) => number(row.line) },
    { title: T.preview.faults, cell: (/** @type {any} */ row) => html`<ul class="faults">${row.faults.map((/** @type {any} */ each) => html`
      <li>${each.column && html`<b><bdi>${each.column}</bdi></b>`} ${each.value && html`<q><${Value}>${each.value}<//></q>`} <span class="fault">${afterName(each)}</span></li>`)}</ul>` },
    { title: T.preview.asSent, kind: "raw", cell: (/** @type {any} */ row) => html`<code dir="ltr" title=${rawOf(row)}>${rawOf(row)}</code>` },
  ]} />`;

/** The reason, without the name of the column that stands before it already. @param {any} fault */
export const afterName = ({ column, reason }) => (column && reason.startsWith(`${column} `) ? reason.slice(column.length + 1) : reason);

/** The line as uploaded, which stands between its number and the reason. @param {any} row */
const rawOf = (row) => row.errorMessage.slice(row.errorMessage.indexOf(",") + 1, row.errorMessage.length - row.reason.length - 1);

