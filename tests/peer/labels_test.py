"""Words with clicks: labels, other words for old masks, and models that know none."""

import math

import grpc

import fixture
from fixture import PeerCase

OBJECTS = ["dog", "cat", "polar bear", "car", "tree"]
PARTS = ["head", "leg", "wheel"]
# Of a logit that was computed beside other words.
LOGIT_TOLERANCE = 1e-3


class LabelCase(PeerCase):
    def setUp(self):
        super().setUp()
        self.require("object_labels", "part_labels")

    def check_labels(self, labels, words, most):
        """The best labels of one list: sorted, consistent, no word twice."""
        self.assertLessEqual(len(labels), most)
        self.assertEqual([label.logit for label in labels],
                         sorted((label.logit for label in labels), reverse=True))
        self.assertEqual(len({label.word_index for label in labels}), len(labels))
        for label in labels:
            self.assertEqual(label.name, words[label.word_index])
            self.assertAlmostEqual(label.score, 1 / (1 + math.exp(-label.logit)), delta=1e-5)

    def assert_same_labels(self, first, second):
        self.assertEqual({label.name for label in first}, {label.name for label in second})
        logits = {label.name: label.logit for label in second}
        for label in first:
            self.assertAlmostEqual(label.logit, logits[label.name], delta=LOGIT_TOLERANCE)


class LabelTest(LabelCase):
    def test_every_mask_is_named_from_both_lists(self):
        masks, _ = self.segment([self.centre], labels=self.peer.labels(OBJECTS, PARTS))
        self.assertTrue(masks)
        for mask in masks:
            self.assertEqual(len(mask.object_labels), 3)  # the default
            self.assertEqual(len(mask.part_labels), 3)
            self.check_labels(mask.object_labels, OBJECTS, 3)
            self.check_labels(mask.part_labels, PARTS, 3)

    def test_only_asked_lists_are_answered(self):
        for mask in self.segment([self.centre], labels=self.peer.labels(parts=PARTS))[0]:
            self.assertFalse(mask.object_labels)
            self.assertTrue(mask.part_labels)
        for mask in self.segment([self.centre])[0]:
            self.assertFalse(mask.object_labels or mask.part_labels)

    def test_labels_are_bounded_by_count_and_score(self):
        labels = self.peer.labels(OBJECTS, max_labels=5)
        masks, _ = self.segment([self.centre], labels=labels)
        scores = sorted(label.score for mask in masks for label in mask.object_labels)
        self.assertEqual(len(scores), 5 * len(masks))
        middle = scores[len(scores) // 2]
        labels.min_score = middle
        fewer, _ = self.segment([self.centre], labels=labels)
        kept = [label.score for mask in fewer for label in mask.object_labels]
        self.assertEqual(len(kept), sum(score >= middle for score in scores))
        labels = self.peer.labels(OBJECTS, max_labels=1)
        for mask in self.segment([self.centre], labels=labels)[0]:
            self.check_labels(mask.object_labels, OBJECTS, 1)

    def test_a_words_logit_does_not_depend_on_the_other_words(self):
        alone, _ = self.segment([self.centre], labels=self.peer.labels(["cat"]))
        beside, _ = self.segment([self.centre], labels=self.peer.labels(OBJECTS, max_labels=5))
        for a, b in zip(alone, beside):
            cat = next(label for label in b.object_labels if label.name == "cat")
            self.assertAlmostEqual(a.object_labels[0].logit, cat.logit, delta=LOGIT_TOLERANCE)

    def test_a_repeated_word_is_answered_under_the_first(self):
        words = ["dog", "cat", " Dog", "DOG ", "polar  bear", "polar bear"]
        masks, _ = self.segment([self.centre], labels=self.peer.labels(words, max_labels=6))
        for mask in masks:
            self.assertEqual({label.word_index for label in mask.object_labels}, {0, 1, 4})
            self.check_labels(mask.object_labels, words, 3)

    def test_words_may_be_of_any_script(self):
        words = ["ch\u00e8vre", "\u72d7", "\u0441\u043e\u0431\u0430\u043a\u0430", "\U0001f415"]
        masks, _ = self.segment([self.centre], labels=self.peer.labels(words, max_labels=4))
        for mask in masks:
            self.assertEqual(len(mask.object_labels), 4)
            self.check_labels(mask.object_labels, words, 4)

    def test_plain_words_are_taken_as_they_are(self):
        labels = self.peer.labels(["a photo of a dog."], mode="TEXT_MODE_PLAIN")
        for mask in self.segment([self.centre], labels=labels)[0]:
            self.check_labels(mask.object_labels, ["a photo of a dog."], 1)

    def test_the_models_own_words_need_not_be_listed(self):
        own = self.peer.info().model.vocabulary
        words = self.peer.words
        labels = words.LabelOptions(objects=words.WordList(model_vocabulary=True))
        if not own.objects:
            self.assert_refused(
                lambda: self.segment([self.centre], labels=labels),
                grpc.StatusCode.FAILED_PRECONDITION, {"CAPABILITY_MISSING"},
                ["labels.objects.model_vocabulary"])
            return
        for mask in self.segment([self.centre], labels=labels)[0]:
            self.assertTrue(mask.object_labels)
            self.check_labels(mask.object_labels, own.objects, 3)

    def test_masks_do_not_depend_on_words(self):
        plain, _ = self.segment([self.centre])
        named, _ = self.segment([self.centre], labels=self.peer.labels(OBJECTS))
        self.assert_nearly_equal(plain, named)

    def test_one_answer_is_labelled_like_the_stream(self):
        labels = self.peer.labels(OBJECTS, PARTS)
        answer = self.peer.segment_once(fixture.PHOTO, [self.centre], labels)
        streamed, _ = self.segment([self.centre], labels=labels)
        for a, b in zip(answer.masks, sorted(streamed, key=lambda mask: mask.level)):
            self.assert_same_labels(a.object_labels, b.object_labels)
            self.assert_same_labels(a.part_labels, b.part_labels)
            self.assertEqual(a.mask_id, 0)  # no session to keep it in


class RefreshTest(LabelCase):
    def test_masks_have_ids_of_their_own(self):
        first, _ = self.segment([self.centre])
        second, _ = self.segment([self.centre])
        ids = [mask.mask_id for mask in first + second]
        self.assertNotIn(0, ids)
        self.assertEqual(len(set(ids)), len(ids))

    def test_the_same_words_give_the_same_labels(self):
        labels = self.peer.labels(OBJECTS, PARTS)
        masks, _ = self.segment([self.centre], labels=labels)
        again = self.peer.refresh(self.session, [mask.mask_id for mask in masks], labels).masks
        self.assertEqual(len(again), len(masks))
        for mask, named in zip(masks, again):
            self.assertEqual(named.mask_id, mask.mask_id)
            self.assert_same_labels(mask.object_labels, named.object_labels)
            self.assert_same_labels(mask.part_labels, named.part_labels)

    def test_other_words_need_no_words_before(self):
        masks, _ = self.segment([self.centre])
        ids = [mask.mask_id for mask in reversed(masks)]
        ids.append(ids[0])
        answer = self.peer.refresh(self.session, ids, self.peer.labels(["beagle", "poodle"]))
        self.assertEqual([mask.mask_id for mask in answer.masks], ids)
        for mask in answer.masks:
            self.assertEqual(len(mask.object_labels), 2)
            self.check_labels(mask.object_labels, ["beagle", "poodle"], 2)
            self.assertFalse(mask.part_labels)

    def test_an_unknown_mask(self):
        masks, _ = self.segment([self.centre])
        known = masks[0].mask_id
        for bad in (0, known + 1_000_000, 2**64 - 1):
            with self.subTest(mask_id=bad):
                failure = self.assert_refused(
                    lambda bad=bad: self.peer.refresh(self.session, [known, bad],
                                                      self.peer.labels(OBJECTS)),
                    grpc.StatusCode.NOT_FOUND, {"MASK_NOT_FOUND"}, ("mask_ids[1]",))
                self.assertIn(str(bad), failure.message)

    def test_a_mask_of_another_session(self):
        mask = self.segment([self.centre])[0][0]
        other = self.peer.create_session()
        self.addCleanup(self.peer.delete_session, other)
        self.assert_refused(
            lambda: self.peer.refresh(other, [mask.mask_id], self.peer.labels(OBJECTS)),
            grpc.StatusCode.NOT_FOUND, {"MASK_NOT_FOUND"}, ("mask_ids[0]",))
        self.assert_refused(
            lambda: self.peer.refresh("nobody", [mask.mask_id], self.peer.labels(OBJECTS)),
            grpc.StatusCode.NOT_FOUND, {"SESSION_NOT_FOUND"}, ())

    def test_nothing_to_do(self):
        mask = self.segment([self.centre])[0][0]
        self.assert_invalid(
            lambda: self.peer.refresh(self.session, [], self.peer.labels(OBJECTS)),
            {"INVALID_ARGUMENT_FIELD"}, "mask_ids")
        self.assert_invalid(lambda: self.peer.refresh(self.session, [mask.mask_id], None),
                            {"INVALID_ARGUMENT_FIELD"}, "labels")


class WordlessTest(PeerCase):
    """What the model cannot is refused, whichever call asks."""

    def assert_missing(self, call, *fields):
        self.assert_refused(call, grpc.StatusCode.FAILED_PRECONDITION, {"CAPABILITY_MISSING"},
                            fields)

    def test_labels_are_refused(self):
        if self.capabilities().object_labels:
            self.skipTest("the model names objects")
        labels = self.peer.labels(OBJECTS)
        field = "labels.objects"
        self.assert_missing(lambda: self.segment([self.centre], labels=labels), field)
        self.assert_missing(
            lambda: self.peer.segment_once(fixture.PHOTO, [self.centre], labels), field)
        self.assert_missing(lambda: self.peer.refresh(self.session, [1], labels), field)
        self.assert_missing(
            lambda: self.peer.generate(self.session, self.image.image_id, labels,
                                       points_per_side=2), field)

    def test_part_labels_are_refused(self):
        if self.capabilities().part_labels:
            self.skipTest("the model names parts")
        self.assert_missing(
            lambda: self.segment([self.centre], labels=self.peer.labels(parts=PARTS)),
            "labels.parts")

    def test_masks_without_words_have_no_id(self):
        capabilities = self.capabilities()
        if capabilities.object_labels or capabilities.part_labels:
            self.skipTest("the model names masks")
        self.assertEqual({mask.mask_id for mask in self.segment([self.centre])[0]}, {0})

    def test_regions_of_words_are_refused(self):
        if self.capabilities().vocabulary:
            self.skipTest("the model looks for words")
        image_id = self.image.image_id
        for kind, field in (("things", "things"), ("stuff", "stuff"), ("parts", "parts")):
            with self.subTest(kind):
                self.assert_missing(
                    lambda kind=kind: self.peer.vocabulary(self.session, image_id,
                                                           **{kind: ["dog"]}),
                    field)
