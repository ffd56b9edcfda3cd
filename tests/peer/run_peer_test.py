"""Starts a server, runs peer_test.py against it, and stops it the way Kubernetes does.

  run_peer_test.py --server-binary PATH --proto-dir PATH [--image FILE] [-- SERVER ARGUMENT...]

The server is told to listen on a free loopback port (--listen, --port_file).
Fails if a test fails, if the server is not ready in time, dies on the way, or
does not end with status 0 after SIGTERM.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

try:
    import grpc
except ImportError:
    print("skipped: no grpc; run tests/run.sh, or deploy/setup.sh --test and set SEMSAM_PYTHON")
    sys.exit(77)  # ctest reads this as "skipped"

SERVICE = b"semsam.v1.SegmentationService"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_REQUEST = b"\x0a" + bytes([len(SERVICE)]) + SERVICE  # field 1, a string
SERVING = b"\x08\x01"  # field 1, the number 1

READY_S = 180
STOP_S = 60
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0


def poll(what, question, server):
    """Asks until the answer is not None, pausing longer each time, READY_S at most."""
    deadline = time.monotonic() + READY_S
    pause = FIRST_PAUSE_S
    while True:
        answer = question()
        if answer is not None:
            return answer
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with status {server.returncode} before {what}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"no {what} within {READY_S} s")
        try:
            server.wait(pause)  # wakes at once if it dies
        except subprocess.TimeoutExpired:
            pause = min(2 * pause, LONGEST_PAUSE_S)


def read_port(path):
    text = path.read_text().strip() if path.exists() else ""
    return text or None


def is_serving(channel):
    check = channel.unary_unary(HEALTH_CHECK)
    try:
        return True if check(HEALTH_REQUEST, timeout=5) == SERVING else None
    except grpc.RpcError:
        return None


def run_tests(server, arguments, scratch):
    port = poll("port file", lambda: read_port(scratch / "port"), server)
    address = f"127.0.0.1:{port}"
    with grpc.insecure_channel(address) as channel:
        poll("readiness", lambda: is_serving(channel), server)
    print(f"{arguments.server_binary.name} serves at {address}", flush=True)
    here = pathlib.Path(__file__).resolve().parent
    command = [sys.executable, str(here / "peer_test.py"), "--server", address,
               "--proto-dir", str(arguments.proto_dir)]
    if arguments.image:
        command += ["--image", str(arguments.image)]
    status = subprocess.run(command, check=False).returncode
    if server.poll() is not None:
        raise RuntimeError(f"the server ended with status {server.returncode} during the tests")
    return status


def stop(server):
    """SIGTERM, then the server's exit status."""
    server.send_signal(signal.SIGTERM)
    try:
        return server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the server did not stop within {STOP_S} s of SIGTERM") from None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server-binary", required=True, type=pathlib.Path, metavar="PATH")
    parser.add_argument("--proto-dir", required=True, type=pathlib.Path, metavar="PATH")
    parser.add_argument("--image", type=pathlib.Path, metavar="FILE")
    parser.add_argument("server_arguments", nargs="*", metavar="SERVER ARGUMENT")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        command = [str(arguments.server_binary), "--listen", "127.0.0.1:0",
                   "--port_file", str(scratch / "port"), *arguments.server_arguments]
        with subprocess.Popen(command) as server:
            try:
                status = run_tests(server, arguments, scratch)
                if (stopped := stop(server)) != 0:
                    raise RuntimeError(f"the server ended with status {stopped} after SIGTERM")
            except RuntimeError as error:
                print(f"error: {error}")
                return 1
            finally:
                if server.poll() is None:
                    server.kill()
    return status


if __name__ == "__main__":
    sys.exit(main())
