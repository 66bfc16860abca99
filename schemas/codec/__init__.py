"""Events to framed Avro bytes and back; other writers' schemas and bytes, judged.

Owns fastavro and pyruhvro: nothing else imports them.
Promises that both give the same bytes and values, and that nothing reaches them that hurts them.
May import `log`, `read_model`, `rules` and `schemas.events`.
"""
