"""The dashboard: what the collector's HTTP API says, as pages. It keeps nothing of its own."""
