"""Sessions, images that need no upload, and tenants, as a stranger sees them."""

import hashlib
import uuid

import grpc
import numpy

import fixture
import images
import peer
from fixture import PeerCase


def new_picture():
    """A small picture, as bytes, that nobody sent before."""
    picture = images.scene(60, 80)
    picture[:2] = numpy.random.default_rng().integers(0, 256, (2, 80, 3))
    return images.encode(picture, "PNG")


class LeaseTest(PeerCase):
    def test_a_lease_is_renewed(self):
        longest = self.peer.info().limits.max_session_ttl.seconds
        before = self.peer.renew(self.session)
        self.assertEqual(before.images[0].image_id, self.image.image_id)
        renewed = self.peer.renew(self.session, longest)
        self.assertEqual(renewed.ttl.seconds, longest)
        self.assertGreater(renewed.expire_time.seconds, before.expire_time.seconds)
        self.assertEqual(self.peer.renew(self.session).ttl.seconds, longest)
        self.assert_invalid(lambda: self.peer.renew(self.session, longest + 1),
                            {"INVALID_ARGUMENT_FIELD"}, "ttl")
        self.assert_refused(lambda: self.peer.renew("nobody"), grpc.StatusCode.NOT_FOUND,
                            {"SESSION_NOT_FOUND"}, ())

    def test_a_repeated_request_is_carried_out_once(self):
        request_id = str(uuid.uuid4())
        first = self.peer.create(request_id=request_id, ttl_s=60)
        self.assertEqual(self.peer.create(request_id=request_id, ttl_s=60).session_id,
                         first.session_id)
        self.assertNotEqual(self.peer.create(request_id=str(uuid.uuid4()), ttl_s=60).session_id,
                            first.session_id)
        self.assert_invalid(lambda: self.peer.create(request_id=request_id, ttl_s=61),
                            {"INVALID_ARGUMENT_FIELD"}, "request_id")
        end = str(uuid.uuid4())
        self.peer.delete_session(first.session_id, request_id=end)
        self.peer.delete_session(first.session_id, request_id=end)
        self.assert_refused(lambda: self.peer.delete_session(first.session_id),
                            grpc.StatusCode.NOT_FOUND, {"SESSION_NOT_FOUND"}, ())

    def test_a_request_id_is_checked(self):
        for bad in ("a b", "a" * 65, "ä"):
            with self.subTest(bad):
                self.assert_invalid(lambda bad=bad: self.peer.create(request_id=bad),
                                    {"INVALID_ARGUMENT_FIELD"}, "request_id")

    def test_without_a_tenant_no_session_is_listed(self):
        self.assert_refused(self.peer.list_sessions, grpc.StatusCode.FAILED_PRECONDITION,
                            {"TENANT_REQUIRED"}, ())


class AttachTest(PeerCase):
    def test_an_image_is_attached_without_its_bytes(self):
        other = self.peer.create_session()
        attached = self.peer.attach(other, self.image.sha256)
        self.assertTrue(attached.cached)
        self.assertEqual(attached.image.sha256, self.image.sha256)
        self.assertEqual(attached.image.size, self.image.size)
        here, _ = self.segment([self.centre])
        there, _ = self.peer.segment(other, attached.image.image_id, [self.centre])
        self.assert_nearly_equal(here, there)
        again = self.peer.attach(other, self.image.sha256.upper())
        self.assertEqual(again.image.image_id, attached.image.image_id)
        self.peer.delete_session(other)

    def test_who_is_told_to_upload_uploads_and_attaches(self):
        data = new_picture()
        digest = hashlib.sha256(data).hexdigest()
        failure = self.assert_refused(lambda: self.peer.attach(self.session, digest),
                                      grpc.StatusCode.NOT_FOUND, {"IMAGE_NOT_FOUND"}, ())
        self.assertEqual(failure.metadata["sha256"], digest)
        uploaded = self.peer.upload(self.session, data)
        self.assertEqual(self.peer.attach(self.session, digest).image.image_id, uploaded.image_id)

    def test_an_embedding_outlives_its_session(self):
        first = self.peer.create_session()
        data = new_picture()
        digest = self.peer.upload(first, data).sha256
        self.peer.delete_session(first)
        attached = self.peer.attach(self.session, digest)
        self.assertTrue(attached.cached)
        masks, _ = self.peer.segment(self.session, attached.image.image_id,
                                     [self.peer.click(40, 30)])
        self.assertTrue(masks)

    def test_a_digest_is_checked(self):
        for bad in ("", "abc", "g" * 64, "0" * 65):
            with self.subTest(bad):
                self.assert_invalid(lambda bad=bad: self.peer.attach(self.session, bad),
                                    {"INVALID_ARGUMENT_FIELD"}, "sha256")


class TenantTest(PeerCase):
    """Two tenants of one server; skipped where it takes nobody's word for his tenant."""

    def setUp(self):
        super().setUp()
        self.ours = self.join("peer-ours")
        self.theirs = self.join("peer-theirs")
        try:
            self.ours.list_sessions()
        except grpc.RpcError as error:
            if peer.read_failure(error).reason != "TENANT_REQUIRED":
                raise
            self.skipTest("the server does not believe the metadata semsam-tenant")

    def join(self, tenant):
        joined = peer.Peer(fixture.SERVER, tenant=tenant)
        self.addCleanup(joined.channel.close)
        return joined

    def test_a_tenant_is_told_its_name(self):
        self.assertEqual(self.ours.info().quota.tenant, "peer-ours")
        self.assertEqual(self.peer.info().quota.tenant, "")

    def test_a_tenant_lists_its_own_sessions(self):
        made = [self.ours.create_session() for _ in range(3)]
        theirs = self.theirs.create_session()
        listed, token = [], ""
        while True:
            page = self.ours.list_sessions(page_size=2, page_token=token)
            self.assertLessEqual(len(page.sessions), 2)
            listed += [session.session_id for session in page.sessions]
            token = page.next_page_token
            if not token:
                break
        self.assertEqual([session for session in listed if session in made], made)
        self.assertEqual(len(set(listed)), len(listed))
        self.assertNotIn(theirs, listed)
        self.assertNotIn(self.session, listed)
        for session in made:
            self.ours.delete_session(session)

    def test_a_foreign_session_is_as_good_as_unknown(self):
        session = self.ours.create_session()
        image = self.ours.upload(session, fixture.PHOTO)
        calls = {
            "renew": lambda other, target: other.renew(target),
            "upload": lambda other, target: other.upload(target, fixture.PHOTO),
            "attach": lambda other, target: other.attach(target, image.sha256),
            "segment": lambda other, target: other.segment(target, image.image_id, [self.centre]),
            "generate": lambda other, target: other.generate(target, image.image_id,
                                                             points_per_side=2),
            "delete": lambda other, target: other.delete_session(target),
        }
        for name, call in calls.items():
            for other in (self.theirs, self.peer):
                with self.subTest(name):
                    foreign = self.failure(lambda call=call, other=other: call(other, session))
                    unknown = self.failure(lambda call=call, other=other: call(other, "nobody"))
                    self.assertEqual(foreign.reason, "SESSION_NOT_FOUND")
                    self.assertEqual(foreign, unknown)
        self.assertTrue(self.ours.segment(session, image.image_id, [self.centre])[0])
        self.ours.delete_session(session)

    def test_nobody_learns_that_another_has_the_picture(self):
        data = new_picture()
        session = self.ours.create_session()
        digest = self.ours.upload(session, data).sha256
        foreign = self.theirs.create_session()
        failure = self.failure(lambda: self.theirs.attach(foreign, digest))
        self.assertEqual(failure.reason, "IMAGE_NOT_FOUND")
        messages = [self.theirs.header(foreign), self.theirs.chunk(data)]
        self.assertFalse(self.theirs.send(messages).cached)
        self.assertTrue(self.ours.attach(self.ours.create_session(), digest).cached)

    def test_a_name_that_is_none_is_refused(self):
        for bad in ("a b", "*", "a" * 65):
            with self.subTest(bad):
                failure = self.failure(self.join(bad).info)
                self.assertEqual(failure.code, grpc.StatusCode.UNAUTHENTICATED)
                self.assertEqual(failure.reason, "UNAUTHENTICATED")

    def failure(self, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        return peer.read_failure(raised.exception)
