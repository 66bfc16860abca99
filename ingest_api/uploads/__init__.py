"""The multipart body of an upload: to chunks in `uploads` and to the survey at once.

Owns the multipart parser, the limits on uploads at once, and the options of a form.
Promises flat memory: whichever side is slower holds up the client.
May import `openapi`, `event_log`, `validation`, `parsing`, `web`, `kafka`.
"""
