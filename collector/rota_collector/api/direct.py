"""The short way to an endpoint that is asked a thousand times a second.

Of what FastAPI does for each request (solving dependencies, checking parameters one by one) nothing is needed to answer one that
is right. One that is not goes the usual way, so that there is one place that says what is wrong, and in which words.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from rota_collector.api import access

_LONGEST_KEY = 200
_GIVEN = {"body", "asker", "request", "idempotency_key"}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Direct(APIRoute):
    """For async endpoints whose parameters are a JSON ``body``, its ``asker`` (Owning), and at most ``request``,
    ``idempotency_key`` and parts of the path; one without a body goes the usual way. All are documented as others are. Raises
    TypeError for a parameter besides those.
    """

    def get_route_handler(self) -> Handler:
        """What answers a request."""
        usual, endpoint = super().get_route_handler(), self.endpoint
        if self.body_field is None:
            return usual
        model = _model_of(self)
        taken = inspect.signature(endpoint).parameters.keys()
        if others := taken - _GIVEN - self.param_convertors.keys():
            raise TypeError(f"{self.path}: the short way does not know what {', '.join(sorted(others))} would be")

        async def handle(request: Request) -> Response:
            given = await _given(request, self, model)
            if given is None:
                return await usual(request)
            response: Response = await endpoint(**{name: given[name] for name in taken})
            return response

        return handle


def _model_of(route: APIRoute) -> type[BaseModel]:
    assert route.body_field is not None
    annotation = route.body_field.field_info.annotation
    if not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
        raise TypeError(f"{route.path}: the short way needs a model for its body, and this is {annotation!r}")
    return annotation


async def _given(request: Request, route: APIRoute, model: type[BaseModel]) -> dict[str, Any] | None:
    """All parameters that there can be; None when the request is not as it should be, or the asker may not."""
    key = request.headers.get("idempotency-key")
    is_json = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
    if not is_json or not (key is None or 1 <= len(key) <= _LONGEST_KEY) or not access.may_ask(request, route):
        return None
    try:
        body = model.model_validate_json(await request.body())
    except (ValidationError, ClientDisconnect):
        return None
    return {"body": body, "asker": request.state.asker, "request": request, "idempotency_key": key, **request.path_params}
