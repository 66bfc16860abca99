import { html } from "./libraries.js";
import { Button, Empty, Fault, LinkButton, Skeleton, link } from "./ui.js";
import { begin } from "./import.js";
import { ErrorLines, Outcome, Progress, hasEnded, useJob } from "./job_parts.js";
import { T } from "./text.js";

/** The import as it runs and what came of it: the same after a reload, or on another device. @param {{id: string}} props */
export function ImportedJob({ id }) {
  const { job, error, isLost, reload } = useJob(id);
  if (error) return error.status === 400 ? html`<${Empty} icon="jobs" title=${T.job.gone} />` : html`<${Fault} error=${error} again=${reload} />`;
  if (!job) return html`<${Skeleton} rows=${5} />`;
  return html`
    ${hasEnded(job) ? html`<${Outcome} job=${job} />` : html`<${Progress} job=${job} isLost=${isLost} />`}
    ${hasEnded(job) && html`<footer class="next">
      <${LinkButton} href=${link(`jobs/${id}`)}>${T.result.job}<//>
      <${LinkButton} href=${link("users", { job: id })}>${T.result.users}<//>
      <${Button} kind=${job.rejected > 0 ? "" : "primary"} onClick=${() => begin()}>${T.result.another}<//>
    </footer>`}
    ${hasEnded(job) && job.rejected > 0 && html`<${ErrorLines} job=${job} onCorrected=${() => begin(id)} />`}`;
}
