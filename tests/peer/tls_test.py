"""TLS, client certificates and tokens as a stranger sees them, and how they change.

  tls_test.py --server-binary PATH --proto-dir PATH [UNITTEST ARGUMENT...]

Needs the openssl program. The server must take the flags of tests/server/fake_server.cc.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import grpc
except ImportError:
    print("skipped: no grpc; run tests/run.sh, or deploy/setup.sh --test and set SEMSAM_PYTHON")
    sys.exit(77)  # ctest reads this as "skipped"

if shutil.which("openssl") is None:
    print("skipped: no openssl program")
    sys.exit(77)

import live_server
import peer

WAIT_S = 120

# Set from the command line.
BINARY = None


def make_identity(folder):
    """A key and a certificate for localhost that vouches for itself: folder/tls.{key,crt}."""
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", str(folder / "tls.key"), "-out",
         str(folder / "tls.crt")], check=True, capture_output=True)
    return folder


def replace_link(link, target):
    """Points `link` elsewhere at once, as Kubernetes does."""
    following = link.with_name("next")
    following.symlink_to(target)
    os.replace(following, link)


def digest_line(tenant, token):
    return f"{tenant} {hashlib.sha256(token.encode()).hexdigest()}\n"


class TlsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.first = make_identity(self.folder / "first")
        self.client = make_identity(self.folder / "client")
        replace_link(self.folder / "now", self.first)
        self.write_tokens(("acme", "a-token"), ("globex", "g-token"))

    def write_tokens(self, *tokens):
        part = self.folder / "tokens.part"
        part.write_text("".join(digest_line(*token) for token in tokens))
        os.replace(part, self.folder / "tokens")

    def start(self):
        now = self.folder / "now"
        return live_server.LiveServer(
            BINARY, "--tls_cert", str(now / "tls.crt"), "--tls_key", str(now / "tls.key"),
            "--tls_client_ca", str(self.client / "tls.crt"), "--auth_tokens_file",
            str(self.folder / "tokens"), "--reload_interval", "1s", "--drain_delay", "0s")

    def connect(self, server, trust, own=None):
        credentials = grpc.ssl_channel_credentials(
            (trust / "tls.crt").read_bytes(),
            (own / "tls.key").read_bytes() if own else None,
            (own / "tls.crt").read_bytes() if own else None)
        client = peer.Peer(server.address)
        client.channel.close()
        client.channel = grpc.secure_channel(
            server.address, credentials, (("grpc.ssl_target_name_override", "localhost"),
                                          ("grpc.use_local_subchannel_pool", 1)))
        client.stub = type(client.stub)(client.channel)
        self.addCleanup(client.channel.close)
        return client

    def code(self, client, token="a-token"):
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        try:
            client.stub.GetServerInfo(client.service.GetServerInfoRequest(), metadata=metadata,
                                      timeout=peer.TIMEOUT_S)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def test_certificates_tokens_and_their_changes(self):
        with self.start() as server:
            client = self.connect(server, self.first, self.client)
            self.assertEqual(self.code(client), grpc.StatusCode.OK)
            self.assertEqual(self.code(client, token=None), grpc.StatusCode.UNAUTHENTICATED)
            self.assertEqual(self.code(client, token="wrong"), grpc.StatusCode.UNAUTHENTICATED)
            without = self.connect(server, self.first)
            self.assertEqual(self.code(without), grpc.StatusCode.UNAVAILABLE)
            self.check_tenants(client)

            second = make_identity(self.folder / "second")
            replace_link(self.folder / "now", second)
            server.until("new certificate", lambda: self.code(
                self.connect(server, second, self.client)) == grpc.StatusCode.OK)
            self.assertEqual(self.code(client), grpc.StatusCode.OK)  # its connection lives on

            self.write_tokens(("acme", "next-token"))
            server.until("new token",
                         lambda: self.code(client, token="next-token") == grpc.StatusCode.OK)
            self.assertEqual(self.code(client), grpc.StatusCode.UNAUTHENTICATED)

            server.terminate()
            self.assertEqual(server.process.wait(WAIT_S), 0)
            tenants = {line.get("tenant") for line in server.log() if line["event"] == "call"}
            self.assertLessEqual({"acme", "globex"}, tenants)
            self.assertNotIn("a-token", str(server.log()))

    def check_tenants(self, client):
        def metadata(token):
            return (("authorization", f"Bearer {token}"),)

        session = client.stub.CreateSession(
            client.service.CreateSessionRequest(), metadata=metadata("a-token"),
            timeout=peer.TIMEOUT_S).session.session_id
        request = client.service.GetSessionRequest(session_id=session)
        client.stub.GetSession(request, metadata=metadata("a-token"), timeout=peer.TIMEOUT_S)
        with self.assertRaises(grpc.RpcError) as refused:
            client.stub.GetSession(request, metadata=metadata("g-token"), timeout=peer.TIMEOUT_S)
        failure = peer.read_failure(refused.exception)
        self.assertEqual((failure.code, failure.reason),
                         (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND"))


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
