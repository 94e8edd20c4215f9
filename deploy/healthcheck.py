"""Exit 0 if the service in this container answers /healthz; the image has no curl for it.

A health check is not told how the service was started, so every place it may listen is asked.
"""

import http.client
import os
import socket
import sys

ENTRYPOINT_PORTS = ("8000", "8080")
TIMEOUT = 4.0


def _connections() -> list[http.client.HTTPConnection]:
    """Return a connection to each place the service may listen, the likeliest first."""
    bind = os.environ.get("BIND", "")
    if bind.startswith("unix:"):
        connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(TIMEOUT)
        connection.sock.connect(bind.removeprefix("unix:"))
        return [connection]
    given = [port for name in ("AIP_HTTP_PORT", "PORT") if (port := os.environ.get(name))]
    return [http.client.HTTPConnection("localhost", int(port), timeout=TIMEOUT) for port in given or ENTRYPOINT_PORTS]


def main() -> int:
    """Return 0 if one of the places answers 200."""
    try:
        connections = _connections()
    except OSError as error:
        sys.stdout.write(f"{error}\n")
        return 1
    for connection in connections:
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.client.OK:
                return 0
        except (OSError, http.client.HTTPException) as error:
            sys.stdout.write(f"{connection.host}:{connection.port}: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
