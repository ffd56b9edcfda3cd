"""Regions of words, and words that no server should take."""

import grpc
import numpy

import peer
from fixture import PeerCase

THINGS = ["dog", "cat", "left", "right", "person", "boat"]
STUFF = ["sky", "grass", "top"]
PARTS = ["head", "left half", "wheel"]
PLACEHOLDER = "~~~~"  # for as many bytes that are put in later


class VocabularyTest(PeerCase):
    def setUp(self):
        super().setUp()
        self.require("vocabulary")

    def ask(self, things=(), stuff=(), parts=(), **options):
        return self.peer.vocabulary(self.session, self.image.image_id, things, stuff, parts,
                                    **options)

    def kind(self, name):
        return self.peer.service.VocabularySegment.Kind.Value(name)

    def word_of(self, segment):
        if segment.kind == self.kind("KIND_PART"):
            return PARTS[segment.word_index]
        return (THINGS if segment.is_thing else STUFF)[segment.word_index]

    def test_segments_are_what_the_server_says_of_them(self):
        parts = PARTS if self.capabilities().part_labels else []
        answer = self.ask(THINGS, STUFF, parts, instances=True, semantic=True)
        segments = answer.of("segment")
        self.assertEqual(answer.summary.segments_sent, len(segments))
        self.assertEqual((answer.summary.image_size.height, answer.summary.image_size.width),
                         (self.height, self.width))
        self.assertTrue(segments)
        for segment in segments:
            self.assertEqual(segment.name, self.word_of(segment))
            self.assertTrue(0 <= segment.score <= 1, segment.score)
            mask = segment.mask
            self.assertEqual((mask.size.height, mask.size.width), (self.height, self.width))
            bits = peer.pixels(mask)
            self.assertEqual(int(bits.sum()), mask.area)
            self.assertEqual(peer.bounds(bits),
                             [mask.box.x, mask.box.y, mask.box.width, mask.box.height])

    def test_instances_fall_by_score_and_are_the_default(self):
        segments = self.ask(THINGS).of("segment")
        self.assertTrue(segments)
        self.assertEqual({segment.kind for segment in segments}, {self.kind("KIND_INSTANCE")})
        self.assertTrue(all(segment.is_thing for segment in segments))
        scores = [segment.score for segment in segments]
        self.assertEqual(scores, sorted(scores, reverse=True))

    def test_instances_are_bounded_by_count_and_score(self):
        everything = self.ask(THINGS).of("segment")
        self.assertEqual(len(self.ask(THINGS, max_instances=1).of("segment")), 1)
        middle = everything[len(everything) // 2].score
        kept = self.ask(THINGS, min_score=middle).of("segment")
        self.assertEqual(len(kept), sum(segment.score >= middle for segment in everything))

    def test_overlaps_of_a_word_can_be_left_out(self):
        segments = self.ask(THINGS, max_duplicate_iou=0.5).of("segment")
        for word in range(len(THINGS)):
            masks = [peer.pixels(s.mask) for s in segments if s.word_index == word]
            for i, a in enumerate(masks):
                for b in masks[:i]:
                    union = (a | b).sum()
                    self.assertLessEqual((a & b).sum(), 0.5 * union + 1e-6)

    def test_parts_are_found_by_their_own_head(self):
        self.require("part_labels")
        segments = self.ask(parts=PARTS).of("segment")
        self.assertTrue(segments)
        self.assertEqual({segment.kind for segment in segments}, {self.kind("KIND_PART")})

    def test_semantic_regions_share_no_pixel(self):
        segments = self.ask(THINGS, STUFF, semantic=True).of("segment")
        self.assertTrue(segments)
        self.assertEqual({segment.kind for segment in segments}, {self.kind("KIND_SEMANTIC")})
        words = [(segment.is_thing, segment.word_index) for segment in segments]
        self.assertEqual(len(set(words)), len(words))
        count = sum(peer.pixels(segment.mask).astype(int) for segment in segments)
        self.assertLessEqual(count.max(), 1)

    def test_the_panoptic_map_is_what_its_table_says(self):
        # Untrained weights are sure of nothing: without thresholds all take part.
        for options in ({}, {"object_threshold": 0.0, "overlap_threshold": 0.0}):
            with self.subTest(**options):
                self.check_map(self.ask(THINGS, STUFF, panoptic=True, **options))

    def check_map(self, answer):
        maps = answer.of("panoptic")
        self.assertEqual(len(maps), 1)
        self.assertFalse(answer.of("segment"))
        panoptic = maps[0]
        ids = peer.panoptic_ids(panoptic)
        self.assertEqual(ids.shape, (self.height, self.width))
        self.assertEqual((panoptic.size.height, panoptic.size.width), ids.shape)
        table = {segment.id: segment for segment in panoptic.segments}
        self.assertEqual(len(table), len(panoptic.segments))
        self.assertEqual(set(numpy.unique(ids)) - {0}, set(table))
        for segment_id, segment in table.items():
            bits = ids == segment_id
            self.assertEqual(int(bits.sum()), segment.area)
            self.assertEqual(
                peer.bounds(bits),
                [segment.box.x, segment.box.y, segment.box.width, segment.box.height])
            self.assertEqual(segment.name, self.word_of_entry(segment))
        stuff = [segment.word_index for segment in table.values() if not segment.is_thing]
        self.assertEqual(len(set(stuff)), len(stuff))  # one region a word

    def word_of_entry(self, segment):
        return (THINGS if segment.is_thing else STUFF)[segment.word_index]

    def test_a_map_comes_even_if_it_is_empty(self):
        answer = self.ask(THINGS, panoptic=True, object_threshold=1.0)
        self.assertEqual(len(answer.of("panoptic")), 1)
        self.assertFalse(peer.panoptic_ids(answer.of("panoptic")[0]).any())

    def test_progress_of_new_words_rises(self):
        words = [f"thing of a kind {i}" for i in range(60)]
        heard = self.ask(words).of("progress")
        done = [progress.done for progress in heard]
        self.assertEqual(done, sorted(done))
        for progress in heard:
            self.assertLessEqual(progress.done, progress.total)
            self.assertEqual(progress.stage, self.peer.words.Progress.STAGE_WORDS)

    def test_a_repeated_word_is_answered_under_the_first(self):
        segments = self.ask(["left", "Left ", "right"]).of("segment")
        self.assertNotIn(1, {segment.word_index for segment in segments})

    def test_requests_that_ask_for_nothing_or_too_much(self):
        invalid = {"INVALID_ARGUMENT_FIELD"}
        self.assert_invalid(lambda: self.ask(), invalid, "things")
        self.assert_invalid(lambda: self.ask(THINGS, min_score=1.5), invalid, "options.min_score")
        self.assert_invalid(lambda: self.ask(THINGS, max_duplicate_iou=float("nan")), invalid,
                            "options.max_duplicate_iou")
        self.assert_invalid(lambda: self.ask(THINGS, panoptic=True, overlap_threshold=-1), invalid,
                            "options.overlap_threshold")
        self.assert_invalid(lambda: self.ask(THINGS, semantic=True, temperature=float("inf")),
                            invalid, "options.temperature")
        self.assert_refused(
            lambda: self.peer.vocabulary(self.session, "nothing", THINGS),
            grpc.StatusCode.NOT_FOUND, {"IMAGE_NOT_FOUND"}, ())
        self.assert_refused(
            lambda: self.peer.vocabulary("nobody", self.image.image_id, THINGS),
            grpc.StatusCode.NOT_FOUND, {"SESSION_NOT_FOUND"}, ())


class BadWordsTest(PeerCase):
    """Every list of every call judges its words alike, and names the bad one."""

    def setUp(self):
        super().setUp()
        capabilities = self.capabilities()
        image = {"session_id": self.session, "image_id": self.image.image_id}
        service, labels = self.peer.service, self.peer.labels
        self.lists = []  # (method, field of the list, words -> request)
        if capabilities.object_labels:
            mask_id = self.segment([self.centre])[0][0].mask_id
            self.lists += [
                ("Segment", "labels.objects",
                 lambda words: service.SegmentRequest(prompts=[self.centre], labels=labels(words),
                                                      **image)),
                ("SegmentOnce", "labels.objects",
                 lambda words: service.SegmentOnceRequest(
                     reference=service.ImageReference(**image), prompts=[self.centre],
                     labels=labels(words))),
                ("RefreshLabels", "labels.objects",
                 lambda words: service.RefreshLabelsRequest(
                     session_id=self.session, mask_ids=[mask_id], labels=labels(words))),
                ("GenerateMasks", "labels.objects",
                 lambda words: service.GenerateMasksRequest(labels=labels(words), **image)),
            ]
        if capabilities.part_labels:
            self.lists.append(
                ("Segment", "labels.parts",
                 lambda words: service.SegmentRequest(prompts=[self.centre],
                                                      labels=labels(parts=words), **image)))
        if capabilities.vocabulary:
            names = ["things", "stuff"] + (["parts"] if capabilities.part_labels else [])
            for name in names:
                self.lists.append(
                    ("SegmentVocabulary", name,
                     lambda words, name=name: service.SegmentVocabularyRequest(
                         **{name: self.peer.word_list(words)}, **image)))
        if not self.lists:
            self.skipTest("the model knows no words")

    def assert_words_refused(self, words, reasons, suffix, edit=lambda data: data):
        """`edit` changes the request's bytes; `suffix` follows the list's field."""
        for method, field, make in self.lists:
            with self.subTest(method=method, list=field):
                data = edit(make(words).SerializeToString())
                failure = self.assert_invalid(lambda: self.peer.send_bytes(method, data), reasons,
                                              field + suffix)
                self.assertLess(len(failure.message), 1000)

    def test_an_empty_word(self):
        for word in ("", "   ", "\t\n"):
            self.assert_words_refused(["dog", word], {"INVALID_ARGUMENT_FIELD"}, ".words[1]")

    def test_too_many_words(self):
        limit = self.peer.info().limits.max_words
        words = [f"word {i}" for i in range(limit + 1)]
        self.assert_words_refused(words, {"LIMIT_EXCEEDED"}, ".words")

    def test_a_word_of_ten_kilobytes(self):
        self.assert_words_refused(["dog", "cat", "x" * 10_240], {"LIMIT_EXCEEDED"}, ".words[2]")

    def test_a_word_is_measured_in_characters(self):
        limit = self.peer.info().limits.max_word_characters
        self.assert_words_refused(["\u72d7" * (limit + 1)], {"LIMIT_EXCEEDED"}, ".words[0]")
        for method, field, make in self.lists:
            if method == "RefreshLabels":
                self.peer.send_bytes(method, make(["\u72d7" * limit]).SerializeToString())

    def test_bytes_that_are_no_utf8(self):
        for bad in (b"cat\xff", b"\xc0\xafat", b"\xed\xa0\x80t", b"\xf4\x90\x80\x80"):
            self.assert_words_refused(
                ["dog", PLACEHOLDER], {"INVALID_ARGUMENT_FIELD"}, ".words[1]",
                lambda data, bad=bad: data.replace(PLACEHOLDER.encode(), bad))

    def test_things_and_stuff_share_their_limit(self):
        self.require("vocabulary")
        limit = self.peer.info().limits.max_words
        half = limit // 2 + 1
        self.assert_invalid(
            lambda: self.peer.vocabulary(self.session, self.image.image_id,
                                         [f"thing {i}" for i in range(half)],
                                         [f"stuff {i}" for i in range(half)]),
            {"LIMIT_EXCEEDED"}, "stuff.words", "things.words")
