"""SIGTERM under load: no answer that began is lost, and the process is gone in time.

  drain_test.py --server-binary PATH --proto-dir PATH [UNITTEST ARGUMENT...]

The program must take the flags of tests/server/fake_server.cc.
"""

import argparse
import pathlib
import sys
import tempfile
import threading
import time
import unittest

try:
    import grpc
except ImportError:
    print("skipped: no grpc; run tests/run.sh, or deploy/setup.sh --test and set SEMSAM_PYTHON")
    sys.exit(77)  # ctest reads this as "skipped"

import images
import live_server
import peer

WORKERS = 8
DRAIN_DELAY_S = 2
DRAIN_GRACE_S = 20
EXIT_MARGIN_S = 4
WAIT_S = 120
LIVE = "semsam.live"

# Set from the command line.
BINARY = None


class Worker(threading.Thread):
    """Clicks on an image of its own until it is refused."""

    def __init__(self, server):
        super().__init__()
        self._peer = peer.Peer(server)
        self._session = self._peer.create_session()
        photo = images.encode(images.scene(120, 160), "PNG")
        self._image = self._peer.upload(self._session, photo)
        self.whole = 0  # answers that came to their end
        self.lost = []  # what is wrong with those that did not
        self.refusal = None

    def run(self):
        while self.refusal is None:
            self._click()

    def _click(self):
        clicks = [self._peer.click(40, 40), self._peer.click(90, 70)]
        request = self._peer.service.SegmentRequest(
            session_id=self._session, image_id=self._image.image_id, prompts=clicks)
        begun = False
        summary = None
        try:
            for response in self._peer.stub.Segment(request, timeout=peer.TIMEOUT_S):
                begun = True
                if response.WhichOneof("payload") == "summary":
                    summary = response.summary
            if summary is None:
                self.lost.append("an answer without a summary")
            self.whole += 1
        except grpc.RpcError as error:
            self.refusal = peer.read_failure(error)
            if begun:
                self.lost.append(f"an answer broke off: {self.refusal}")

    def close(self):
        self._peer.channel.close()


class DrainTest(unittest.TestCase):
    def start(self, *arguments):
        return live_server.LiveServer(
            BINARY, "--drain_delay", f"{DRAIN_DELAY_S}s", "--drain_grace", f"{DRAIN_GRACE_S}s",
            "--exit_margin", f"{EXIT_MARGIN_S}s", *arguments)

    def test_no_answer_that_began_is_lost(self):
        with self.start("--decode_ms", "20") as server:
            workers = [Worker(server.address) for _ in range(WORKERS)]
            for worker in workers:
                worker.start()
            try:
                server.until("load", lambda: all(worker.whole >= 3 for worker in workers))
                sent = server.terminate()
                self.check_lame_duck(server, workers)
                status = server.process.wait(WAIT_S)
                took = time.monotonic() - sent
            finally:
                for worker in workers:
                    worker.join(WAIT_S)
                    worker.close()
            print(f"{sum(worker.whole for worker in workers)} answers whole; gone {took:.2f} s "
                  "after SIGTERM")
            self.assertEqual(status, 0)
            self.assertGreaterEqual(took, DRAIN_DELAY_S)
            self.assertLess(took, DRAIN_GRACE_S + EXIT_MARGIN_S)
            for worker in workers:
                self.assertEqual(worker.lost, [])
                self.assertEqual(worker.refusal.code, grpc.StatusCode.UNAVAILABLE, worker.refusal)
            self.assertEqual(server.log()[-1]["event"], "stopped")

    def check_lame_duck(self, server, workers):
        """Out of rotation and alive; what is there is served, nobody new is let in."""
        server.until("end of readiness", lambda: server.health() != live_server.SERVING)
        self.assertEqual(server.health(LIVE), live_server.SERVING)
        before = [worker.whole for worker in workers]
        newcomer = peer.Peer(server.address)
        with self.assertRaises(grpc.RpcError) as refused:
            newcomer.create_session()
        newcomer.channel.close()
        failure = peer.read_failure(refused.exception)
        self.assertEqual((failure.code, failure.reason),
                         (grpc.StatusCode.UNAVAILABLE, "DRAINING"))
        server.until("clicks while readiness is down",
                     lambda: all(w.whole > b for w, b in zip(workers, before)))

    def test_an_idle_server_goes_after_its_delay(self):
        with self.start() as server:
            sent = server.terminate()
            self.assertEqual(server.process.wait(WAIT_S), 0)
            self.assertLess(time.monotonic() - sent, DRAIN_GRACE_S)


class LogTest(unittest.TestCase):
    def test_a_call_is_one_line_that_says_whose_it_was(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        with live_server.LiveServer(BINARY) as server:
            client = peer.Peer(server.address)
            client.stub.GetServerInfo(
                client.service.GetServerInfoRequest(), timeout=peer.TIMEOUT_S,
                metadata=(("x-request-id", "mine-1"),
                          ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")))
            client.channel.close()
            server.terminate()
            self.assertEqual(server.process.wait(WAIT_S), 0)
            calls = [line for line in server.log() if line["event"] == "call"]
            mine = [line for line in calls if line["request_id"] == "mine-1"]
            self.assertEqual(len(mine), 1, calls)
            line = mine[0]
            self.assertEqual((line["method"], line["code"]), ("GetServerInfo", "OK"))
            self.assertEqual((line["trace_id"], line["parent_id"]), (trace, "00f067aa0ba902b7"))
            self.assertEqual(len(line["span_id"]), 16)
            self.assertTrue(line["peer"])
            self.assertGreater(line["sent_bytes"], 0)


class LimitsTest(unittest.TestCase):
    def test_a_client_is_told_what_connections_may_do(self):
        with live_server.LiveServer(BINARY, "--max_upload_pause", "1s", "--min_ping_interval",
                                    "8s", "--max_message_mib", "5") as server:
            client = peer.Peer(server.address)
            self.addCleanup(client.channel.close)
            limits = client.info().limits
            self.assertEqual(limits.max_upload_pause.seconds, 1)
            self.assertEqual(limits.min_ping_interval.seconds, 8)
            self.assertEqual(limits.max_message_bytes, 5 << 20)
            self.assertGreater(limits.max_deadline.seconds, 0)
            self.assertGreater(limits.default_session_ttl.seconds, 0)
            self.check_stalled_upload(client)

    def check_stalled_upload(self, client):
        session = client.create_session()
        done = threading.Event()

        def messages():
            yield client.header(session)
            yield client.chunk(b"half of")
            done.wait(WAIT_S)

        with self.assertRaises(grpc.RpcError) as given_up:
            client.stub.UploadImage(messages(), timeout=WAIT_S)
        done.set()
        failure = peer.read_failure(given_up.exception)
        self.assertEqual((failure.code, failure.reason),
                         (grpc.StatusCode.DEADLINE_EXCEEDED, "UPLOAD_STALLED"))


class AdminTest(unittest.TestCase):
    def code(self, address, method, stream=False):
        with grpc.insecure_channel(address) as channel:
            try:
                if stream:
                    # Reflection: "list services" (field 7, a string).
                    call = channel.stream_stream(method)(iter([b"\x3a\x01*"]), timeout=30)
                    next(call)
                else:
                    channel.unary_unary(method)(b"", timeout=30)
            except grpc.RpcError as error:
                return error.code()
        return grpc.StatusCode.OK

    def test_reflection_and_channelz_are_where_they_were_asked_for(self):
        reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        channelz = "/grpc.channelz.v1.Channelz/GetServers"
        with live_server.LiveServer(BINARY, "--channelz", "--reflection=false") as server:
            self.assertEqual(self.code(server.admin, channelz), grpc.StatusCode.OK)
            self.assertEqual(self.code(server.admin, reflection, True), grpc.StatusCode.OK)
            for method, stream in ((channelz, False), (reflection, True)):
                self.assertEqual(self.code(server.address, method, stream),
                                 grpc.StatusCode.UNIMPLEMENTED, method)


def main():
    global BINARY
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server-binary", required=True, type=pathlib.Path, metavar="PATH")
    parser.add_argument("--proto-dir", required=True, type=pathlib.Path, metavar="PATH")
    arguments, rest = parser.parse_known_args()
    BINARY = arguments.server_binary
    with tempfile.TemporaryDirectory() as stubs:
        peer.generate_stubs(arguments.proto_dir, stubs)
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
