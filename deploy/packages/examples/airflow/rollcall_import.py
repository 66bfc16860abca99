"""An Airflow operator that imports a file into Rollcall, and a DAG that uses it.

Install ``rollcall-import`` beside Airflow, put this file into the DAGs' folder, and add a
connection ``rollcall_default``: its host is the API's URL, such as https://rollcall.example.org;
its login and password are those of an account, or its password is an API token.

A task that Airflow tries again imports nothing twice: the idempotency key is the task's of its run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from rollcall.client import Account, Client, RefusedError, Token


class RollcallImportOperator(BaseOperator):
    """Imports a file and waits for its end; XCom gets the job's id and counts.

    ``options`` are those of :meth:`rollcall.client.Client.import_file`, such as ``max_rejected``.
    """

    template_fields = ("file", "mode", "options")

    def __init__(
        self,
        *,
        file: str,
        mode: str = "upsert",
        options: dict[str, Any] | None = None,
        rollcall_conn_id: str = "rollcall_default",
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.file = file
        self.mode = mode
        self.options = options or {}
        self.rollcall_conn_id = rollcall_conn_id

    def execute(self, context: Any) -> dict[str, Any]:
        """Import the file; a refused one fails the task, which another try would not mend."""
        known = BaseHook.get_connection(self.rollcall_conn_id)
        secret = known.password
        credentials = Account(known.login, secret) if known.login else Token(secret)
        with Client(known.host, credentials) as client:
            try:
                job = self._imported(client, context["ti"])
            except RefusedError as error:
                raise AirflowFailException(str(error)) from error
            for error in client.errors(job.id) if job.rejected else ():
                self.log.warning("Line %s was rejected: %s", error.line, error.code)
        if not job.state.startswith("COMPLETED"):
            raise AirflowFailException(f"Job {job.id} is {job.state}.")
        counts = ("inserted", "updated", "unchanged", "deleted", "rejected")
        return {"id": job.id, **{name: getattr(job, name) for name in counts}}

    def _imported(self, client: Client, task: Any) -> Any:
        return client.import_file(
            self.file,
            mode=self.mode,
            idempotency_key=f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}",
            on_progress=lambda status: self.log.info("Job %s: %s", status.id, status.state),
            **self.options,
        )


with DAG(
    "rollcall_import",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    params={"file": "users.csv"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
) as dag:
    RollcallImportOperator(
        task_id="import_users", file="{{ params.file }}", options={"max_rejected": 100}
    )
