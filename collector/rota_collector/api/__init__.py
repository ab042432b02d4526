"""The HTTP API: what is read, as JSON. Its contract is the OpenAPI document at ``/api/v1/openapi.json``."""
