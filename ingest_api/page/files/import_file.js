import { html, useRef, useState } from "./libraries.js";
import { get } from "./api.js";
import { bytes } from "./format.js";
import { Button, Field, Icon, LinkButton, Notice, announce, link, useLoad } from "./ui.js";
import { change, draft } from "./import.js";
import { T } from "./text.js";

export function ChooseFile() {
  const { file, preset, corrects, fields } = draft.value;
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [isOver, setOver] = useState(false);
  const presets = useLoad((signal) => get("audience/presets", {}, signal), []);
  function take(/** @type {File | undefined} */ chosen) {
    if (!chosen) return;
    change({ file: chosen, inspection: null, preview: null, step: 1, ...(corrects ? {} : { fields: {} }) });
    announce(T.import.chosen(chosen.name, bytes(chosen.size)));
  }
  function drop(/** @type {DragEvent} */ event) {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files[0]);
  }
  return html`
    ${corrects && html`<${Notice} title=${T.import.correctedTitle}>${Object.keys(fields).length > 0 && `${T.import.correctedSame} `}${T.import.correctedAbout}<//>`}
    <div class="drop ${isOver ? "over" : ""}" onDragOver=${(/** @type {Event} */ event) => { event.preventDefault(); setOver(true); }}
      onDragLeave=${() => setOver(false)} onDrop=${drop}>
      <${Icon} name="import" />
      <h2>${T.import.drop}</h2>
      <p class="quiet">${T.import.kinds}</p>
      <${Button} kind="primary" onClick=${() => input.current?.click()}>${T.import.choose}<//>
      <input ref=${input} class="sr" type="file" tabindex="-1" aria-label=${T.import.choose} accept=".csv,.txt,.tsv,.gz,.zst,.xlsx,.ndjson,.jsonl,text/csv"
        onChange=${(/** @type {any} */ event) => { take(event.target.files[0]); event.target.value = ""; }} />
      ${file && html`<p><${Icon} name="file" /> <bdi>${file.name}</bdi>, ${bytes(file.size)} <${Button} kind="link" onClick=${() => change({ step: 1 })}>${T.import.goOn}<//></p>`}
    </div>
    <div class="row">
      ${presets.data?.total > 0 && html`
        <${Field} label=${T.import.preset} hint=${T.import.presetHint}>${(/** @type {any} */ about) => html`
          <select ...${about} value=${preset} onChange=${(/** @type {any} */ event) => change({ preset: event.target.value, inspection: null, fields: {} })}>
            <option value="">${T.import.noPreset}</option>
            ${presets.data.presets.map((/** @type {any} */ each) => html`<option key=${each.name} value=${each.name}>${each.name}</option>`)}
          </select>`}<//>`}
      <div class="field"><span class="label">${T.import.example}</span>
        <p class="hint">${T.import.exampleAbout}</p>
        <p><${LinkButton} icon="down" href=${EXAMPLE} download="example.csv">${T.import.exampleAction}<//></p></div>
    </div>
    <p class="quiet"><a href=${link("jobs")}>${T.import.earlier}</a></p>`;
}

const EXAMPLE = `data:text/csv;charset=utf-8,${encodeURIComponent(
  "First Name,Last Name,Email,Mobile Number,Country,State,Email Subscription\r\n"
  + "Ada,Lovelace,ada@example.com,+442079460123,UK,,true\r\n"
  + "Grace,Hopper,grace@example.com,+12125550123,USA,New York,false\r\n",
)}`;
