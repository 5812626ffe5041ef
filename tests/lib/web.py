"""Plain HTTP/1.1, a connection a request, as a scraper does it."""

import http.client
import json

from lib import place, prometheus


class Watched:
    """The addresses of one daemon's metrics_listen."""

    def __init__(self, host="127.0.0.1"):
        self.host, self.port = host, place.free_port()

    @property
    def setting(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def ask(self, path, method="GET", body=None, timeout=10):
        """Status, headers (lower case), body."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def metrics(self):
        status, headers, body = self.ask("/metrics")
        assert status == 200, body
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return prometheus.parse(body.decode())

    def health(self):
        status, headers, body = self.ask("/healthz")
        assert headers["content-type"] == "application/json"
        return status, json.loads(body)

    def wait_value(self, wanted, name, **labels):
        place.wait_for(lambda: prometheus.value(self.metrics(), name, **labels) == wanted,
                       f"{name}{labels} = {wanted}", 5)

    def wait_health(self, status, seconds=10):
        place.wait_for(lambda: self.health()[0] == status, f"/healthz {status}", seconds)
        return self.health()[1]
