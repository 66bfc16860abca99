"""The OpenAPI document, made from the routes and response types, and its Swagger UI page.

Owns `Operation`, the response types, the OpenAPI document and the viewer's files.
Promises that each route is described, or the application does not start.
May import `web`.
"""
