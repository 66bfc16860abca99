"""The API's description of itself, and the page that shows it.

Owns `Operation`, the response types, the OpenAPI document and the viewer's files.
Promises that each route is described, or the application does not start.
May import `web`.
"""
