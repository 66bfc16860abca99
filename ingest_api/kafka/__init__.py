"""Kafka clients and set-up of the API and the publisher.

Owns producers, consumers outside groups, topics and their settings.
Promises acknowledged appends in order, and that topics are checked before they are used.
May import nothing of `ingest_api`.
"""
