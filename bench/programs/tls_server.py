"""A TLS server that answers 200: ``tls_server.py FOLDER`` reads certificate.pem and key.pem there, and writes its port."""

import http.server
import ssl
import sys
from pathlib import Path


class Yes(http.server.BaseHTTPRequestHandler):
    """Takes what is posted."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


folder = Path(sys.argv[1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Yes)
server.socket = context.wrap_socket(server.socket, server_side=True)
(folder / "port").write_text(str(server.server_port))
server.serve_forever()
