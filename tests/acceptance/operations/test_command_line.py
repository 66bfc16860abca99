"""The commands against a real installation, run as a user runs them."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.clients.shell import COMMAND, TIMEOUT_S
from tests.support.clients.shell import Shell as _Shell
from tests.support.data.files import tidy_csv
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers.rig import Rig


@pytest.fixture
def shell(rig_of_module: Rig, tmp_path: Path) -> _Shell:
    """A shell with the address and the credentials set; each test has users of its own."""
    return _Shell(rig_of_module, tmp_path)


@pytest.fixture
def shell_alone(rig: Rig, tmp_path: Path) -> _Shell:
    """The same with an installation of the test's own, which it may break."""
    return _Shell(rig, tmp_path)


def test_rejected_lines_are_corrected_and_imported_again(shell: _Shell) -> None:
    """The error file needs its faults mended, and nothing else."""
    content = tidy_csv(range(100, 105)).replace(b"user103@example.com", b"no-at-sign")
    out = shell.folder / "rejected.csv"

    first = shell.run("import", shell.file(content), "--errors", str(out))
    shown = shell.run("errors", first.stdout.split()[1].rstrip(":"))
    text = out.read_text(encoding="utf-8-sig")
    again = shell.run(
        "import", shell.file(text.replace("no-at-sign", "user103@example.com").encode())
    )

    assert first.returncode == 1, first.stderr
    assert "5 lines: 4 inserted, 0 updated, 0 unchanged, 1 rejected" in first.stdout
    assert f"The rejected lines are in {out}." in first.stderr
    assert "EMAIL_INVALID" in shown.stdout
    assert [row["Error Code"] for row in csv.DictReader(text.splitlines())] == ["EMAIL_INVALID"]
    assert again.returncode == 0, again.stderr
    assert "1 line: 1 inserted" in again.stdout
    assert shell.json("users", "--email", "user103@example.com")["total"] == 1


def test_exit_status_tells_what_became_of_an_import(shell: _Shell) -> None:
    """0 all went in, 1 some did not, 2 refused; a wrong password is refused too."""
    file = shell.file(tidy_csv(range(200, 203)))

    assert shell.run("import", file).returncode == 0
    assert shell.run("import", file).returncode == 1
    assert shell.run("import", file, "--delimiter", "PIPE").returncode == 2
    wrong = shell.run("import", file, ROLLCALL_PASSWORD="wrong")
    assert wrong.returncode == 2
    where = f"({shell.rig.client.url}, as admin)"
    assert wrong.stderr == f"Error: 401: Unauthorized request {where}\n"


def test_an_accepted_upload_is_followed_later(shell: _Shell) -> None:
    """--no-wait ends at once; `status --wait` and `jobs` tell of the job."""
    file = shell.file(tidy_csv(range(300, 303)))

    answer = shell.json("import", file, "--no-wait", "--mode", "upsert")

    status = shell.json("status", answer["id"], "--wait")
    query = ("--mode", "upsert", "--state", "COMPLETED", "--imported-by", "admin")
    jobs = shell.json("jobs", *query)["statuses"]

    assert status["state"] == "COMPLETED"
    assert jobs[0]["id"] == answer["id"]
    assert shell.json("jobs", "--mode", "delsert")["statuses"] == []
    assert shell.json("jobs", "--imported-by", "nobody")["statuses"] == []


def test_a_file_is_taken_from_standard_input(shell: _Shell) -> None:
    """Packed, too."""
    file = shell.file(tidy_csv(range(400, 407)))
    command = " ".join(COMMAND)

    done = subprocess.run(
        ["/bin/sh", "-c", f"gzip -c {file} | {command} import - --json"],
        check=True,
        capture_output=True,
        env=shell.environ({}),
        text=True,
    )

    status = json.loads(done.stdout)
    assert (status["inserted"], status["fileName"]) == (7, "stdin.csv.gz")


def test_a_dry_run_tells_and_changes_nothing(shell: _Shell) -> None:
    """Exit status 0 where every line would go in, 1 where one would not."""
    shell.rig.run(tidy_csv(range(500, 504)))
    changed = tidy_csv(range(502, 506), word="b")
    faulty = tidy_csv(range(504, 506)).replace(b"user505@example.com", b"no-at-sign")
    before = [shell.json(listed)["total"] for listed in ("users", "jobs")]

    whole = shell.run("import", shell.file(changed), "--mode", "upsert", "--dry-run")
    partly = shell.run("import", shell.file(faulty), "--dry-run")

    assert whole.returncode == 0, whole.stderr
    assert "2 to insert, 2 to update, 0 unchanged, 0 to delete, 0 to reject" in whole.stdout
    rows = [line.split() for line in whole.stdout.splitlines()]
    assert ["firstName", "Firsta503", "Firstb503"] in [row[-3:] for row in rows]
    assert partly.returncode == 1, partly.stderr
    assert "1 to insert, 0 to update, 0 unchanged, 0 to delete, 1 to reject" in partly.stdout
    assert "EMAIL_INVALID" in partly.stdout
    assert [shell.json(listed)["total"] for listed in ("users", "jobs")] == before


def test_an_upload_that_the_api_dies_of_ends_in_one_job(shell_alone: _Shell) -> None:
    """Killed while it receives, and gone for a while: the command waits and sends it again."""
    shell = shell_alone
    shell.rig.api.freeze()
    command = shell.start("import", shell.file(tidy_csv(range(50))))
    # Its connection is in the frozen process' backlog, so the upload is on its way.
    wait_until(
        lambda: any(
            each.status == psutil.CONN_ESTABLISHED
            for each in psutil.Process(command.pid).net_connections()
        ),
        30,
        saying="the command is connected",
    )
    shell.rig.api.kill()
    assert command.stderr is not None
    first_words = command.stderr.readline()
    shell.rig.restart_api()

    stdout, stderr = command.communicate(timeout=TIMEOUT_S)

    assert "trying again in" in first_words
    assert command.returncode == 0, stderr
    assert "50 lines: 50 inserted" in stdout
    assert shell.json("jobs")["total"] == 1


def test_ctrl_c_leaves_the_job_alone(shell_alone: _Shell) -> None:
    """It says how to follow the job, which goes on."""
    shell = shell_alone
    shell.rig.processors[0].freeze()
    command = shell.start("import", shell.file(tidy_csv(range(3))), FORCE_COLOR="1")
    assert command.stderr is not None
    shown = ""
    while "Import " not in shown:  # the bar that follows the job, after that of the upload
        shown += (character := command.stderr.read(1))
        assert character, shown

    command.send_signal(signal.SIGINT)
    _, stderr = command.communicate(timeout=60)

    job_id = shell.rig.client.statuses()["statuses"][0]["id"]
    shell.rig.processors[0].thaw()
    assert command.returncode == 130
    words = (
        f"Interrupted; the job goes on: `rollcall status {job_id} --wait`, "
        f"unless you cancel it: `rollcall cancel {job_id}`.\n"
    )
    assert stderr.endswith(words)
    assert shell.rig.wait_ended(int(job_id))["inserted"] == 3


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_has_gone_ends_it_quietly(shell: _Shell, options: tuple[str, ...]) -> None:
    """As `| head` does; no trace, and the exit status of a closed pipe."""
    shell.rig.run(tidy_csv(range(1000, 2000)), "upsert")
    command = shell.start("users", "--page-size", "1000", *options)
    assert command.stdout is not None
    assert command.stderr is not None

    command.stdout.close()

    assert command.stderr.read() == ""
    assert command.wait(60) == 128 + signal.SIGPIPE
    command.stderr.close()


def test_accounts_come_and_go(shell: _Shell) -> None:
    """An account works with the password that was shown, may what its role may, and ends."""
    added = shell.json("accounts", "add", "crm", "--role", "reader")
    crm = {"ROLLCALL_USER": "crm", "ROLLCALL_PASSWORD": added["password"]}
    file = shell.file(tidy_csv(range(600, 602)))

    too_low = shell.run("import", file, **crm)
    shell.json("accounts", "modify", "crm", "--role", "importer")
    wait_until(lambda: shell.run("import", file, **crm).returncode < 2, 30, saying="it may import")
    listed = {each["name"]: each["role"] for each in shell.json("accounts")["accounts"]}
    gone = shell.run("accounts", "delete", "crm")

    assert too_low.returncode == 2
    assert "403: The role importer is needed" in too_low.stderr
    assert listed == {"admin": "admin", "crm": "importer"}
    assert gone.stdout == "Account deleted successfully\nname: crm\n"
    wait_until(lambda: shell.run("jobs", **crm).returncode == 2, 30, saying="it is closed")
    assert shell.run("accounts", "delete", "crm").returncode == 2


def test_a_token_is_enough(shell: _Shell) -> None:
    """From ROLLCALL_TOKEN, also beside an account's name; until it is deleted."""
    added = shell.json("tokens", "add", "sync", "--role", "importer", "--expires-in-days", "1")
    token = {"ROLLCALL_TOKEN": added["token"], "ROLLCALL_PASSWORD": "wrong"}

    status = shell.json("import", shell.file(tidy_csv(range(700, 702))), **token)
    listed = shell.json("tokens")["tokens"]
    shell.json("tokens", "delete", listed[0]["id"])

    assert status["importedBy"] == "token/sync"
    assert [(each["name"], each["role"]) for each in listed] == [("sync", "importer")]
    assert added["token"] not in json.dumps(listed)
    wait_until(lambda: shell.run("jobs", **token).returncode == 2, 30, saying="it is closed")


def test_an_attribute_is_a_column_from_then_on(shell: _Shell) -> None:
    """Defined once, imported by its name, found by its value."""
    content = b"First Name,Last Name,Email,Country,Plan\nAda,L,plan@example.com,UK,gold\n"

    unknown = shell.run("import", shell.file(content))
    shell.json("attributes", "add", "plan", "--type", "string")
    other = shell.run("attributes", "add", "plan", "--type", "number")
    known = shell.run("import", shell.file(content))
    found = shell.json("users", "--attribute", "plan=gold")
    none = shell.json("users", "--attribute", "plan=basic")

    assert unknown.returncode == 2
    assert 'The column "Plan" is unknown' in unknown.stderr
    assert other.returncode == 2
    assert known.returncode == 0, known.stderr
    listed = shell.json("attributes")["attributes"]
    assert ("plan", "string") in [(each["name"], each["type"]) for each in listed]
    assert [user["attributes"] for user in found["audience"]] == [{"plan": "gold"}]
    assert none["audience"] == []


def test_single_users_come_change_and_go(shell: _Shell) -> None:
    """Each change is seen by the next command, and its history tells who made it."""
    shell.json("attributes", "add", "score", "--type", "number")
    names = ("--first-name", "Ada", "--last-name", "Lovelace")
    place = ("--email", "ada@example.com", "--country", "UK", "--attribute", "score=1.5")

    created = shell.json("users", "create", *names, *place)["id"]
    shell.json("users", "modify", created, "--country", "France", "--no-sms")
    user = shell.json("users", "get", created)
    history = shell.json("users", "history", created)["history"]
    deleted = shell.run("users", "delete", created)
    after = shell.run("users", "get", created)

    assert (user["firstName"], user["country"], user["smsSubscription"]) == ("Ada", "France", False)
    assert user["attributes"] == {"score": 1.5}
    assert [event["event"] for event in history] == ["created", "updated"]
    assert history[1]["changes"]["country"] == {"before": "UK", "after": "France"}
    assert deleted.stdout == f"User deleted successfully\nid: {created}\n"
    assert after.returncode == 2
    assert "400: Invalid audience member ID provided" in after.stderr
    assert shell.json("users", "--email", "ada@example.com")["total"] == 0


def test_a_user_is_named_by_what_is_known_of_them(shell: _Shell) -> None:
    """Id, key or number; by a part they are searched. A text that could mean two names neither."""
    names = ("--first-name", "Grace", "--last-name", "Hopper", "--country", "UK")
    number = ("--mobile-number", "+441632960961")
    made = shell.json("users", "create", *names, *number, "--email", "grace@example.com")["id"]

    for named in (made, "grace@example.com", " Grace@Example.com", "+441632960961"):
        assert shell.json("users", "get", named)["id"] == made
    assert shell.json("users", "history", "grace@example.com")["total"] == 1
    for part in ("hopp", "GRACE H", "01632 960961"):
        assert [user["id"] for user in shell.json("users", "--search", part)["audience"]] == [made]

    shell.json("users", "modify", "grace@example.com", "--no-sms")
    assert not shell.json("users", "get", made)["smsSubscription"]
    shell.json("users", "create", *names, *number, "--email", "twin@example.com")
    several = shell.run("users", "get", "+441632960961")
    assert several.returncode == 2
    assert "+441632960961 names several users, say which by id: " in several.stderr
    assert made in several.stderr
    nobody = shell.run("users", "delete", "nobody@example.com")
    assert nobody.returncode == 2
    assert "no user has the id, key, email or mobile number nobody@example.com" in nobody.stderr
    shell.json("users", "delete", "grace@example.com")
    assert shell.json("users", "--search", "hopper")["total"] == 1


def test_users_of_a_job_are_shown(shell: _Shell) -> None:
    """Those whom it was the last to set; a job that there is not is told."""
    content = (
        b"First Name,Last Name,Email,Country\nA,One,one@job.example,UK\nB,Two,two@job.example,UK\n"
    )
    job_id = shell.json("import", shell.file(content), "--mode", "upsert")["id"]
    shell.json("users", "modify", "one@job.example", "--country", "France")

    found = shell.json("users", "--job", job_id)
    assert [user["email"] for user in found["audience"]] == ["two@job.example"]
    unknown = shell.run("users", "--job", "12345")
    assert unknown.returncode == 2
    assert "Invalid request ID" in unknown.stderr


@pytest.fixture
def shell_with_builder(shell_alone: _Shell) -> _Shell:
    """A shell whose installation can undo jobs."""
    shell_alone.rig.services.builder()
    return shell_alone


def test_a_job_is_undone_and_done_again(shell_with_builder: _Shell) -> None:
    """What would change is shown as tables first; both commands return once it has changed."""
    shell = shell_with_builder
    shell.run("import", shell.file(tidy_csv(range(10), word="a")))
    sent = shell.json("import", shell.file(tidy_csv(range(5, 20), word="b")), "--mode", "upsert")
    job_id = sent["id"]
    shell.run("import", shell.file(tidy_csv(range(8, 12), word="c")), "--mode", "upsert")

    shown = shell.run("undo", job_id, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "0 users would be there again, 8 gone, 3 changed back, 4 kept" in shown.stdout
    assert "user5@example.com" in shown.stdout
    assert "Later jobs that would end otherwise" in shown.stdout
    assert "0 → 2" in shown.stdout
    assert shell.json("status", job_id)["state"] == "COMPLETED"

    refused = shell.run("undo", job_id)
    assert refused.returncode == 2
    assert "nobody can be asked here" in refused.stderr
    done = shell.run("undo", job_id, "--yes")
    assert (done.returncode, done.stdout) == (
        0,
        f"Job {job_id}: REVERTED, 15 lines: 10 inserted, 5 updated, 0 unchanged, 0 rejected\n",
    )
    assert shell.json("users")["total"] == 12
    assert shell.run("undo", job_id, "--yes").returncode == 2
    assert shell.json("jobs", "--state", "REVERTED")["total"] == 1

    assert shell.json("redo", job_id, "--dry-run")["restored"] == 8
    assert shell.json("redo", job_id, "--yes")["state"] == "COMPLETED"
    assert shell.json("users")["total"] == 20
    assert shell.run("redo", job_id, "--dry-run").returncode == 2


@pytest.mark.parametrize(("answer", "state", "code"), [("y", "REVERTED", 0), ("n", "COMPLETED", 1)])
def test_who_is_asked_decides(
    shell_with_builder: _Shell, answer: str, state: str, code: int
) -> None:
    """On a terminal the preview is shown and a question asked before anything is changed."""
    shell = shell_with_builder
    job_id = shell.json("import", shell.file(tidy_csv(range(10))))["id"]
    asked = shell.answered(answer, "undo", job_id)
    assert asked.returncode == code, asked.stderr
    assert "10 gone" in asked.stderr
    assert f"Undo job {job_id}?" in asked.stderr
    assert shell.json("status", job_id)["state"] == state
