"""The command line program `rollcall`: its commands, options, credentials and output.

Owns the group of commands, the account a command uses, and options that commands share.
Promises that an error is one sentence on stderr and an exit status.
May import every folder of `deploy`.
"""
