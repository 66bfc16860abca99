"""Finds the API and the account of a command that is told neither: those of the local stack."""

import click

from deploy.cli.client_settings import ClientSettings
from deploy.cli.options import stack_folder
from deploy.local_stack.running_apis import RunningApi, running_apis


def default_url() -> str:
    """Return the URL of the stack that runs on this machine; without any, the usual one.

    Of several it is that of ROLLCALL_DATA_DIR, or of the user's data folder.

    Raises:
        click.UsageError: Several run, and none of them there.
    """
    running = running_apis()
    chosen = [api for api in running if api.data_dir == str(stack_folder())] or running
    if len(chosen) > 1:
        lines = (f"  {api.url} ({api.data_dir})" for api in chosen)
        message = "several stacks run here; say which with --url, or ROLLCALL_URL:"
        raise click.UsageError("\n".join([message, *lines]))
    return chosen[0].url if chosen else ClientSettings().url


def local_api(url: str) -> RunningApi | None:
    """Return the API of a stack on this machine that has this URL."""
    return next((api for api in running_apis() if api.url == url.rstrip("/")), None)
