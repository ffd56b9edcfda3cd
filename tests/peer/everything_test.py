"""Everything-mode: progress, masks, the tree, and stopping in the middle."""

import grpc
import numpy

import peer
from fixture import PeerCase

SIDE = 6  # points: a small grid is enough, and quick
# Untrained weights are sure of nothing: all that the duplicates leave.
ALL = {"min_predicted_iou": -1000.0, "min_stability": 0.0}
# Share of a mask's pixels by which the server may have judged otherwise: it
# works on masks of the network's size, where a pixel is worth more.
CONTAINMENT_MARGIN = 0.03


class GridCase(PeerCase):
    def setUp(self):
        super().setUp()
        self.require("click_prompts")

    def generate(self, labels=None, **options):
        options.setdefault("points_per_side", SIDE)
        return self.peer.generate(self.session, self.image.image_id, labels, **options)


class EverythingTest(GridCase):
    def test_progress_rises_to_the_whole_grid(self):
        answer = self.generate(points_per_chunk=4, **ALL)
        points = [message for kind, message in answer.messages if kind == "progress"
                  and message.stage == self.peer.words.Progress.STAGE_POINTS]
        done = [progress.done for progress in points]
        # First and last; a slow reader misses what lies between.
        self.assertGreaterEqual(len(set(done)), 2)
        self.assertEqual(done, sorted(done))
        self.assertEqual({progress.total for progress in points}, {SIDE * SIDE})
        self.assertEqual(done[-1], SIDE * SIDE)
        # No mask before the whole grid is known: duplicates are removed over all.
        kinds = [kind for kind, _ in answer.messages]
        self.assertNotIn("progress", kinds[kinds.index("mask"):])

    def test_masks_are_what_the_server_says_of_them(self):
        answer = self.generate(**ALL)
        masks = answer.of("mask")
        self.assertTrue(masks)
        self.assertEqual(answer.summary.masks_sent, len(masks))
        levels = {level.level for level in self.peer.info().model.levels}
        scores = [mask.predicted_iou for mask in masks]
        self.assertEqual(scores, sorted(scores, reverse=True))
        for mask in masks:
            self.assertEqual((mask.size.height, mask.size.width), (self.height, self.width))
            bits = peer.pixels(mask)
            self.assertEqual(int(bits.sum()), mask.area)
            self.assertEqual(peer.bounds(bits),
                             [mask.box.x, mask.box.y, mask.box.width, mask.box.height])
            self.assertGreater(mask.area, 0)
            self.assertLess(mask.prompt_index, SIDE * SIDE)
            self.assertIn(mask.level, levels)

    def test_thresholds_drop_masks(self):
        everything = self.generate(**ALL)
        scores = sorted(mask.predicted_iou for mask in everything.of("mask"))
        middle = scores[len(scores) // 2]
        kept = self.generate(min_predicted_iou=middle, min_stability=0.0)
        self.assertLess(len(kept.of("mask")), len(scores))
        for mask in kept.of("mask"):
            self.assertGreater(mask.predicted_iou, middle)
        self.assertEqual(self.generate(min_predicted_iou=1e9).of("mask"), [])

    def test_levels_are_those_asked_for(self):
        for mask in self.generate(levels=[2], **ALL).of("mask"):
            self.assertEqual(mask.level, 2)

    def test_boxes_of_masks_overlap_no_more_than_asked(self):
        masks = self.generate(nms_iou=0.3, resolution=self.peer.masks.MASK_RESOLUTION_NETWORK,
                              **ALL).of("mask")
        corners = numpy.array([[m.box.x, m.box.y, m.box.x + m.box.width, m.box.y + m.box.height]
                               for m in masks], float)
        for i, a in enumerate(corners):
            for b in corners[:i]:
                low, high = numpy.maximum(a[:2], b[:2]), numpy.minimum(a[2:], b[2:])
                overlap = numpy.prod(numpy.clip(high - low, 0, None))
                union = numpy.prod(a[2:] - a[:2]) + numpy.prod(b[2:] - b[:2]) - overlap
                # The server compares boxes by the corners of the outermost pixels.
                self.assertLessEqual(overlap / union, 0.3 + 0.05)

    def test_isolated_points_do_not_depend_on_the_chunk(self):
        first = self.generate(points_per_chunk=5, **ALL).of("mask")
        second = self.generate(points_per_chunk=36, **ALL).of("mask")
        key = lambda mask: (mask.prompt_index, mask.level)
        first, second = sorted(first, key=key), sorted(second, key=key)
        self.assertEqual([key(mask) for mask in first], [key(mask) for mask in second])
        self.assert_nearly_equal(first, second)

    def test_joint_attention_runs(self):
        self.assertTrue(self.generate(joint_attention=True, **ALL).of("mask"))

    def test_the_tree_is_the_one_that_the_masks_make(self):
        for share in (None, 0.7):
            options = dict(ALL) if share is None else dict(ALL, min_containment=share)
            options["resolution"] = self.peer.masks.MASK_RESOLUTION_NETWORK
            with self.subTest(min_containment=share):
                answer = self.generate(nms_iou=0.9, **options)
                masks = [peer.pixels(mask) for mask in answer.of("mask")]
                self.check_tree(masks, list(answer.summary.parents), share or 0.9)

    def check_tree(self, masks, parents, share):
        self.assertEqual(len(parents), len(masks))
        self.assertTrue(masks)
        flat = numpy.stack([mask.ravel() for mask in masks]).astype(numpy.float32)
        areas = flat.sum(axis=1)
        inside = (flat @ flat.T) / areas[:, None]  # [child, container]
        for child, parent in enumerate(parents):
            larger = areas > areas[child]
            surely = areas[larger & (inside[child] >= share + CONTAINMENT_MARGIN)]
            if parent < 0:
                self.assertEqual(parent, -1)
                self.assertEqual(surely.size, 0, f"mask {child} lies in another")
                continue
            self.assertGreater(areas[parent], areas[child])
            self.assertGreaterEqual(inside[child, parent], share - CONTAINMENT_MARGIN)
            if surely.size:
                self.assertLessEqual(areas[parent], surely.min(), f"mask {child}")
        for start in range(len(parents)):  # walking upwards ends
            steps, node = 0, start
            while node >= 0:
                node, steps = parents[node], steps + 1
                self.assertLessEqual(steps, len(parents))

    def test_masks_of_everything_are_named(self):
        self.require("object_labels")
        words = ["dog", "cat", "level 1", "level 2"]
        masks = self.generate(self.peer.labels(words, max_labels=2), **ALL).of("mask")
        self.assertTrue(masks)
        for mask in masks:
            self.assertEqual(len(mask.object_labels), 2)
            self.assertFalse(mask.part_labels)
            for label in mask.object_labels:
                self.assertEqual(label.name, words[label.word_index])
        ids = [mask.mask_id for mask in masks if mask.mask_id != 0]
        self.assertTrue(ids)
        limit = self.peer.info().limits.max_labelled_masks
        again = self.peer.refresh(self.session, ids[-min(len(ids), limit):],
                                  self.peer.labels(["wolf"]))
        self.assertEqual({mask.object_labels[0].name for mask in again.masks}, {"wolf"})

    def test_a_client_that_leaves_in_the_middle_harms_nobody(self):
        for after in ("progress", "mask"):
            with self.subTest(after=after):
                request = self.peer.generate_request(
                    self.session, self.image.image_id, points_per_side=8, points_per_chunk=2, **ALL)
                call = self.peer.stub.GenerateMasks(request, timeout=peer.LONG_TIMEOUT_S)
                for response in call:
                    if response.WhichOneof("payload") == after:
                        break
                call.cancel()
                self.assertEqual(call.code(), grpc.StatusCode.CANCELLED)
                self.assertTrue(self.segment([self.centre])[0])


class BadGridTest(GridCase):
    def test_numbers_out_of_range(self):
        limit = self.peer.info().limits.max_points_per_side
        nan = float("nan")
        for options, field in (
            ({"points_per_side": limit + 1}, "points_per_side"),
            ({"points_per_side": 4_000_000_000}, "points_per_side"),
            ({"min_predicted_iou": nan}, "min_predicted_iou"),
            ({"min_stability": 1.5}, "min_stability"),
            ({"stability_offset": -1}, "stability_offset"),
            ({"nms_iou": nan}, "nms_iou"),
            ({"nms_iou": -0.5}, "nms_iou"),
            ({"min_containment": 0.5}, "min_containment"),
            ({"min_containment": 1.01}, "min_containment"),
        ):
            with self.subTest(**options):
                self.assert_invalid(lambda options=options: self.generate(**options),
                                    {"INVALID_ARGUMENT_FIELD", "LIMIT_EXCEEDED"},
                                    f"options.{field}")

    def test_unknown_levels(self):
        self.assert_invalid(lambda: self.generate(levels=[1, 99]), {"UNKNOWN_LEVEL"},
                            "options.levels[1]")

    def test_unknown_session_and_image(self):
        self.assert_refused(lambda: self.peer.generate(self.session, "nothing"),
                            grpc.StatusCode.NOT_FOUND, {"IMAGE_NOT_FOUND"}, ())
        self.assert_refused(lambda: self.peer.generate("nobody", self.image.image_id),
                            grpc.StatusCode.NOT_FOUND, {"SESSION_NOT_FOUND"}, ())
