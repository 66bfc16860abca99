"""Reads Kafka outside groups: topics, the log's version and key, single rows, writers' schemas.

Owns what is asked of Kafka before and beside the group.
Promises that nothing is committed for a group.
May import `runtime`.
"""
