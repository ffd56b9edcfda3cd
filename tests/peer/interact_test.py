"""The stream of clicks of a live server: ids, errors, cancel, the newest wins."""

import queue

import grpc

import peer
from fixture import PeerCase

SUPERSEDED = "SUPERSEDED"


class Hand:
    """One Interact stream; sends when told, reads when asked."""

    def __init__(self, user):
        self.peer = user
        self.requests = queue.Queue()
        # Ends at None, which half-closes the stream.
        self.call = user.stub.Interact(iter(self.requests.get, None),
                                       timeout=peer.LONG_TIMEOUT_S)
        self.masks = {}
        self.answers = {}
        self.order = []

    def send(self, **action):
        self.requests.put(self.peer.service.InteractRequest(**action))

    def start(self, session_id, image_id, labels=None, **options):
        self.send(start=self.peer.service.InteractStart(
            session_id=session_id, image_id=image_id, labels=labels,
            options=self.peer.service.SegmentOptions(**options)))

    def click(self, number, prompts, latest_wins=False):
        self.send(click=self.peer.service.InteractClick(
            correlation_id=number, prompts=prompts, latest_wins=latest_wins))

    def cancel(self, number):
        self.send(cancel=self.peer.service.InteractCancel(correlation_id=number))

    def half_close(self):
        self.requests.put(None)

    def take(self, response):
        if not response.events:
            raise AssertionError("a response without events")
        for event in response.events:
            number, kind = event.correlation_id, event.WhichOneof("payload")
            if kind == "mask":
                self.masks.setdefault(number, []).append(event.mask)
            elif kind in ("summary", "error"):
                self.answers[number] = getattr(event, kind)
                self.order.append(number)

    def wait(self, number):
        """The summary or the error of a click."""
        while number not in self.answers:
            self.take(next(self.call))
        return self.answers[number]

    def read_to_the_end(self):
        for response in self.call:
            self.take(response)


class InteractCase(PeerCase):
    def setUp(self):
        super().setUp()
        self.hand = Hand(self.peer)
        self.addCleanup(self.hand.half_close)
        self.addCleanup(self.hand.call.cancel)

    def start(self, **options):
        self.hand.start(self.session, self.image.image_id, **options)

    def at(self, share):
        """A click on the diagonal."""
        return [self.peer.click(self.width * share, self.height * share)]

    def assert_ends(self, code, reason, field=""):
        with self.assertRaises(grpc.RpcError) as raised:
            self.hand.read_to_the_end()
        failure = peer.read_failure(raised.exception)
        self.assertEqual((failure.code, failure.reason, failure.field), (code, reason, field),
                         failure)
        # Alive, and the session beside it unharmed.
        self.assertTrue(self.segment([self.centre])[0])


class InteractTest(InteractCase):
    def test_clicks_get_the_masks_of_segment_under_their_ids(self):
        self.start()
        shares = {7: 0.5, 1: 0.25, 2**64 - 1: 0.75}
        for number, share in shares.items():
            self.hand.click(number, self.at(share))
        self.hand.half_close()
        self.hand.read_to_the_end()
        self.assertEqual(sorted(self.hand.order), sorted(shares))
        for number, share in shares.items():
            alone, summary = self.segment(self.at(share))
            self.assertEqual(self.hand.answers[number].masks_sent, summary.masks_sent)
            self.assert_nearly_equal(self.hand.masks[number], alone)

    def test_options_and_image_may_change_between_clicks(self):
        levels = [level.level for level in self.peer.info().model.levels]
        self.start(levels=levels[:1])
        self.hand.click(1, self.at(0.5))
        self.start(levels=levels[1:3])
        self.hand.click(2, self.at(0.5))
        other = self.peer.create_session()
        self.addCleanup(self.peer.delete_session, other)
        self.hand.start(other, self.image.image_id)
        self.hand.click(3, self.at(0.5))
        self.assertEqual(self.hand.wait(1).masks_sent, 1)
        self.assertEqual(self.hand.wait(2).masks_sent, 2)
        self.assertEqual([mask.level for mask in self.hand.masks[2]], levels[1:3])
        self.assertEqual(self.hand.wait(3).reason, "IMAGE_NOT_FOUND")
        self.assertEqual(self.hand.wait(3).code, grpc.StatusCode.NOT_FOUND.value[0])

    def test_a_dragging_hand_gets_its_last_click_and_a_word_on_every_other(self):
        self.start(levels=[1])
        count = 60
        for number in range(1, count + 1):
            self.hand.click(number, self.at(number / (count + 1)), latest_wins=True)
        self.hand.half_close()
        self.hand.read_to_the_end()
        self.assertEqual(sorted(self.hand.order), list(range(1, count + 1)))
        for number, answer in self.hand.answers.items():
            if isinstance(answer, self.peer.service.InteractError):
                self.assertEqual((answer.code, answer.reason),
                                 (grpc.StatusCode.ABORTED.value[0], SUPERSEDED))
                self.assertNotIn(number, self.hand.masks)
            else:
                self.assertEqual(answer.masks_sent, 1)
        self.assertIsInstance(self.hand.answers[1], self.peer.service.SegmentSummary)
        self.assertIsInstance(self.hand.answers[count], self.peer.service.SegmentSummary)

    def test_cancel_ends_its_click_and_no_other(self):
        self.start()
        self.hand.click(1, self.at(0.5))
        self.hand.click(2, self.at(0.4))
        self.hand.cancel(2)
        self.hand.cancel(3)  # of nobody
        self.hand.half_close()
        self.hand.read_to_the_end()
        self.assertTrue(self.hand.masks[1])
        answer = self.hand.answers[2]
        if isinstance(answer, self.peer.service.InteractError):  # else it was too late
            self.assertEqual(answer.code, grpc.StatusCode.CANCELLED.value[0])

    def test_a_click_that_fails_is_told_so_and_the_stream_goes_on(self):
        self.hand.click(1, self.at(0.5))
        self.assertEqual(self.hand.wait(1).field, "start")
        self.start()
        self.hand.click(2, [self.peer.click(-1, 1)])
        self.assertEqual(self.hand.wait(2).reason, "POINT_OUTSIDE_IMAGE")
        self.assertEqual(self.hand.wait(2).field, "click.prompts[0].click.x")
        self.hand.click(3, [])
        self.assertEqual(self.hand.wait(3).field, "click.prompts")
        self.start(levels=[99])
        self.hand.click(4, self.at(0.5))
        self.assertEqual(self.hand.wait(4).field, "start.options.levels[0]")
        self.hand.start("nobody", self.image.image_id)
        self.hand.click(5, self.at(0.5))
        self.assertEqual(self.hand.wait(5).reason, "SESSION_NOT_FOUND")
        self.start()
        self.hand.click(5, self.at(0.5))  # free again
        del self.hand.answers[5]
        self.assertTrue(self.hand.wait(5).masks_sent)

    def test_too_many_open_clicks_are_refused_one_by_one(self):
        limit = self.peer.info().limits.max_open_clicks
        self.start()
        for number in range(1, 4 * limit + 1):
            self.hand.click(number, self.at(0.5))
        self.hand.half_close()
        self.hand.read_to_the_end()
        self.assertEqual(len(self.hand.answers), 4 * limit)
        for answer in self.hand.answers.values():
            if isinstance(answer, self.peer.service.InteractError):
                self.assertIn(answer.reason, {"LIMIT_EXCEEDED", "QUEUE_FULL"})
                self.assertEqual(answer.code, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        self.assertIsInstance(self.hand.answers[1], self.peer.service.SegmentSummary)

    def test_a_client_that_leaves_harms_nobody(self):
        self.start()
        for number in range(1, 9):
            self.hand.click(number, self.at(0.5))
        self.hand.wait(1)
        self.hand.call.cancel()
        self.assertEqual(self.hand.call.code(), grpc.StatusCode.CANCELLED)
        self.assertTrue(self.segment([self.centre])[0])

    def test_words_name_the_masks(self):
        self.require("object_labels")
        self.start(labels=self.peer.labels(["wolf", "house"]))
        self.hand.click(1, self.at(0.5))
        self.assertTrue(self.hand.wait(1).masks_sent)
        for mask in self.hand.masks[1]:
            self.assertEqual({label.name for label in mask.object_labels}, {"wolf", "house"})


class BadStreamTest(InteractCase):
    """What concerns no click ends the stream."""

    INVALID = grpc.StatusCode.INVALID_ARGUMENT

    def test_a_message_without_an_action(self):
        self.hand.send()
        self.assert_ends(self.INVALID, "INVALID_ARGUMENT_FIELD", "action")

    def test_an_unknown_encoding(self):
        self.start(encoding=99)
        self.assert_ends(self.INVALID, "INVALID_ARGUMENT_FIELD", "start.options.encoding")

    def test_bytes_that_are_no_message(self):
        call = self.peer.channel.stream_stream("/semsam.v1.SegmentationService/Interact")
        with self.assertRaises(grpc.RpcError) as raised:
            list(call(iter([b"\xff\xff\xff"]), timeout=peer.TIMEOUT_S))
        self.assertEqual(raised.exception.code(), self.INVALID)
