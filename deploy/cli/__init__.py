"""The command line program: `./rollcall COMMAND`.

Owns the group of commands, whom a command acts for, and the options that commands share.
Promises that what goes wrong is one sentence on stderr and an exit status.
May import every folder of `deploy`.
"""
