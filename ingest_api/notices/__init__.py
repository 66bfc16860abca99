"""Notices of jobs that end and of alarms: webhooks, signed, and mail, until they are delivered.

Owns the tables of webhooks, notices and deliveries, who fills and who empties them, and the
routes below `…/webhooks`.
Promises that a notice has one id, that each of its deliveries is tried until it is taken or its
schedule ends, whoever kills what, and that no request goes to an address that is not public.
May import `jobs`, `auth`, `openapi`, `event_log`, `web`, `postgres`, `errors`.
"""
