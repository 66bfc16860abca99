"""A client of the HTTP API.

==========================================  ==================================================
:mod:`deploy.api_client.client`             requests, their answers, and what may go wrong
:mod:`deploy.api_client.upload`             the form that an upload is
:mod:`deploy.api_client.job`                a job's progress, followed until it has ended
:mod:`deploy.api_client.projection`         tables made from the log, followed until they are there
:mod:`deploy.api_client.audience_diff`      what differs between two points in time, all of it
:mod:`deploy.api_client.retry`              what is worth trying again, and when
==========================================  ==================================================

What goes wrong is an :class:`~deploy.api_client.client.ApiError`::

    ApiError               the request cannot be sent: its message says why
    ├── UnreachableError   no answer came; the same request may succeed later
    └── RefusedError       the API answered something other than success

Owns requests to the API, retries, and the following of jobs and builds.
Promises that an upload sent again is one job.
May import nothing of `deploy`.
"""
