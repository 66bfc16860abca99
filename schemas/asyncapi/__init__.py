"""The AsyncAPI document of the topics, with examples whose bytes are real.

Owns the document, ``asyncapi.json``, which describes a log with default settings.
Promises that it has every event type and every reason of a dead letter that the code has:
a test compares them.
May import every folder of `schemas` below it.
"""
