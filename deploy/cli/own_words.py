"""Says what the API advises in the words of the command line."""

import re
from typing import Final

_ADVICE: Final = (
    (r"send it as DELIMITER\.", "leave --delimiter out, or say so."),
    (r"send DELIMITER (\w+), or take it out\.", r"say --delimiter \1, or leave it out."),
    (r"name its charset in the part's Content-Type", "name its charset with --charset"),
    (r"The charset of the file's part", "The --charset of the file"),
    (r"send columns=(.+?)=(.+?)\.", r"say --map '\1=\2'."),
    (r"unknownColumns=ignore", "--ignore-unknown"),
    (r"maxDeletePercent", "--max-delete-percent"),
    (r"maxRejectedPercent", "--max-rejected-percent"),
    (r"maxRejected", "--max-rejected"),
    (r"blankCells", "--blank-cells"),
    (r"importType", "--mode"),
    (r"optIns=apply", "--opt-ins apply"),
    (
        r"^400: Please upload a valid CSV file(?=\n.* (would remove|lines are rejected))",
        "Nothing was imported",
    ),
    (r"(No request found with the provided ID)", r"\1: `rollcall jobs` lists the jobs"),
)


def in_own_words(message: str) -> str:
    """Return the message with the command line's options for those of the API."""
    for theirs, ours in _ADVICE:
        message = re.sub(theirs, ours, message)
    return message
