"""Commands that run services, the local stack and the tests."""
