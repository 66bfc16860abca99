"""Commands about who may use the API."""
