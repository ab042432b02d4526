"""botocore, and so boto3: a span a request to a service of AWS or one that speaks as they do, with the bytes of its body.

The names of service, operation and bucket, never a key, a parameter or an account. A transfer of many parts is a span a part.
"""

from __future__ import annotations

import os

from rota.instrument._call import Call, Label, Labels, begin
from rota.instrument._patch import observe
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run
    from rota._task import Task


def install(module: ModuleType) -> None:
    """Watch the one method that every operation of every client goes through."""
    observe(module.BaseClient, "_make_api_call", _start, _finish, _fail)


def _start(place: Run | Task, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    operation, parameters = args[0], args[1] if len(args) > 1 else kwargs.get("api_params")
    bucket = parameters.get("Bucket") if isinstance(parameters, dict) else None
    call = begin(_LABELS[(client.meta.service_model.service_id, operation, bucket)], place, Call)
    if call is not None:
        body = parameters.get("Body") if isinstance(parameters, dict) else None
        call.facts = {names.HTTP_REQUEST_BYTES: _size(body)}
    return call


def _size(body: Any) -> int | None:
    """Bytes of what has a length, or is an open file, from where it is read; no other stream is touched."""
    try:
        if isinstance(body, str):
            return len(body.encode("utf-8"))
        if hasattr(body, "__len__"):
            return len(body)
        size: int = os.fstat(body.fileno()).st_size - body.tell()
    except Exception:
        return None
    return size


def _finish(call: Any, answer: Any) -> None:
    _answered(call, answer)
    call.finish()


def _fail(call: Call, error: BaseException) -> None:
    _answered(call, getattr(error, "response", None))  # a ClientError has the answer that it is about
    call.finish(error)


def _answered(call: Any, answer: Any) -> None:
    if isinstance(answer, dict):
        call.facts[names.HTTP_STATUS] = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        call.facts[names.HTTP_RESPONSE_BYTES] = answer.get("ContentLength") if "Body" in answer else None


def _label(parts: tuple[str, str, str | None]) -> Label:
    service, operation, bucket = parts
    pairs: dict[str, object] = {
        names.RPC_SYSTEM: "aws-api", names.RPC_SERVICE: service, names.RPC_METHOD: operation, names.S3_BUCKET: bucket,
    }  # fmt: skip
    return Label("botocore", "%s %s" % (service, operation), pairs)


_LABELS = Labels(_label)
