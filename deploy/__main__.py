"""`python -m deploy` is `./rollcall`."""

from deploy.cli import main

main(prog_name="rollcall")
