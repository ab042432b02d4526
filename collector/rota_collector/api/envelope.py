"""How the API answers: JSON written in the worker thread, and one envelope for every error."""

from __future__ import annotations

import traceback
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rota_collector import log
from rota_collector.errors import (
    BadCursor,
    JournalError,
    QueryBusy,
    QueryError,
    QueryFailed,
    QueryRefused,
    QueryTimeout,
    QueryTooLarge,
)

_QUERY_CODES = {
    BadCursor: "bad_cursor",
    QueryRefused: "query_refused",
    QueryFailed: "query_failed",
    QueryTimeout: "query_timeout",
    QueryTooLarge: "query_too_large",
}
_STATUS_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_DOCUMENT = "see /api/v1/openapi.json for what there is"

_encoder = msgspec.json.Encoder(enc_hook=str)  # what JSON has no word for (an interval, an address) goes as its text


class ApiError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint


def answer(content: Any, status: int = 200) -> Response:
    """``content`` as JSON. Made by the endpoint in its thread, so that a long list does not hold up the event loop."""
    return Response(_encoder.encode(content), status, media_type="application/json")


def refusal(status: int, code: str, message: str, hint: str | None = None) -> Response:
    """The error envelope."""
    return answer({"error": {"code": code, "message": message, "hint": hint}}, status)


def install(app: FastAPI) -> None:
    """Every error that the endpoints or FastAPI raise leaves in the envelope."""

    @app.exception_handler(ApiError)
    async def _api_error(_request: Request, error: ApiError) -> Response:
        response = refusal(error.status, error.code, error.message, error.hint)
        if error.status == 503:
            response.headers["Retry-After"] = "5"
        return response

    @app.exception_handler(QueryError)
    async def _query_error(_request: Request, error: QueryError) -> Response:
        return refusal(400, _QUERY_CODES.get(type(error), "query_error"), str(error))

    @app.exception_handler(QueryBusy)
    async def _busy(_request: Request, error: QueryBusy) -> Response:
        response = refusal(503, "busy", str(error), "send it again")
        response.headers["Retry-After"] = "5"
        return response

    @app.exception_handler(JournalError)
    async def _not_kept(_request: Request, error: JournalError) -> Response:
        response = refusal(503, "not_kept", str(error), "send it again")
        response.headers["Retry-After"] = "5"
        return response

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> Response:
        code = _STATUS_CODES.get(error.status_code, "http_error")
        return refusal(error.status_code, code, f"{request.method} {request.url.path}: {error.detail}", _DOCUMENT)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'][1:])) or each['loc'][0]}: {each['msg']}" for each in error.errors())
        return refusal(422, "invalid", wrong, _DOCUMENT)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        what = f"{request.method} {request.url.path} failed"
        log.say(f"{what}:\n{''.join(traceback.format_exception(error))}", log.ERROR, what)
        return refusal(500, "internal", f"{type(error).__name__}: {error}", "the collector's stderr has the stack")
