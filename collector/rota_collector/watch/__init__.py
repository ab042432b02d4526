"""Loops beside the request path: the followers that carry the journal into the stores."""
