"""Kafka on the API's side: producer, topic and range readers, upload chunks, topic set-up.

Owns producers, consumers outside groups, topics and their settings.
Promises acknowledged appends in order, and that topics are checked before they are used.
May import nothing of `ingest_api`.
"""
