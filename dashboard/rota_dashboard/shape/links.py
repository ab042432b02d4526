"""Addresses of the pages. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def workflow(name: str) -> str:
    """The page of a workflow."""
    return f"/workflow?name={quote(name, safe='')}"


def run(run_id: str) -> str:
    """The page of a run."""
    return f"/run?id={quote(run_id, safe='')}"


def incident(incident_id: str) -> str:
    """The page of an incident."""
    return f"/incident?id={quote(incident_id, safe='')}"


def timeline(**asked: str) -> str:
    """A day of runs: ``day``, ``at``, ``by``."""
    return "/timeline" + (f"?{urlencode(asked)}" if asked else "")
