"""The topics described as an AsyncAPI document, with examples whose bytes are real.

Owns the document, ``asyncapi.json``: of a log as it is by default.
Promises that each event type and each reason of a dead letter is in it, as the code has them:
a test compares them.
May import every folder of `schemas` below it.
"""
