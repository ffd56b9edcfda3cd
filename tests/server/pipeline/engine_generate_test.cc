// Everything in one image: chunks, order, tree, and what goes in between.
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "model/base/errors.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class EngineGenerateTest : public EngineFixture {
 protected:
  // The discs of level 5 are small: those of a grid of three do not touch.
  static GenerateRequest SmallDiscs(ImageReference image, int side = 3) {
    GenerateRequest request{.image = std::move(image)};
    request.options.points_per_side = side;
    request.options.levels = {5};
    request.options.min_predicted_iou = 0.3f;
    request.options.min_stability = 0.5f;
    request.options.min_region_area_px = 0;
    return request;
  }

  absl::StatusOr<GenerateSummary> Generate(const GenerateRequest& request, GenerateLog& log) {
    engine_->GenerateMasks(request, {}, log.Sink());
    return log.Wait();
  }

  void ExpectNothingHeld() {
    for (const char* gauge : {"semsam_background_calls_active", "semsam_result_bytes",
                              "semsam_word_bytes", "semsam_queue_depth{queue=\"background\"}"}) {
      EXPECT_EQ(MetricValue(metrics_, gauge), "0") << gauge;
    }
  }
};

std::vector<int> PromptIndices(const std::vector<SegmentMask>& masks) {
  std::vector<int> indices;
  for (const SegmentMask& mask : masks) indices.push_back(mask.prompt_index);
  return indices;
}

TEST_F(EngineGenerateTest, AGridFindsADiscAPointChunkByChunk) {
  Start();
  GenerateRequest request = SmallDiscs(NewImage());
  request.options.points_per_chunk = 4;
  GenerateLog log;
  const auto summary = Generate(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_THAT(PromptIndices(log.items()), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(segmenter_->decoded_prompts(), ElementsAre(4, 4, 1));
  std::vector<std::pair<int, int>> progress;
  for (const CallProgress& one : log.progress()) {
    EXPECT_EQ(one.stage, CallProgress::Stage::kPoints);
    progress.emplace_back(one.done, one.total);
  }
  EXPECT_THAT(progress, ElementsAre(std::pair{4, 9}, std::pair{8, 9}, std::pair{9, 9}));
  const SegmentMask middle = log.items()[5];  // right of the centre
  EXPECT_EQ(middle.level, 5);
  EXPECT_EQ(middle.size, (ImageSize{64, 80}));
  EXPECT_NEAR(middle.box.x + middle.box.width / 2.0, 80 * 5 / 6.0, 1.5);
  EXPECT_NEAR(middle.box.y + middle.box.height / 2.0, 32, 1.5);
  EXPECT_NEAR(middle.predicted_iou, 0.5, 1e-6);
  EXPECT_EQ(summary->masks_sent, 9);
  EXPECT_EQ(summary->masks_filtered, 0);
  EXPECT_THAT(summary->parents, ElementsAre(-1, -1, -1, -1, -1, -1, -1, -1, -1));
  EXPECT_EQ(summary->image_size, (ImageSize{64, 80}));
  ExpectNothingHeld();
}

TEST_F(EngineGenerateTest, MasksOfTheNetworksResolutionAreOffered) {
  Start();
  GenerateRequest request = SmallDiscs(NewImage());
  request.options.resolution = MaskResolution::kNetwork;
  GenerateLog log;
  ASSERT_TRUE(Generate(request, log).ok());
  EXPECT_EQ(log.items()[0].size, (ImageSize{256, 320}));
}

TEST_F(EngineGenerateTest, NestedMasksMakeATree) {
  Start();
  GenerateRequest request = SmallDiscs(NewImage(), /*side=*/1);
  request.options.levels = {};
  request.options.min_region_area_px = 10;
  request.options.nms_iou = 0.8f;
  GenerateLog log;
  const auto summary = Generate(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  ASSERT_THAT(log.items(), SizeIs(6));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(log.items()[i].level, i + 1) << "by falling score";
  EXPECT_THAT(summary->parents, ElementsAre(-1, 0, 1, 2, 3, 4));
}

TEST_F(EngineGenerateTest, TheDefaultsAreThePublishedOnes) {
  Start();
  GenerateLog log;
  const auto summary = Generate({.image = NewImage()}, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::vector<int> chunks = segmenter_->decoded_prompts();
  EXPECT_THAT(chunks, SizeIs(1024 / 64));
  EXPECT_THAT(chunks, Each(64));
  EXPECT_EQ(summary->masks_sent + summary->masks_filtered, 1024 * 6);
  for (const SegmentMask& mask : log.items()) EXPECT_EQ(mask.level, 1) << "the others score less";
  GenerateOptions joint;
  joint.joint_attention = true;
  EXPECT_EQ(joint.chunk(), 200);
}

TEST_F(EngineGenerateTest, ValuesAreProjectedOnceForALargeGridAndLetGoOf) {
  Start();
  const ImageReference image = NewImage();
  GenerateLog small;
  ASSERT_TRUE(Generate(SmallDiscs(image, /*side=*/22), small).ok());
  EXPECT_EQ(segmenter_->projections(), 0) << "484 points";
  GenerateRequest request = SmallDiscs(image, /*side=*/23);
  request.options.points_per_chunk = 200;
  GenerateLog large;
  ASSERT_TRUE(Generate(request, large).ok());
  EXPECT_EQ(segmenter_->projections(), 1);
  EXPECT_EQ(segmenter_->projected_requests(), 3);
  // The model's thread lets go of its last job when it takes the next.
  SegmentLog click;
  ASSERT_TRUE(Segment(ClickOn(image), click).ok());
  EXPECT_EQ(segmenter_->projections_alive(), 0);
}

TEST_F(EngineGenerateTest, WithoutMemoryForProjectedValuesItRunsOnThePlainOnes) {
  fake_options_.embedding_bytes = 1000;  // projected: 2000
  GenerateRequest request = SmallDiscs({}, /*side=*/23);
  const ImageGeometry geometry{.original = {64, 80}, .network = {256, 320}, .padded = {256, 320}};
  options_.result_buffer_bytes = GenerateBytes(Config(), geometry, request.options) + 1999;
  Start();
  request.image = NewImage();
  GenerateLog log;
  ASSERT_TRUE(Generate(request, log).ok());
  EXPECT_EQ(segmenter_->projections(), 1);
  EXPECT_EQ(segmenter_->projected_requests(), 0);
  ExpectNothingHeld();
}

TEST_F(EngineGenerateTest, AClickWaitsForOneChunkAtMost) {
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  GenerateRequest request = SmallDiscs(image, /*side=*/2);
  request.options.points_per_chunk = 2;
  GenerateLog log;
  engine_->GenerateMasks(request, {}, log.Sink());
  decodes_.WaitForCalls(1);
  SegmentLog click;
  engine_->Segment(ClickOn(image), {}, click.Sink());
  decodes_.Open();
  EXPECT_TRUE(click.Wait().ok());
  EXPECT_TRUE(log.Wait().ok());
  EXPECT_THAT(segmenter_->decoded_prompts(), ElementsAre(2, 1, 2));
}

TEST_F(EngineGenerateTest, CancellationIsHonouredBetweenChunks) {
  Start();
  GenerateRequest request = SmallDiscs(NewImage());
  request.options.points_per_chunk = 1;
  decodes_.Shut();
  auto flag = std::make_shared<CancelFlag>();
  GenerateLog log;
  engine_->GenerateMasks(request, {.cancel = flag}, log.Sink());
  decodes_.WaitForCalls(1);
  flag->Cancel();
  decodes_.Open();
  EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
  EXPECT_THAT(log.items(), IsEmpty());
  ExpectNothingHeld();
}

TEST_F(EngineGenerateTest, MasksAreLabelledAndKeptForNewWords) {
  with_words_ = true;
  Start();
  GenerateRequest request = SmallDiscs(NewImage(), /*side=*/2);
  request.labels.objects = UserWords{.words = {"level 5", "dog"}};
  request.labels.max_labels = 1;
  GenerateLog log;
  const auto summary = Generate(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  ASSERT_THAT(log.items(), SizeIs(4));
  std::set<uint64_t> ids;
  for (const SegmentMask& mask : log.items()) {
    ASSERT_THAT(mask.labels.objects, SizeIs(1));
    EXPECT_EQ(mask.labels.objects[0].name, "level 5");
    ids.insert(mask.mask_id);
  }
  EXPECT_THAT(ids, SizeIs(4));
  EXPECT_EQ(ids.count(0), 0);
  EXPECT_EQ(log.progress().front().stage, CallProgress::Stage::kWords);
  const int decodes = segmenter_->decoded_requests();
  RefreshLog refreshed;
  engine_->RefreshLabels({.session_id = request.image.session_id,
                          .mask_ids = {ids.begin(), ids.end()},
                          .labels = {.parts = UserWords{.words = {"part 5"}}}},
                         {}, refreshed.Done());
  const auto labels = refreshed.Wait();
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_NEAR(labels->masks[3].parts[0].logit, 10, 1e-4);
  EXPECT_EQ(segmenter_->decoded_requests(), decodes);
}

TEST_F(EngineGenerateTest, ASlowReaderPausesTheCall) {
  mask_bytes_ = 1000;
  Start();
  GenerateLog log;
  const auto handle = engine_->GenerateMasks(SmallDiscs(NewImage()), {}, log.Sink(3000));
  log.WaitForItems(3);
  EXPECT_EQ(log.done_calls(), 0);
  handle->Consumed(3000);
  log.WaitForItems(6);
  EXPECT_EQ(log.done_calls(), 0);
  handle->Consumed(3000);
  EXPECT_TRUE(log.Wait().ok());
  EXPECT_THAT(log.items(), SizeIs(9));
}

TEST_F(EngineGenerateTest, BadOptionsNameTheirField) {
  Start();
  const ImageReference image = NewImage();
  struct Case {
    const char* field;
    std::string_view reason;
    std::function<void(GenerateOptions&)> spoil;
  };
  const Case cases[] = {
      {"options.points_per_side", reason::kLimitExceeded, [](auto& o) { o.points_per_side = 65; }},
      {"options.points_per_side", reason::kLimitExceeded,
       [](auto& o) { o.points_per_side = 4294967295; }},
      {"options.points_per_chunk", reason::kLimitExceeded,
       [](auto& o) { o.points_per_chunk = 257; }},
      {"options.levels[0]", reason::kUnknownLevel, [](auto& o) { o.levels = {7}; }},
      {"options.levels[1]", reason::kInvalidArgument,
       [](auto& o) {
         o.levels = {2, 2};
       }},
      {"options.min_predicted_iou", reason::kInvalidArgument,
       [](auto& o) { o.min_predicted_iou = NAN; }},
      {"options.min_stability", reason::kInvalidArgument, [](auto& o) { o.min_stability = 1.01f; }},
      {"options.stability_offset", reason::kInvalidArgument,
       [](auto& o) { o.stability_offset = -1; }},
      {"options.stability_offset", reason::kInvalidArgument,
       [](auto& o) { o.stability_offset = INFINITY; }},
      {"options.nms_iou", reason::kInvalidArgument, [](auto& o) { o.nms_iou = NAN; }},
      {"options.min_containment", reason::kInvalidArgument,
       [](auto& o) { o.min_containment = 0.5f; }},
      {"options.min_containment", reason::kInvalidArgument,
       [](auto& o) { o.min_containment = 1.5f; }},
      {"options.encoding", reason::kInvalidArgument,
       [](auto& o) { o.encoding = MaskEncoding::kLogits; }},
  };
  for (const Case& test : cases) {
    GenerateRequest request = SmallDiscs(image);
    test.spoil(request.options);
    GenerateLog log;
    const absl::Status status = Generate(request, log).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << test.field;
    EXPECT_EQ(ErrorField(status), test.field) << status;
    EXPECT_EQ(ErrorReason(status), test.reason) << status;
  }
  GenerateRequest request = SmallDiscs(image);
  request.labels.objects = UserWords{.words = {"dog"}};
  GenerateLog log;
  EXPECT_EQ(ErrorField(Generate(request, log).status()), "labels.objects");
  GenerateLog lost;
  EXPECT_EQ(ErrorReason(Generate(SmallDiscs({image.session_id, "x"}), lost).status()),
            reason::kImageNotFound);
  EXPECT_EQ(segmenter_->decoded_requests(), 0);
}

TEST_F(EngineGenerateTest, CallsAndTheirResultsAreBounded) {
  options_.max_background_calls = 2;
  const ImageGeometry geometry{.original = {64, 80}, .network = {256, 320}, .padded = {256, 320}};
  const GenerateRequest sample = SmallDiscs({});
  const int64_t bytes = GenerateBytes(Config(), geometry, sample.options);
  options_.result_buffer_bytes = 2 * bytes;
  Start();
  const ImageReference image = NewImage();
  decodes_.Shut();
  GenerateLog running[2];
  engine_->GenerateMasks(SmallDiscs(image), {}, running[0].Sink());
  EXPECT_EQ(MetricValue(metrics_, "semsam_result_bytes"), std::to_string(bytes));
  GenerateRequest larger = SmallDiscs(image);
  larger.options.levels = {1, 2, 3, 4, 5, 6};
  GenerateLog refused;
  EXPECT_EQ(ErrorReason(Generate(larger, refused).status()), reason::kMemoryFull);
  engine_->GenerateMasks(SmallDiscs(image), {}, running[1].Sink());
  GenerateLog third;
  const absl::Status status = Generate(SmallDiscs(image), third).status();
  EXPECT_EQ(ErrorReason(status), reason::kQueueFull);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  decodes_.Open();
  for (GenerateLog& log : running) EXPECT_TRUE(log.Wait().ok());
  larger.image = NewImage(320, 64, "long");
  larger.options.points_per_side = 64;
  larger.options.points_per_chunk = 256;
  GenerateLog never;
  EXPECT_EQ(ErrorField(Generate(larger, never).status()), "options.points_per_chunk");
  ExpectNothingHeld();
}

TEST_F(EngineGenerateTest, ShutdownEndsARunningCall) {
  Start();
  GenerateRequest request = SmallDiscs(NewImage());
  request.options.points_per_chunk = 1;
  decodes_.Shut();
  GenerateLog log;
  engine_->GenerateMasks(request, {}, log.Sink());
  decodes_.WaitForCalls(1);
  engine_->StartDrain();
  GenerateLog refused;
  EXPECT_EQ(ErrorReason(Generate(request, refused).status()), reason::kDraining);
  decodes_.Open();
  engine_->Shutdown();
  EXPECT_EQ(log.done_calls(), 1);
}

TEST_F(EngineGenerateTest, AnImageWhoseEmbeddingWasEvictedIsEncodedAgain) {
  options_.cache_bytes = 0;
  Start();
  const ImageReference image = NewImage();
  engine_->Tick();
  GenerateLog log;
  ASSERT_TRUE(Generate(SmallDiscs(image), log).ok());
  EXPECT_EQ(segmenter_->encoded_images(), 2);
}

}  // namespace
}  // namespace semsam
