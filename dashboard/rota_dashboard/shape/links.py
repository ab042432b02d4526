"""Addresses of the pages. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def workflow(name: str) -> str:
    """The page of a workflow."""
    return f"/workflow?name={quote(name, safe='')}"


def run(run_id: str) -> str:
    """The page of a run."""
    return f"/run?id={quote(run_id, safe='')}"


def policy(name: str, **asked: str) -> str:
    """The policy of a workflow; ``to``: with the smallest one that leads to this level."""
    return f"/policy?name={quote(name, safe='')}" + (f"&{urlencode(asked)}" if asked else "")


def incident(incident_id: str) -> str:
    """The page of an incident."""
    return f"/incident?id={quote(incident_id, safe='')}"


def timeline(**asked: str) -> str:
    """A day of runs: ``day``, ``at``, ``by``."""
    return "/timeline" + (f"?{urlencode(asked)}" if asked else "")
