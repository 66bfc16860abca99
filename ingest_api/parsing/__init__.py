"""Bytes to records to columns of text (pure).

Owns charsets, compression, quotes, delimiters, line ends and the header.
Promises RFC 4180 to the letter, and the line of every fault.
May import nothing of `ingest_api`; does no I/O.
"""
