"""What a file is, and how it would be imported, said without keeping anything of it (pure).

Owns guesses of what its sender didn't say: charset, country of phone numbers, order of dates.
Promises that lines are read and refused as an import with the answer's options would.
May import `uploads`, `openapi`, `validation`, `parsing`.
"""
