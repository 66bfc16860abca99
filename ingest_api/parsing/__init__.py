"""CSV parsing: the bytes of a file to records, header and columns of text (pure).

Owns charsets, compression, quotes, delimiters, line ends and the header.
Promises RFC 4180 to the letter, and an error with its line for a file that breaks it.
May import nothing of `ingest_api`; does no I/O.
"""
