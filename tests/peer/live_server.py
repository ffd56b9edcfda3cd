"""A server program in a process of its own, for tests that watch it start, change and end."""

import json
import pathlib
import signal
import subprocess
import tempfile
import time

import grpc

import run_peer_test

HEALTH_CHECK = run_peer_test.HEALTH_CHECK
SERVING = run_peer_test.SERVING


def health_request(service):
    return b"\x0a" + bytes([len(service)]) + service.encode() if service else b""


class LiveServer:
    """Started with the arguments; killed at the latest when the block ends."""

    def __init__(self, binary, *arguments):
        self._folder = tempfile.TemporaryDirectory()
        self.scratch = pathlib.Path(self._folder.name)
        self.admin = f"unix:{self.scratch / 'admin'}"
        self._command = [
            str(binary), "--listen", "127.0.0.1:0", "--port_file", str(self.scratch / "port"),
            "--admin_listen", self.admin, "--log_format", "json", *arguments
        ]
        self._log = self.scratch / "log"

    def __enter__(self):
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self._command, stderr=log)
        try:
            port = run_peer_test.poll(
                "port file", lambda: run_peer_test.read_port(self.scratch / "port"), self.process)
            self.address = f"127.0.0.1:{port}"
            self.until("readiness", lambda: self.health() == SERVING)
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    def health(self, service=""):
        """What the admin port says: bytes of a HealthCheckResponse, or None."""
        with grpc.insecure_channel(self.admin) as channel:
            try:
                return channel.unary_unary(HEALTH_CHECK)(health_request(service), timeout=5)
            except grpc.RpcError:
                return None

    def until(self, what, condition):
        """Waits until `condition()` holds; RuntimeError if the server ends or it takes too long."""
        run_peer_test.poll(what, lambda: condition() or None, self.process)

    def terminate(self):
        """SIGTERM; when it was sent."""
        self.process.send_signal(signal.SIGTERM)
        return time.monotonic()

    def log(self):
        """Every line that was logged, in order."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]
