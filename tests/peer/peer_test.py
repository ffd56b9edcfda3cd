"""The service as a stranger sees it: Python stubs, pycocotools and grpcurl against a live server.

  peer_test.py --server HOST:PORT --proto-dir PATH [--image FILE] [UNITTEST ARGUMENT...]

Works against any server of the protocol. Masks are compared with each other
and with what the server says of them, never with expected pictures, so that it
does not matter which weights the server runs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import grpc
except ImportError:
    print("skipped: no grpc; run tests/run.sh, or deploy/setup.sh --test and set SEMSAM_PYTHON")
    sys.exit(77)  # ctest reads this as "skipped"

import numpy
import pycocotools.mask

import fixture
import images
import peer
# unittest finds these here.
from everything_test import BadGridTest, EverythingTest
from fixture import PeerCase
from interact_test import BadStreamTest, InteractTest
from labels_test import LabelTest, RefreshTest, WordlessTest
from sessions_test import AttachTest, LeaseTest, TenantTest
from vocabulary_test import BadWordsTest, VocabularyTest

SERVICE = "semsam.v1.SegmentationService"
GRPCURL_TIMEOUT_S = 60


class MainJobTest(PeerCase):
    def test_one_mask_a_level_then_a_summary(self):
        levels = [level.level for level in self.peer.info().model.levels]
        masks, summary = self.segment([self.centre])
        self.assertEqual(sorted(mask.level for mask in masks), levels)
        self.assertEqual(summary.masks_sent, len(masks))
        self.assertEqual(summary.masks_filtered, 0)
        self.assertEqual((summary.image_size.height, summary.image_size.width),
                         (self.height, self.width))

    def test_masks_are_what_the_server_says_of_them(self):
        box = self.peer.box(1, 1, self.width - 1, self.height - 1, tag="all of it")
        prompts = [self.centre, box] if self.peer.info().model.capabilities.box_prompts else [
            self.centre]
        masks, _ = self.segment(prompts)
        for mask in masks:
            self.assertEqual((mask.size.height, mask.size.width), (self.height, self.width))
            self.assertEqual(pycocotools.mask.area(peer.coco_rle(mask)), mask.area)
            bounds = [mask.box.x, mask.box.y, mask.box.width, mask.box.height]
            if mask.area:
                self.assertEqual(list(pycocotools.mask.toBbox(peer.coco_rle(mask))), bounds)
            else:
                self.assertEqual(bounds, [0, 0, 0, 0])
            self.assertTrue(0 <= mask.stability <= 1, mask.stability)
            self.assertEqual(mask.prompt_tag, prompts[mask.prompt_index].tag)
        self.assertEqual({mask.prompt_index for mask in masks}, set(range(len(prompts))))

    def test_run_lengths_are_what_pycocotools_writes(self):
        for mask in self.segment([self.centre])[0]:
            again = pycocotools.mask.encode(numpy.asfortranarray(peer.pixels(mask), numpy.uint8))
            self.assertEqual(again["counts"], mask.coco_rle)

    def test_lossless_encodings_hold_the_same_pixels(self):
        by_encoding = {}
        for name in ("MASK_ENCODING_COCO_RLE", "MASK_ENCODING_PNG", "MASK_ENCODING_PACKED_BITS"):
            masks, _ = self.segment([self.centre], encoding=self.peer.masks.MaskEncoding.Value(name))
            by_encoding[name] = {mask.level: peer.pixels(mask) for mask in masks}
        reference = by_encoding.pop("MASK_ENCODING_COCO_RLE")
        self.assertTrue(reference)
        for name, masks in by_encoding.items():
            self.assertEqual(masks.keys(), reference.keys())
            for level, mask in masks.items():
                self.assertTrue(numpy.array_equal(mask, reference[level]), f"{name}, level {level}")

    def test_the_mask_is_where_the_logits_are_positive(self):
        masks, _ = self.segment([self.centre])
        reference = {mask.level: peer.pixels(mask) for mask in masks}
        answered, _ = self.segment([self.centre], encoding=self.peer.masks.MASK_ENCODING_LOGITS)
        self.assertEqual({mask.level for mask in answered}, reference.keys())
        for mask in answered:
            own = peer.upsampled_logits(mask, self.height, self.width) > 0
            self.assertEqual(mask.area, reference[mask.level].sum())
            # Next to the outline half precision and another interpolation may differ.
            self.assertLess((own != reference[mask.level]).sum(), 0.01 * self.height * self.width)

    def test_polygons_stay_inside_the_image(self):
        masks, _ = self.segment(
            [self.centre], encoding=self.peer.masks.MASK_ENCODING_POLYGONS)
        self.assertTrue(masks)
        for mask in masks:
            self.assertEqual(mask.WhichOneof("data"), "polygons")
            self.assertEqual(bool(mask.polygons.polygons), mask.area > 0)
            for polygon in mask.polygons.polygons:
                points = numpy.array(polygon.xy).reshape(-1, 2)
                self.assertTrue((points >= 0).all() and (points <= (self.width, self.height)).all())

    def test_masks_of_the_network_size_have_the_models_short_edge(self):
        short_edge = self.peer.info().model.short_edge_px
        masks, _ = self.segment(
            [self.centre], resolution=self.peer.masks.MASK_RESOLUTION_NETWORK)
        self.assertTrue(masks)
        for mask in masks:
            self.assertEqual(min(mask.size.height, mask.size.width), short_edge)
            self.assertEqual(peer.pixels(mask).sum(), mask.area)

    def test_only_the_asked_levels_are_answered(self):
        levels = [level.level for level in self.peer.info().model.levels]
        asked = [levels[-1], levels[0]]
        masks, _ = self.segment([self.centre], levels=asked)
        self.assertEqual(sorted(mask.level for mask in masks), sorted(asked))

    def test_thresholds_filter_and_are_counted(self):
        everything, _ = self.segment([self.centre])
        masks, summary = self.segment([self.centre], min_predicted_iou=1e9)
        self.assertEqual(masks, [])
        self.assertEqual(summary.masks_filtered, len(everything))

    def test_normalised_coordinates_mean_the_same(self):
        frame = self.peer.prompts.COORDINATE_FRAME_NORMALIZED
        pixels, _ = self.segment([self.centre])
        normalised, _ = self.segment([self.peer.click(0.5, 0.5, frame=frame)])
        self.assert_nearly_equal(pixels, normalised)

    def test_a_prompts_masks_do_not_depend_on_its_neighbours(self):
        corner = self.peer.click(2, 3)
        alone, _ = self.segment([self.centre])
        together, _ = self.segment([corner, self.centre, corner])
        self.assert_nearly_equal(alone, [mask for mask in together if mask.prompt_index == 1])

    def test_one_answer_equals_the_stream(self):
        answer = self.peer.segment_once(fixture.PHOTO, [self.centre])
        streamed, _ = self.segment([self.centre])
        self.assert_nearly_equal(streamed, list(answer.masks))
        self.assertEqual(answer.summary.masks_sent, len(answer.masks))

    def test_exif_orientation_is_applied(self):
        image = self.peer.upload(self.session, images.rotated_jpeg(60, 100))
        self.assertEqual((image.size.height, image.size.width), (100, 60))
        low = self.peer.click(30, 99)  # outside of the picture as it is stored
        masks, _ = self.peer.segment(self.session, image.image_id, [low])
        self.assertTrue(masks)

    def test_every_image_format_is_taken(self):
        picture = images.scene(90, 120)
        for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF"):
            image = self.peer.upload(self.session, images.encode(picture, kind))
            self.assertEqual((image.size.height, image.size.width), (90, 120), kind)

    def test_a_session_lists_its_images_and_ends(self):
        request = self.peer.service.GetSessionRequest(session_id=self.session)
        session = self.peer.stub.GetSession(request, timeout=peer.TIMEOUT_S).session
        self.assertEqual([image.image_id for image in session.images], [self.image.image_id])
        self.assertEqual(session.images[0].sha256, self.image.sha256)
        self.peer.delete_session(self.session)
        with self.assertRaises(grpc.RpcError) as raised:
            self.segment([self.centre])
        self.assertEqual(peer.read_failure(raised.exception).reason, "SESSION_NOT_FOUND")


class BadInputTest(PeerCase):
    """Wrong requests get the right error, name their field, and harm nobody else."""

    def test_clicks_outside(self):
        for x, y, field in ((self.width + 1, 1, "x"), (-1, 1, "x"), (1, self.height + 1, "y"),
                            (1, -0.01, "y")):
            with self.subTest(x=x, y=y):
                self.assert_invalid(lambda x=x, y=y: self.segment([self.peer.click(x, y)]),
                                    {"POINT_OUTSIDE_IMAGE"}, f"prompts[0].click.{field}")

    def test_the_second_prompt_is_named(self):
        self.assert_invalid(lambda: self.segment([self.centre, self.peer.click(1e6, 1)]),
                            {"POINT_OUTSIDE_IMAGE"}, "prompts[1].click.x")

    def test_numbers_that_are_none(self):
        for value in (float("nan"), float("inf"), float("-inf")):
            with self.subTest(value=value):
                self.assert_invalid(lambda value=value: self.segment([self.peer.click(1, value)]),
                                    {"INVALID_ARGUMENT_FIELD", "POINT_OUTSIDE_IMAGE"},
                                    "prompts[0].click.y")

    def test_boxes_turned_inside_out(self):
        if not self.peer.info().model.capabilities.box_prompts:
            self.skipTest("the model takes no boxes")
        self.assert_invalid(lambda: self.segment([self.peer.box(9, 1, 5, 8)]),
                            {"INVALID_ARGUMENT_FIELD"}, "prompts[0].box.x1", "prompts[0].box.x0")

    def test_no_prompt_and_an_empty_one(self):
        self.assert_invalid(lambda: self.segment([]), {"INVALID_ARGUMENT_FIELD"}, "prompts")
        self.assert_invalid(lambda: self.segment([self.peer.prompts.Prompt()]),
                            {"INVALID_ARGUMENT_FIELD"}, "prompts[0]", "prompts[0].shape")

    def test_unknown_levels(self):
        for level in (0, 7, 4_000_000_000):
            with self.subTest(level=level):
                self.assert_invalid(
                    lambda level=level: self.segment([self.centre], levels=[1, level]),
                    {"UNKNOWN_LEVEL"}, "options.levels[1]")

    def test_thresholds_out_of_range(self):
        self.assert_invalid(lambda: self.segment([self.centre], min_stability=1.5),
                            {"INVALID_ARGUMENT_FIELD"}, "options.min_stability")
        self.assert_invalid(lambda: self.segment([self.centre], max_duplicate_iou=float("nan")),
                            {"INVALID_ARGUMENT_FIELD"}, "options.max_duplicate_iou")

    def test_unknown_session_and_image(self):
        not_found = grpc.StatusCode.NOT_FOUND
        image_id = self.image.image_id
        self.assert_refused(lambda: self.peer.segment("nobody", image_id, [self.centre]),
                            not_found, {"SESSION_NOT_FOUND"}, ())
        self.assert_refused(lambda: self.peer.upload("nobody", fixture.PHOTO),
                            not_found, {"SESSION_NOT_FOUND"}, ())
        self.assert_refused(lambda: self.peer.segment(self.session, "nothing", [self.centre]),
                            not_found, {"IMAGE_NOT_FOUND"}, ())

    def test_an_oversized_chunk(self):
        limit = self.peer.info().limits.max_chunk_bytes
        self.assert_invalid(
            lambda: self.peer.send([self.peer.header(self.session),
                                    self.peer.chunk(bytes(limit + 1))]),
            {"UPLOAD_PROTOCOL"}, "chunk")

    def test_a_chunk_before_the_header(self):
        self.assert_invalid(
            lambda: self.peer.send([self.peer.chunk(b"x"), self.peer.header(self.session)]),
            {"UPLOAD_PROTOCOL"}, "header", "chunk")

    def test_two_headers(self):
        header = self.peer.header(self.session)
        self.assert_invalid(lambda: self.peer.send([header, header, self.peer.chunk(b"x")]),
                            {"UPLOAD_PROTOCOL"}, "header")

    def test_an_upload_of_nothing(self):
        self.assert_invalid(lambda: self.peer.send([]), {"UPLOAD_PROTOCOL"}, "header")
        self.assert_invalid(lambda: self.peer.upload(self.session, b""),
                            {"UPLOAD_PROTOCOL", "IMAGE_UNDECODABLE"}, "chunk")
        self.assert_invalid(lambda: self.peer.segment_once(b"", [self.centre]),
                            {"INVALID_ARGUMENT_FIELD", "IMAGE_UNDECODABLE"}, "image_bytes", "image")

    def test_files_that_are_no_image(self):
        for name, data in (("truncated JPEG", images.truncated_jpeg()), ("text", b"hello " * 99)):
            with self.subTest(name):
                self.assert_invalid(lambda data=data: self.peer.upload(self.session, data),
                                    {"IMAGE_UNDECODABLE"}, "chunk")
                self.assert_invalid(
                    lambda data=data: self.peer.segment_once(data, [self.centre]),
                    {"IMAGE_UNDECODABLE"}, "image_bytes")

    def test_a_header_that_claims_ten_billion_pixels(self):
        self.assert_invalid(lambda: self.peer.upload(self.session, images.huge_png()),
                            {"IMAGE_TOO_LARGE"}, "chunk")

    def test_a_file_above_the_limit_is_refused_by_its_header(self):
        limit = self.peer.info().limits.max_image_bytes
        self.assert_invalid(
            lambda: self.peer.send([self.peer.header(self.session, total_bytes=limit + 1)]),
            {"IMAGE_TOO_LARGE"}, "header.total_bytes")

    def test_bytes_that_do_not_match_the_header(self):
        self.assert_invalid(
            lambda: self.peer.send([self.peer.header(self.session, total_bytes=5),
                                    self.peer.chunk(b"four")]),
            {"UPLOAD_PROTOCOL"}, "header.total_bytes")
        self.assert_invalid(
            lambda: self.peer.send([self.peer.header(self.session, sha256="0" * 64),
                                    self.peer.chunk(fixture.PHOTO[:1000])]),
            {"DIGEST_MISMATCH", "IMAGE_UNDECODABLE"}, "header.sha256", "chunk")


class ReflectionTest(unittest.TestCase):
    """grpcurl, which knows of the protocol only what the server tells."""

    def grpcurl(self, *arguments):
        program = pathlib.Path(sys.prefix) / "bin" / "grpcurl"
        command = [str(program), "-plaintext", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=GRPCURL_TIMEOUT_S,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_lists_the_service_and_its_calls(self):
        self.assertIn(SERVICE, self.grpcurl(fixture.SERVER, "list").split())
        calls = self.grpcurl(fixture.SERVER, "list", SERVICE).split()
        for call in ("GetServerInfo", "CreateSession", "RenewSession", "ListSessions",
                     "UploadImage", "AttachImage", "Segment", "SegmentOnce", "RefreshLabels",
                     "SegmentVocabulary", "GenerateMasks"):
            self.assertIn(f"{SERVICE}.{call}", calls)

    def test_calls_it(self):
        info = json.loads(self.grpcurl(fixture.SERVER, f"{SERVICE}/GetServerInfo"))
        self.assertTrue(info["model"]["name"])
        self.assertEqual(info["model"]["levels"][0]["level"], 1)

    def test_health_is_served(self):
        answer = json.loads(self.grpcurl("-d", json.dumps({"service": SERVICE}), fixture.SERVER,
                                         "grpc.health.v1.Health/Check"))
        self.assertEqual(answer["status"], "SERVING")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--proto-dir", required=True, type=pathlib.Path, metavar="PATH")
    parser.add_argument("--image", type=pathlib.Path, metavar="FILE", help="else one is drawn")
    arguments, rest = parser.parse_known_args()
    fixture.SERVER = arguments.server
    drawn = images.encode(images.scene(300, 450), "PNG")
    fixture.PHOTO = arguments.image.read_bytes() if arguments.image else drawn
    with tempfile.TemporaryDirectory() as stubs:
        peer.generate_stubs(arguments.proto_dir, stubs)
        unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
