"""`rollcall doctor`: looks at what Rollcall stands on and how it goes on, and says what to do.

Owns the checks, each of which looks and changes nothing.
Promises one sentence a subject, with what to do where it is not fine.
May import nothing of `deploy`.
"""
