// The point in time that the page looks at: now, the end of a day, or after a job.
import { html, signal, useState } from "./libraries.js";
import { day } from "./format.js";
import { Button, Dialog, Field, Icon, LinkButton, link } from "./ui.js";
import { T } from "./text.js";

/** `value` is what the API takes as `asOf`; null is now. */
export const asOf = signal(/** @type {{value: string, title: string} | null} */ (null));

/** @param {string} id */
export const lookAfterJob = (id) => { asOf.value = { value: id, title: T.asOf.afterJob(id) }; };

/** @param {string} text as a date input has it, in the browser's own time zone */
function lookAtDay(text) {
  const [year, month, date] = text.split("-").map(Number);
  const end = new Date(year, month - 1, date + 1);
  const at = end > new Date() ? new Date() : end;
  asOf.value = {
    value: at.toISOString().replace(/\.\d+Z/, "Z"),
    title: day(new Date(Date.UTC(year, month - 1, date))),
  };
}

export const AsOfBanner = () => asOf.value && html`
  <div class="as-of" role="status"><${Icon} name="clock" /><span>${T.asOf.banner(asOf.value.title)}</span>
    <${LinkButton} href=${link("changes")}>${T.changes.title}<//><${Button} onClick=${() => { asOf.value = null; }}>${T.asOf.now}<//></div>`;

export function AsOfButton() {
  const [isOpen, setOpen] = useState(false);
  const today = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 10);
  const [text, setText] = useState(today);
  return html`
    <${Button} icon="clock" onClick=${() => setOpen(true)}>${T.asOf.action}<//>
    ${isOpen && html`<${Dialog} title=${T.asOf.title} onClose=${() => setOpen(false)}>
      <form onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); lookAtDay(text); setOpen(false); }}>
        <div class="body"><p>${T.asOf.about}</p>
          <${Field} label=${T.asOf.day}>${(/** @type {any} */ about) => html`
            <input ...${about} type="date" max=${today} required value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />`}<//></div>
        <footer><${Button} onClick=${() => setOpen(false)}>${T.cancel}<//><${Button} kind="primary" type="submit">${T.asOf.look}<//></footer>
      </form><//>`}`;
}
