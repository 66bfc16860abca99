import { html, useState } from "./libraries.js";
import { ApiError, signIn } from "./api.js";
import { Button, Field, Notice, useTitle } from "./ui.js";
import { T } from "./text.js";

export function SignIn() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [fault, setFault] = useState("");
  const [isBusy, setBusy] = useState(false);
  useTitle(T.signIn.title);
  async function submit(/** @type {Event} */ event) {
    event.preventDefault();
    setBusy(true);
    setFault("");
    try {
      await signIn(name, password);
    } catch (error) {
      const isWrong = error instanceof ApiError && error.status === 401;
      setFault(isWrong ? T.signIn.wrong : /** @type {Error} */ (error).message);
      setBusy(false);
    }
  }
  return html`
    <main class="sign-in">
      <form onSubmit=${submit}>
        <img src="page/icon.svg" alt="" width="44" height="44" />
        <h1>${T.signIn.title}</h1>
        <p class="quiet">${T.signIn.about}</p>
        ${fault && html`<${Notice} kind="bad">${fault}<//>`}
        <${Field} label=${T.signIn.name}>${(/** @type {any} */ about) => html`
          <input ...${about} name="username" autocomplete="username" autocapitalize="none" spellcheck=${false} required autofocus value=${name} onInput=${(/** @type {any} */ event) => setName(event.target.value)} />`}<//>
        <${Field} label=${T.signIn.password}>${(/** @type {any} */ about) => html`
          <input ...${about} type="password" name="password" autocomplete="current-password" required value=${password} onInput=${(/** @type {any} */ event) => setPassword(event.target.value)} />`}<//>
        <${Button} kind="primary" type="submit" isBusy=${isBusy}>${T.signIn.action}<//>
      </form>
    </main>`;
}
