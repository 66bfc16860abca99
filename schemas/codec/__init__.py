"""Encodes events as framed Avro and decodes them; checks other writers' schemas and bytes.

Owns fastavro and pyruhvro: nothing else imports them.
Promises that both give the same bytes and values, and that no input that could crash or hang
them reaches them.
May import `log`, `read_model`, `rules` and `schemas.events`.
"""
