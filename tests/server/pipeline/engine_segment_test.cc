// What a segment call answers: order, thresholds, errors by field.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "model/base/errors.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EngineSegmentTest : public EngineFixture {};

std::vector<std::pair<int, int>> PromptsAndLevels(const std::vector<SegmentMask>& masks) {
  std::vector<std::pair<int, int>> order;
  for (const SegmentMask& mask : masks) order.emplace_back(mask.prompt_index, mask.level);
  return order;
}

TEST_F(EngineSegmentTest, AClickGetsAMaskALevel) {
  Start();
  SegmentLog log;
  const auto summary = Segment(ClickOn(NewImage()), log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::vector<SegmentMask> masks = log.masks();
  ASSERT_EQ(masks.size(), 6);
  int64_t last_area = std::numeric_limits<int64_t>::max();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(masks[i].level, i + 1);
    EXPECT_EQ(masks[i].size, (ImageSize{64, 80}));
    EXPECT_LT(masks[i].area, last_area) << "discs shrink with the level";
    EXPECT_GT(masks[i].area, 0);
    last_area = masks[i].area;
  }
  EXPECT_EQ(summary->masks_sent, 6);
  EXPECT_EQ(summary->masks_filtered, 0);
  EXPECT_EQ(summary->image_size, (ImageSize{64, 80}));
  EXPECT_TRUE(summary->timings.decode.has_value());
  EXPECT_FALSE(summary->timings.encode.has_value()) << "the embedding was cached";
}

TEST_F(EngineSegmentTest, TheClickReachesTheModelRelativeToTheImage) {
  Start();
  SegmentLog log;
  SegmentRequest request{.image = NewImage(80, 64), .prompts = {Click(20, 48)}};
  request.options.levels = {3};
  ASSERT_TRUE(Segment(request, log).ok());
  const PixelBox box = log.masks()[0].box;
  EXPECT_NEAR(box.x + box.width / 2.0, 20, 2);
  EXPECT_NEAR(box.y + box.height / 2.0, 48, 2);
}

TEST_F(EngineSegmentTest, NormalizedAndPixelPromptsMeanTheSame) {
  Start();
  const ImageReference image = NewImage(80, 64);
  SegmentLog pixels;
  ASSERT_TRUE(Segment({.image = image, .prompts = {Click(20, 48)}}, pixels).ok());
  SegmentLog normalized;
  UserPrompt prompt = Click(0.25f, 0.75f);
  prompt.frame = CoordinateFrame::kNormalized;
  ASSERT_TRUE(Segment({.image = image, .prompts = {prompt}}, normalized).ok());
  for (int i = 0; i < 6; ++i) EXPECT_EQ(pixels.masks()[i].box, normalized.masks()[i].box);
}

TEST_F(EngineSegmentTest, MasksComePromptMajorAndByAscendingLevel) {
  Start();
  SegmentLog log;
  SegmentRequest request{.image = NewImage(),
                         .prompts = {Click(10, 10, "first"), Click(70, 50, "second")}};
  request.options.levels = {5, 2};
  ASSERT_TRUE(Segment(request, log).ok());
  EXPECT_THAT(PromptsAndLevels(log.masks()),
              ElementsAre(std::pair{0, 2}, std::pair{0, 5}, std::pair{1, 2}, std::pair{1, 5}));
  EXPECT_EQ(log.masks()[1].prompt_tag, "first");
  EXPECT_EQ(log.masks()[2].prompt_tag, "second");
}

TEST_F(EngineSegmentTest, MasksBelowThePredictedIouAreNeverUpsampled) {
  Start();
  SegmentLog log;
  SegmentRequest request = ClickOn(NewImage());
  request.options.min_predicted_iou = 0.75f;  // the fake gives 0.9, 0.8, 0.7, ...
  const auto summary = Segment(request, log);
  EXPECT_THAT(PromptsAndLevels(log.masks()), ElementsAre(std::pair{0, 1}, std::pair{0, 2}));
  EXPECT_EQ(summary->masks_sent, 2);
  EXPECT_EQ(summary->masks_filtered, 4);
  EXPECT_EQ(stages_->thresholded_masks(), 2);
}

TEST_F(EngineSegmentTest, UnstableMasksAreLeftOut) {
  Start();
  SegmentLog all;
  SegmentRequest request = ClickOn(NewImage());
  ASSERT_TRUE(Segment(request, all).ok());
  const float bound = all.masks()[2].stability;
  ASSERT_LT(all.masks()[5].stability, bound) << "small discs are less stable";
  SegmentLog log;
  request.options.min_stability = bound;
  const auto summary = Segment(request, log);
  for (const SegmentMask& mask : log.masks()) EXPECT_GE(mask.stability, bound);
  EXPECT_GT(summary->masks_filtered, 0);
  EXPECT_EQ(summary->masks_sent + summary->masks_filtered, 6);
}

TEST_F(EngineSegmentTest, NearCopiesOfABetterMaskAreLeftOut) {
  Start();
  SegmentLog log;
  SegmentRequest request = ClickOn(NewImage());
  request.prompts.push_back(Click(10, 10));
  // Radii go as 1, 1/2, 1/3, 1/4, ...: levels 1 and 2 overlap by 1/4, 3 and 4 by
  // 9/16, 4 and 5 by 16/25.
  request.options.max_duplicate_iou = 0.5f;
  const auto summary = Segment(request, log);
  ASSERT_TRUE(summary.ok());
  EXPECT_GT(summary->masks_filtered, 0);
  EXPECT_EQ(summary->masks_sent + summary->masks_filtered, 12);
  const auto order = PromptsAndLevels(log.masks());
  EXPECT_THAT(order, ::testing::WhenSorted(::testing::ContainerEq(order)));
  EXPECT_THAT(order, ::testing::Contains(std::pair{1, 1}));
}

TEST_F(EngineSegmentTest, TheNetworkResolutionIsOffered) {
  Start();
  SegmentLog log;
  SegmentRequest request = ClickOn(NewImage(80, 64));
  request.options.resolution = MaskResolution::kNetwork;
  ASSERT_TRUE(Segment(request, log).ok());
  EXPECT_EQ(log.masks()[0].size, (ImageSize{256, 320}));
}

TEST_F(EngineSegmentTest, LogitsComeWithWhatTheirMasksAre) {
  Start();
  const ImageReference image = NewImage(80, 64);
  SegmentRequest request = ClickOn(image);
  SegmentLog masks;
  ASSERT_TRUE(Segment(request, masks).ok());
  request.options.encoding = MaskEncoding::kLogits;
  SegmentLog logits;
  ASSERT_TRUE(Segment(request, logits).ok());
  ASSERT_EQ(logits.masks().size(), 6);
  for (size_t i = 0; i < 6; ++i) {
    const SegmentMask mask = logits.masks()[i];
    EXPECT_EQ(mask.data.encoding, MaskEncoding::kLogits);
    EXPECT_EQ(mask.size, (ImageSize{64, 80})) << "a quarter of the network frame";
    EXPECT_EQ(mask.data.logits.cell_width, 1);
    EXPECT_EQ(mask.data.logits.halves.size(), 64 * 80 * 2);
    EXPECT_EQ(mask.size_bytes(), 64 * 80 * 2);
    EXPECT_EQ(mask.area, masks.masks()[i].area);
    EXPECT_EQ(mask.box, masks.masks()[i].box);
    EXPECT_EQ(mask.stability, masks.masks()[i].stability);
  }
  EXPECT_NE(logits.masks()[0].data.logits.halves, logits.masks()[5].data.logits.halves);
  // The same, less those that are near copies.
  request.options.max_duplicate_iou = 0.5f;
  SegmentLog kept;
  ASSERT_TRUE(Segment(request, kept).ok());
  ASSERT_LT(kept.masks().size(), 6);
  for (const SegmentMask& mask : kept.masks()) {
    EXPECT_EQ(mask.data.logits, logits.masks()[mask.level - 1].data.logits);
  }
}

TEST_F(EngineSegmentTest, AnInlineImageNeedsNoSession) {
  Start();
  SegmentLog log;
  const auto summary = Segment({.image = FakeImageBytes(80, 64), .prompts = {Click(40, 32)}}, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->masks_sent, 6);
  EXPECT_TRUE(summary->timings.encode.has_value());
  SegmentLog again;
  ASSERT_TRUE(Segment({.image = FakeImageBytes(80, 64), .prompts = {Click(40, 32)}}, again).ok());
  EXPECT_EQ(segmenter_->encoded_images(), 1) << "the second found the embedding";
}

TEST_F(EngineSegmentTest, BadPromptsAndOptionsNameTheirField) {
  Start();
  const ImageReference image = NewImage(80, 64);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    const char* field;
    std::string_view reason;
    std::function<void(SegmentRequest&)> spoil;
  };
  const auto box = [](float x0, float y0, float x1, float y1) {
    return UserPrompt{.shape = UserBox{x0, y0, x1, y1}};
  };
  const Case cases[] = {
      {"prompts", reason::kInvalidArgument, [](auto& r) { r.prompts.clear(); }},
      {"prompts", reason::kLimitExceeded, [](auto& r) { r.prompts.resize(65, r.prompts[0]); }},
      {"prompts[0]", reason::kInvalidArgument, [](auto& r) { r.prompts[0].shape = {}; }},
      {"prompts[0].tag", reason::kLimitExceeded,
       [](auto& r) { r.prompts[0].tag = std::string(65, 'x'); }},
      {"prompts[1].click.x", reason::kPointOutsideImage,
       [](auto& r) { r.prompts.push_back(Click(80.5f, 1)); }},
      {"prompts[0].click.y", reason::kPointOutsideImage,
       [](auto& r) { r.prompts[0] = Click(1, -0.01f); }},
      {"prompts[0].click.y", reason::kInvalidArgument,
       [nan](auto& r) { r.prompts[0] = Click(1, nan); }},
      {"prompts[0].click.x", reason::kInvalidArgument,
       [](auto& r) { r.prompts[0] = Click(INFINITY, 1); }},
      {"prompts[0].click.x", reason::kPointOutsideImage,
       [](auto& r) { r.prompts[0].frame = CoordinateFrame::kNormalized; }},
      {"prompts[0].box.x1", reason::kInvalidArgument,
       [box](auto& r) { r.prompts[0] = box(5, 5, 5, 9); }},
      {"prompts[0].box.y1", reason::kInvalidArgument,
       [box](auto& r) { r.prompts[0] = box(5, 5, 9, 4); }},
      {"prompts[0].box.x1", reason::kPointOutsideImage,
       [box](auto& r) { r.prompts[0] = box(5, 5, 81, 9); }},
      {"prompts[0].box.y0", reason::kInvalidArgument,
       [box, nan](auto& r) { r.prompts[0] = box(5, nan, 8, 9); }},
      {"options.levels[1]", reason::kUnknownLevel,
       [](auto& r) {
         r.options.levels = {1, 7};
       }},
      {"options.levels[0]", reason::kUnknownLevel, [](auto& r) { r.options.levels = {0}; }},
      {"options.levels[0]", reason::kUnknownLevel,
       [](auto& r) { r.options.levels = {4294967297}; }},
      {"options.levels[2]", reason::kInvalidArgument,
       [](auto& r) {
         r.options.levels = {1, 2, 1};
       }},
      {"options.min_predicted_iou", reason::kInvalidArgument,
       [nan](auto& r) { r.options.min_predicted_iou = nan; }},
      {"options.min_stability", reason::kInvalidArgument,
       [nan](auto& r) { r.options.min_stability = nan; }},
      {"options.min_stability", reason::kInvalidArgument,
       [](auto& r) { r.options.min_stability = 1.5f; }},
      {"options.max_duplicate_iou", reason::kInvalidArgument,
       [](auto& r) { r.options.max_duplicate_iou = -0.1f; }},
      {"options.min_region_area_px", reason::kInvalidArgument,
       [](auto& r) {
         r.options.encoding = MaskEncoding::kLogits;
         r.options.min_region_area_px = 1;
       }},
  };
  for (const Case& test : cases) {
    SegmentRequest request = ClickOn(image);
    test.spoil(request);
    SegmentLog log;
    const absl::Status status = Segment(request, log).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << test.field;
    EXPECT_EQ(ErrorField(status), test.field) << status;
    EXPECT_EQ(ErrorReason(status), test.reason) << status;
    EXPECT_THAT(log.masks(), IsEmpty());
  }
  EXPECT_EQ(segmenter_->decoded_requests(), 0) << "the model saw none of them";
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn(image), log).ok()) << "and the engine lives";
}

TEST_F(EngineSegmentTest, TheEdgesOfTheImageAreInside) {
  Start();
  const ImageReference image = NewImage(80, 64);
  SegmentLog log;
  EXPECT_TRUE(
      Segment({.image = image,
               .prompts = {Click(0, 0), Click(80, 64), UserPrompt{.shape = UserBox{0, 0, 80, 64}}}},
              log)
          .ok());
}

TEST_F(EngineSegmentTest, UnknownSessionsAndImagesAreNotFound) {
  Start();
  const ImageReference image = NewImage();
  SegmentLog log;
  EXPECT_EQ(ErrorReason(Segment(ClickOn({"nobody", image.image_id}), log).status()),
            reason::kSessionNotFound);
  SegmentLog other;
  EXPECT_EQ(ErrorReason(Segment(ClickOn({image.session_id, "nothing"}), other).status()),
            reason::kImageNotFound);
}

TEST_F(EngineSegmentTest, UndecodableInlineBytesNameTheirField) {
  Start();
  for (const char* bytes : {"", "no picture"}) {
    SegmentLog log;
    const absl::Status status =
        Segment({.image = std::string(bytes), .prompts = {Click(1, 1)}}, log).status();
    EXPECT_EQ(ErrorField(status), "image_bytes") << status;
  }
  SegmentLog log;
  const absl::Status status =
      Segment({.image = FakeImageBytes(80, 64), .prompts = {Click(81, 1)}}, log).status();
  EXPECT_EQ(ErrorField(status), "prompts[0].click.x") << status;
}

TEST_F(EngineSegmentTest, AModelWithoutBoxesSaysSo) {
  fake_options_.config = Config();
  EngineOptions options;
  ModelConfig config = Config();
  config.capabilities.box_prompts = false;
  const UserPrompt prompt{.shape = UserBox{1, 1, 2, 2}};
  const absl::Status status = ValidatePrompts({prompt}, config, options.prompts);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), reason::kCapabilityMissing);
}

TEST_F(EngineSegmentTest, AFailureOfTheModelIsTheCallersAndTheEngineLives) {
  int calls = 0;
  fake_options_.on_decode = [&calls] {
    return ++calls == 1 ? absl::InternalError("device fault") : absl::OkStatus();
  };
  Start();
  const ImageReference image = NewImage();
  SegmentLog failed;
  EXPECT_EQ(Segment(ClickOn(image), failed).status().code(), absl::StatusCode::kInternal);
  SegmentLog log;
  EXPECT_TRUE(Segment(ClickOn(image), log).ok());
}

TEST_F(EngineSegmentTest, TheOptionsMustHoldTheLargestRequest) {
  options_.max_segment_queries = 64 * 6 - 1;
  EXPECT_EQ(ErrorField(options_.Validate(Config())), "max_segment_queries");
  options_ = {};
  options_.upload_buffer_bytes = 1;
  EXPECT_EQ(ErrorField(options_.Validate(Config())), "upload_buffer_bytes");
  options_ = {};
  options_.sessions.max_sessions = 0;
  EXPECT_EQ(ErrorField(options_.Validate(Config())), "sessions.max_sessions");
}

}  // namespace
}  // namespace semsam
