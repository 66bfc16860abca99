"""Receiving a file: multipart form, options, limits on uploads at once, chunks to `uploads`.

Owns the multipart parser, the limits on uploads at once, and the options of a form.
Promises flat memory: whichever side is slower holds up the client.
May import `openapi`, `event_log`, `validation`, `parsing`, `web`, `kafka`.
"""
