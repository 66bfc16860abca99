"""Options that several commands of the local stack share."""

import os
from pathlib import Path

import click

from deploy.local_stack.data_dir import default_data_dir
from deploy.local_stack.settings import StackSettings
from schemas.config.declared import name_of


def stack_folder() -> Path:
    """Return the folder of the stack that is meant where no option names one."""
    told = os.environ.get(name_of(StackSettings, "data_dir"))
    return Path(told).resolve() if told else default_data_dir()


data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    envvar=name_of(StackSettings, "data_dir"),
    default=default_data_dir,
    help="Folder that keeps all data of the stack.  [default: in the user's data folder]",
)

processors_option = click.option(
    "--processors",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many processors share the work.",
)
