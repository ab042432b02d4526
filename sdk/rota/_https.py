"""https for ``urllib``, with the certificates that the settings name."""

from __future__ import annotations

import functools
import http.client
import urllib.request

from rota.errors import ConfigError
from rota.wire import tls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


class Https(urllib.request.HTTPSHandler):
    """Opens https addresses. ``files`` as ``tls.files`` has them; the context is made when the first address is opened.

    Opening raises ConfigError when one of them cannot be used.
    """

    def __init__(self, *files: str) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)  # from 3.12 on, HTTPSHandler's own makes a context at once
        self._files = files

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """What ``urllib`` calls. Raises OSError, ConfigError."""
        try:
            return self.do_open(http.client.HTTPSConnection, request, context=_context(*self._files))
        except OSError:
            _context.cache_clear()  # a certificate may have been renewed
            raise


@functools.lru_cache(maxsize=8)  # to make one reads every certificate of the system, unless an authority is named: 30 to 50 ms
def _context(certificate: str, client_certificate: str, client_key: str) -> ssl.SSLContext:
    try:
        return tls.context(certificate, client_certificate, client_key)
    except ValueError as error:
        raise ConfigError(str(error)) from error
