"""The page for people: files in the wheel that use this API, as any client does.

Owns what a browser is sent: `files/`, their names and their content policy.
Promises that the page runs no script but its own, and needs none from another host.
May import `openapi`, `web`.
"""
