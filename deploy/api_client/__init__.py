"""A client of the HTTP API: requests, uploads, retries, following jobs and builds.

==========================================  ==================================================
:mod:`deploy.api_client.client`             requests, responses, errors
:mod:`deploy.api_client.upload`             the multipart form of an upload
:mod:`deploy.api_client.job`                follows a job until it has ended
:mod:`deploy.api_client.projection`         follows the build of a projection until it has ended
:mod:`deploy.api_client.retry`              which requests are retried, and when
==========================================  ==================================================

Errors::

    ApiError               the request cannot be sent; the message says why
    ├── UnreachableError   no answer came; the same request may succeed later
    └── RefusedError       the API answered something other than success

Owns requests to the API, retries, and the following of jobs and builds.
Promises that an upload sent again is one job.
May import nothing of `deploy`.
"""
