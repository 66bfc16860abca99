"""The topics described as an AsyncAPI document, with examples whose bytes are real.

Owns the document and its examples.
Promises that each event type is in it.
May import every folder of `schemas` below it.
"""
