"""What the tests of a live server share: its address, a photo, a session that holds it."""

import unittest

import grpc
import numpy

import peer

# Share of pixels that may differ where only the order of sums does.
ROUNDING_SHARE = 1e-3

# Set from the command line.
SERVER = ""
PHOTO = b""


class PeerCase(unittest.TestCase):
    """A session with the photo in it."""

    def setUp(self):
        self.peer = peer.Peer(SERVER)
        self.addCleanup(self.peer.channel.close)
        self.session = self.peer.create_session()
        self.addCleanup(self.end_session)
        self.image = self.peer.upload(self.session, PHOTO)
        self.height, self.width = self.image.size.height, self.image.size.width
        self.centre = self.peer.click(self.width / 2, self.height / 2)

    def end_session(self):
        try:
            self.peer.delete_session(self.session)
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.NOT_FOUND)

    def segment(self, prompts, **options):
        """`labels` may be among the options."""
        return self.peer.segment(self.session, self.image.image_id, prompts, **options)

    def assert_nearly_equal(self, first, second):
        self.assertEqual(len(first), len(second))
        for a, b in zip(first, second):
            self.assertEqual(a.level, b.level)
            share = numpy.mean(peer.pixels(a) != peer.pixels(b))
            self.assertLessEqual(share, ROUNDING_SHARE, f"level {a.level}")

    def assert_refused(self, call, code, reasons, fields):
        """`fields` empty: no field. Several mean that any will do."""
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        failure = peer.read_failure(raised.exception)
        self.assertEqual(failure.code, code, failure)
        self.assertIn(failure.reason, reasons, failure)
        self.assertEqual(failure.domain, "semsam")
        self.assertTrue(failure.message)
        if fields:
            self.assertIn(failure.field, fields, failure)
        else:
            self.assertEqual(failure.field, "")
        # Alive, and the session beside it unharmed.
        self.assertTrue(self.segment([self.centre])[0])
        return failure

    def assert_invalid(self, call, reasons, *fields):
        return self.assert_refused(call, grpc.StatusCode.INVALID_ARGUMENT, reasons, fields)

    def capabilities(self):
        return self.peer.info().model.capabilities

    def require(self, *names):
        """Skips the test where the model cannot do what it is about."""
        capabilities = self.capabilities()
        for name in names:
            if not getattr(capabilities, name):
                self.skipTest(f"the model has no {name}")
