"""`python -m deploy` is `./rollcall`."""

from deploy.cli.main import main

if __name__ == "__main__":  # and not in the processes that a command starts to share its work
    main(prog_name="rollcall")
