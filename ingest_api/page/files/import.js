// An import in four steps: the file, its columns, what it would do, and the import itself.
import { html, signal } from "./libraries.js";
import { upload } from "./api.js";
import { Heading, Icon, go, useTitle } from "./ui.js";
import { Columns } from "./import_columns.js";
import { ChooseFile } from "./import_file.js";
import { Preview } from "./import_preview.js";
import { ImportedJob } from "./import_result.js";
import { T } from "./text.js";

const SAMPLE_BYTES = 4_000_000;
export const EMPTY = {
  step: 0,
  file: /** @type {File | null} */ (null),
  mode: "upsert",
  preset: "",
  choices: /** @type {Record<string, any>} */ ({}),
  fields: /** @type {Record<string, string | null>} by header: a field, null to leave out, NEW */ ({}),
  inspection: /** @type {any} */ (null),
  preview: /** @type {any} */ (null),
  corrects: "",
};

/** The import being prepared; it outlives a look at another view, but not the page. */
export const draft = signal(EMPTY);
export const NEW = "\0new";
/** @param {Partial<typeof EMPTY>} changes */
export const change = (changes) => { draft.value = { ...draft.value, ...changes }; };
/** Begin anew; a corrected file is read as the one before was. @param {string} [corrects] @param {typeof EMPTY} [before] */
export function begin(corrects = "", before = draft.value) {
  const { mode, choices, preset, fields } = before;
  // Its lines alone are not all users, so they never replace everybody.
  draft.value = corrects ? { ...EMPTY, mode: mode === "delsert" ? "upsert" : mode, choices, preset, fields, corrects } : EMPTY;
  go("import");
}

/** What `columns` and `unknownColumns` say of what was chosen; all is `auto` before that. */
function columnOptions() {
  const { fields, inspection } = draft.value;
  const chosen = Object.entries(fields).filter(([, field]) => field !== NEW);
  const hasNew = Object.values(fields).includes(NEW);
  if (!inspection && !chosen.length) return { columns: draft.value.preset ? undefined : "auto" };
  return {
    columns: JSON.stringify(Object.fromEntries(chosen)),
    unknownColumns: hasNew ? "attribute" : "ignore",
  };
}

/** The options of an upload as they stand. */
export function options() {
  const { mode, preset, choices, inspection } = draft.value;
  const read = inspection?.options;
  return {
    importType: mode,
    preset,
    ...(read ? { DELIMITER: read.DELIMITER, phoneRegion: read.phoneRegion, dateOrder: read.dateOrder } : {}),
    ...columnOptions(),
    ...choices,
  };
}

/** Have the API say what the file is. @param {AbortSignal} signal */
export async function inspect(signal) {
  const { file, preset, choices, mode } = draft.value;
  if (!file) throw new Error(T.import.noFile);
  const { blankCells, DELIMITER, phoneRegion, dateOrder, sheet, onInvalidOptional } = choices;
  const asked = { importType: mode, preset, ...columnOptions(), blankCells, DELIMITER, phoneRegion, dateOrder, sheet, onInvalidOptional };
  return upload("audience/inspect", await sample(file), file.name, asked, { signal });
}

/** The first lines of a large text; what is packed is sent whole. @param {File} file */
async function sample(file) {
  if (file.size <= 2 * SAMPLE_BYTES || isPacked(file)) return file;
  const head = new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer());
  return file.slice(0, head.lastIndexOf(10) + 1 || SAMPLE_BYTES, file.type);
}

/** What stands in the way whatever the file is to do: with some columns missing it may still update or delete. @param {any} inspection */
export const blocked = (inspection) => inspection.refusedFor.filter((/** @type {any} */ each) => each.code !== "REQUIRED_COLUMN_MISSING");

/** @param {File} file */
export const isPacked = (file) => /\.(gz|zst|xlsx)$/i.test(file.name);

/** @param {{id?: string}} props */
export function Import({ id }) {
  const { step, file, inspection } = draft.value;
  const now = id ? 3 : step;
  useTitle(T.import.title);
  const reached = id ? [] : [true, Boolean(file), Boolean(inspection?.columns.length && !blocked(inspection).length), false];
  return html`
    <${Heading} title=${T.import.title} about=${id ? "" : T.import.about} />
    <ol class="steps" aria-label=${T.import.steps}>${T.import.stepNames.map((/** @type {string} */ name, /** @type {number} */ at) => html`
      <li key=${name} class=${at < now ? "done" : ""} aria-current=${at === now ? "step" : undefined}>
        <button type="button" disabled=${!reached[at] || at === now} onClick=${() => change({ step: at })}>
          <b>${at < now ? html`<${Icon} name="check" />` : at + 1}</b><span>${name}</span></button></li>`)}
    </ol>
    ${id ? html`<${ImportedJob} key=${id} id=${id} />`
      : step === 0 ? html`<${ChooseFile} />`
      : step === 1 ? html`<${Columns} />`
      : html`<${Preview} />`}`;
}
