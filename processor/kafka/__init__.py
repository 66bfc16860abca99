"""Kafka clients: consumers outside groups, the log's version and key, writers' schemas.

Owns what is asked of Kafka before and beside the group.
Promises that nothing is committed for a group.
May import `runtime`.
"""
