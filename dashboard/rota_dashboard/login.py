"""The way in: a person gives a key, the collector says whether it is one, the browser keeps it where no script reads it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rota_dashboard import config
from rota_dashboard.client import Collector, CollectorAway, CollectorRefused, KeyNeeded

COOKIE = "rota_key"
_SECONDS = 30 * 86_400
_LONGEST_KEY = 500


async def log_in(request: Request) -> Response:
    """``POST /login`` with the key as text: 204 and the cookie, or 401 and why not."""
    if not _is_ours(request):
        return JSONResponse({"message": "A page of another site may not log in here."}, 403)
    key = await _told(request)
    if not key or len(key) > _LONGEST_KEY or not (key.isascii() and key.isprintable()):
        return JSONResponse({"message": "This is no key."}, 401)
    try:
        await run_in_threadpool(Collector(config.endpoint(), key).me)
    except CollectorAway as away:
        message = f"The collector at {away.address} does not answer, so nobody can say whether this is a key."
        return JSONResponse({"message": f"{message} {away.hint}".strip()}, 503)
    except KeyNeeded:
        return JSONResponse({"message": "The collector knows no such key, or it was revoked."}, 401)
    except CollectorRefused as refused:
        return JSONResponse({"message": str(refused)}, 401)
    response = Response(status_code=204)
    response.set_cookie(COOKIE, key, max_age=_SECONDS, httponly=True, samesite="strict", secure=config.is_secure())
    return response


async def log_out(request: Request) -> Response:
    """``POST /logout``: the cookie goes."""
    response = Response(status_code=204 if _is_ours(request) else 403)
    if response.status_code == 204:
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=config.is_secure())
    return response


async def _told(request: Request) -> str:
    """What was sent, as far as it may be a key: nobody has to be known to send something, however long."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > _LONGEST_KEY:
            break
    return found[: _LONGEST_KEY + 1].decode("utf-8", "replace").strip()


def _is_ours(request: Request) -> bool:
    """Whether a request comes from a page of this server: browsers say so in ``Origin`` with every POST."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc in {request.headers.get("host"), config.public_address()} - {""}
