"""Records of a claimed partition to prepared work, and the thread that applies it.

Owns the feed that workers and replays share.
Promises the same work for both.
May import `projection`, `decoding`, `tables`, `kafka`, `runtime`.
"""
