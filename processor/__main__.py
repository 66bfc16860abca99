"""`python -m processor`: runs one worker of the group until SIGTERM."""

import signal
import sys


def _end_before_start(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    # Loading the libraries takes seconds, and nothing is held yet that would need an end.
    signal.signal(signal.SIGTERM, _end_before_start)
    from processor.worker.main import main

    main()
