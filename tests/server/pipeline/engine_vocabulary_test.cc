// Regions by words alone: names, order, the map, and what goes wrong.
#include <gmock/gmock.h>

#include <cmath>

#include "model/base/errors.h"
#include "model/image/decode_image.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// See kFakeRegions for what the fake finds.
class EngineVocabularyTest : public EngineFixture {
 protected:
  EngineVocabularyTest() { with_words_ = true; }

  static VocabularyCallRequest Words(ImageReference image, std::vector<std::string> things,
                                     std::vector<std::string> stuff = {},
                                     std::vector<std::string> parts = {}) {
    return {.image = std::move(image),
            .things = {.words = std::move(things)},
            .stuff = {.words = std::move(stuff)},
            .parts = {.words = std::move(parts)}};
  }

  absl::StatusOr<VocabularySummary> SegmentWords(const VocabularyCallRequest& request,
                                                 VocabularyLog& log) {
    engine_->SegmentVocabulary(request, {}, log.Sink());
    return log.Wait();
  }

  void ExpectNothingHeld() {
    for (const char* gauge :
         {"semsam_background_calls_active", "semsam_result_bytes", "semsam_word_bytes"}) {
      EXPECT_EQ(MetricValue(metrics_, gauge), "0") << gauge;
    }
  }
};

std::vector<std::string> Names(const std::vector<VocabularySegment>& segments) {
  std::vector<std::string> names;
  for (const VocabularySegment& segment : segments) names.push_back(segment.name);
  return names;
}

double Sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

TEST_F(EngineVocabularyTest, TheModelsOwnObjectsCanBeLookedForAsThings) {
  vocabulary_ = {.objects = {"nothing here", "left"}};
  Start();
  VocabularyCallRequest request = Words(NewImage(), {});
  request.things.model_vocabulary = true;
  request.options.min_score = 0.5f;
  VocabularyLog log;
  const auto summary = SegmentWords(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::vector<VocabularySegment> segments = log.items();
  ASSERT_THAT(Names(segments), ElementsAre("left", "left"));
  EXPECT_EQ(segments[0].word_index, 1);

  VocabularyLog stuff;
  request.stuff.model_vocabulary = true;
  EXPECT_EQ(ErrorField(SegmentWords(request, stuff).status()), "stuff.model_vocabulary");
}

TEST_F(EngineVocabularyTest, InstancesComeByFallingScoreUnderTheirNames) {
  Start();
  VocabularyCallRequest request = Words(NewImage(), {"nothing here", "Right", "left"});
  request.options.min_score = 0.5f;
  VocabularyLog log;
  const auto summary = SegmentWords(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  const std::vector<VocabularySegment> segments = log.items();
  // The second left is a worse copy; the second right a learned query, no instance.
  ASSERT_THAT(Names(segments), ElementsAre("left", "Right", "left"));
  EXPECT_EQ(segments[0].word_index, 2);
  EXPECT_TRUE(segments[0].is_thing);
  EXPECT_EQ(segments[0].kind, RegionKind::kInstance);
  EXPECT_NEAR(segments[0].score, Sigmoid(4) * Sigmoid(6), 0.01);
  EXPECT_NEAR(segments[1].score, Sigmoid(3) * Sigmoid(6), 0.01);
  EXPECT_EQ(segments[0].mask.size, (ImageSize{64, 80}));
  EXPECT_NEAR(static_cast<double>(segments[0].mask.area), 64 * 40, 64);
  EXPECT_EQ(segments[0].mask.box.x, 0);
  EXPECT_NEAR(segments[1].mask.box.x, 40, 1);
  EXPECT_FALSE(segments[0].mask.data.bytes.empty());
  EXPECT_EQ(segments[0].mask.mask_id, 0);
  EXPECT_EQ(summary->segments_sent, 3);
  EXPECT_EQ(summary->image_size, (ImageSize{64, 80}));
  EXPECT_EQ(segmenter_->vocabulary_runs(), 1);
  EXPECT_EQ(segmenter_->decoded_requests(), 0);
  EXPECT_FALSE(log.panoptic().has_value());
  ExpectNothingHeld();
}

TEST_F(EngineVocabularyTest, DuplicatesOfAWordAreLeftOutOnRequest) {
  Start();
  VocabularyCallRequest request = Words(NewImage(), {"left", "right"});
  request.options.min_score = 0.5f;
  request.options.max_duplicate_iou = 0.8f;
  VocabularyLog log;
  ASSERT_TRUE(SegmentWords(request, log).ok());
  EXPECT_THAT(Names(log.items()), ElementsAre("left", "right"));
  request.options.max_duplicate_iou = 0.95f;
  VocabularyLog loose;
  ASSERT_TRUE(SegmentWords(request, loose).ok());
  EXPECT_THAT(loose.items(), SizeIs(3));
}

TEST_F(EngineVocabularyTest, TheBestPairsAreChosenBeforeTheScoresAreJudged) {
  Start();
  VocabularyCallRequest request = Words(NewImage(), {"left", "right"});
  VocabularyLog all;
  ASSERT_TRUE(SegmentWords(request, all).ok());
  EXPECT_THAT(all.items(), SizeIs(4 * 2)) << "every pair of region and word, as published";
  request.options.max_instances = 2;
  VocabularyLog two;
  ASSERT_TRUE(SegmentWords(request, two).ok());
  EXPECT_THAT(Names(two.items()), ElementsAre("left", "right"));
  request.options.min_score = 1;
  VocabularyLog none;
  const auto summary = SegmentWords(request, none);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->segments_sent, 0);
}

TEST_F(EngineVocabularyTest, PartsAreNamedByTheirOwnList) {
  Start();
  VocabularyCallRequest request =
      Words(NewImage(), {"left"}, {"right"}, {"no part", "right half", "left half"});
  request.options.min_score = 0.6f;
  request.options.max_duplicate_iou = 0.5f;
  VocabularyLog log;
  ASSERT_TRUE(SegmentWords(request, log).ok());
  const std::vector<VocabularySegment> segments = log.items();
  ASSERT_THAT(segments, SizeIs(3)) << "stuff is no instance";
  int parts = 0;
  for (const VocabularySegment& segment : segments) {
    if (segment.kind != RegionKind::kPart) continue;
    ++parts;
    EXPECT_EQ(segment.word_index, segment.name == "right half" ? 1 : 2);
    EXPECT_FALSE(segment.is_thing);
  }
  EXPECT_EQ(parts, 2);
  for (int i = 0; i + 1 < 3; ++i) EXPECT_GE(segments[i].score, segments[i + 1].score);
  VocabularyLog only_parts;
  ASSERT_TRUE(SegmentWords(Words(request.image, {}, {}, {"top half"}), only_parts).ok());
  EXPECT_EQ(only_parts.items().front().kind, RegionKind::kPart);
}

TEST_F(EngineVocabularyTest, SemanticRegionsAreOneAWordAndCoverTheImage) {
  Start();
  VocabularyCallRequest request = Words(NewImage(), {"left", "right"}, {"LEFT", "nowhere"});
  request.options.semantic = true;
  VocabularyLog log;
  ASSERT_TRUE(SegmentWords(request, log).ok());
  ASSERT_THAT(Names(log.items()), ElementsAre("left", "right"));
  int64_t covered = 0;
  for (const VocabularySegment& segment : log.items()) {
    EXPECT_EQ(segment.kind, RegionKind::kSemantic);
    EXPECT_EQ(segment.score, 0);
    EXPECT_TRUE(segment.is_thing);
    covered += segment.mask.area;
  }
  EXPECT_EQ(covered, 64 * 80);
  EXPECT_EQ(segmenter_->encoded_terms(), 3) << "LEFT is left, and a thing";
}

TEST_F(EngineVocabularyTest, ThePanopticMapComesLastWithItsTable) {
  Start();
  VocabularyCallRequest request = Words(NewImage(), {"left"}, {"right"});
  request.options.panoptic = true;
  request.options.resolution = MaskResolution::kNetwork;
  VocabularyLog log;
  const auto summary = SegmentWords(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_THAT(log.items(), IsEmpty()) << "only the map was asked for";
  ASSERT_TRUE(log.panoptic().has_value());
  const PanopticPicture picture = *log.panoptic();
  EXPECT_EQ(picture.size, (ImageSize{256, 320}));
  ASSERT_GE(picture.entries.size(), 2);
  const auto decoded = DecodeImage(picture.png, {});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  const auto id_at = [&](int y, int x) {
    const uint8_t* pixel = decoded->row(y) + 3 * x;
    return pixel[0] + 256 * pixel[1] + 65536 * pixel[2];
  };
  const auto entry_of = [&](int id) {
    for (const PanopticEntry& entry : picture.entries) {
      if (entry.id == id) return entry;
    }
    return PanopticEntry{};
  };
  EXPECT_EQ(entry_of(id_at(200, 40)).name, "left");
  EXPECT_TRUE(entry_of(id_at(200, 40)).is_thing);
  EXPECT_EQ(entry_of(id_at(200, 280)).name, "right");
  EXPECT_FALSE(entry_of(id_at(200, 280)).is_thing);
  EXPECT_EQ(entry_of(id_at(200, 280)).word_index, 0);
  EXPECT_EQ(summary->segments_sent, 0);
}

TEST_F(EngineVocabularyTest, AMapThatFitsNoMessageIsRefusedBeforeAnythingIsSent) {
  Start();
  VocabularyCallRequest request = Words(NewImage(), {"left"}, {"right"});
  request.options.panoptic = true;
  request.options.instances = true;
  VocabularyLog log;
  engine_->SegmentVocabulary(request, {}, log.Sink(/*max_item_bytes=*/100));
  const absl::Status status = log.Wait().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ErrorField(status), "options.resolution");
  EXPECT_EQ(ErrorReason(status), reason::kLimitExceeded);
  EXPECT_THAT(log.items(), IsEmpty());
  ExpectNothingHeld();
}

TEST_F(EngineVocabularyTest, ModelsSayWhatTheyCannot) {
  with_words_ = false;
  Start();
  const ImageReference image = NewImage();
  const auto field = [&](const VocabularyCallRequest& request) {
    VocabularyLog log;
    const absl::Status status = SegmentWords(request, log).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorReason(status), reason::kCapabilityMissing);
    return ErrorField(status);
  };
  EXPECT_EQ(field(Words(image, {"dog"})), "things");
  EXPECT_EQ(field(Words(image, {}, {"sky"})), "stuff");
  EXPECT_EQ(field(Words(image, {}, {}, {"head"})), "parts");
}

TEST_F(EngineVocabularyTest, BadRequestsNameTheirField) {
  options_.words.max_words = 5;
  options_.word_buffer_bytes = WordBytes(10, 512);
  Start();
  const ImageReference image = NewImage();
  struct Case {
    const char* field;
    std::function<void(VocabularyCallRequest&)> spoil;
  };
  const Case cases[] = {
      {"things", [](auto& r) { r.things.words.clear(); }},
      {"things.words[1]", [](auto& r) { r.things.words.push_back(" "); }},
      {"things.words[1]", [](auto& r) { r.things.words.push_back("\xff"); }},
      {"things.words[1]", [](auto& r) { r.things.words.push_back(std::string(65, 'x')); }},
      {"things.words", [](auto& r) { r.things.words.resize(6, "dog"); }},
      {"stuff.words[0]", [](auto& r) { r.stuff.words = {""}; }},
      {"stuff.words", [](auto& r) { r.stuff.words.resize(5, "sky"); }},
      {"parts.words[0]", [](auto& r) { r.parts.words = {std::string(10240, 'x')}; }},
      {"parts.words", [](auto& r) { r.parts.words.resize(6, "head"); }},
      {"options.semantic",
       [](auto& r) {
         r.parts.words = std::exchange(r.things.words, {});
         r.options.semantic = true;
       }},
      {"options.panoptic",
       [](auto& r) {
         r.parts.words = std::exchange(r.things.words, {});
         r.options.panoptic = true;
       }},
      {"options.max_instances", [](auto& r) { r.options.max_instances = 1001; }},
      {"options.min_score", [](auto& r) { r.options.min_score = NAN; }},
      {"options.max_duplicate_iou", [](auto& r) { r.options.max_duplicate_iou = 1.1f; }},
      {"options.object_threshold", [](auto& r) { r.options.object_threshold = -0.1f; }},
      {"options.overlap_threshold", [](auto& r) { r.options.overlap_threshold = 2; }},
      {"options.temperature", [](auto& r) { r.options.temperature = -1; }},
      {"options.temperature", [](auto& r) { r.options.temperature = INFINITY; }},
      {"options.encoding", [](auto& r) { r.options.encoding = MaskEncoding::kLogits; }},
  };
  for (const Case& test : cases) {
    VocabularyCallRequest request = Words(image, {"dog"});
    test.spoil(request);
    VocabularyLog log;
    const absl::Status status = SegmentWords(request, log).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << test.field;
    EXPECT_EQ(ErrorField(status), test.field) << status;
  }
  EXPECT_EQ(segmenter_->vocabulary_runs(), 0);
  EXPECT_EQ(segmenter_->encoded_terms(), 0);
  VocabularyCallRequest request = Words(image, {"dog"});
  request.options.temperature = 0;
  request.options.semantic = true;
  VocabularyLog log;
  EXPECT_TRUE(SegmentWords(request, log).ok()) << "plain scores";
}

TEST_F(EngineVocabularyTest, AClickGoesBeforeARunThatWaits) {
  Start();
  const ImageReference image = NewImage();
  vocabularies_.Shut();
  VocabularyLog running;
  engine_->SegmentVocabulary(Words(image, {"left"}), {}, running.Sink());
  vocabularies_.WaitForCalls(1);
  VocabularyLog waiting;
  engine_->SegmentVocabulary(Words(image, {"left"}), {}, waiting.Sink());
  decodes_.Shut();
  SegmentLog click;
  engine_->Segment(ClickOn(image), {}, click.Sink());
  vocabularies_.Open();
  decodes_.WaitForCalls(1);
  EXPECT_EQ(segmenter_->vocabulary_runs(), 1);
  decodes_.Open();
  EXPECT_TRUE(click.Wait().ok());
  EXPECT_TRUE(waiting.Wait().ok());
  EXPECT_TRUE(running.Wait().ok());
}

TEST_F(EngineVocabularyTest, ACancelledRunEndsAtOnceOrAtItsNextStep) {
  Start();
  const ImageReference image = NewImage();
  vocabularies_.Shut();
  auto flag = std::make_shared<CancelFlag>();
  VocabularyLog running;
  engine_->SegmentVocabulary(Words(image, {"left"}), {.cancel = flag}, running.Sink());
  vocabularies_.WaitForCalls(1);
  VocabularyLog waiting;
  engine_->SegmentVocabulary(Words(image, {"left"}), {.cancel = flag}, waiting.Sink());
  flag->Cancel();
  engine_->Tick();
  EXPECT_EQ(waiting.Wait().status().code(), absl::StatusCode::kCancelled);
  vocabularies_.Open();
  EXPECT_EQ(running.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(running.items(), IsEmpty());
  EXPECT_EQ(segmenter_->vocabulary_runs(), 1);
  ExpectNothingHeld();
}

TEST_F(EngineVocabularyTest, ResultsThatCannotBeHeldAreRefused) {
  options_.result_buffer_bytes = 1000;
  Start();
  VocabularyLog log;
  const absl::Status status = SegmentWords(Words(NewImage(), {"left"}), log).status();
  EXPECT_EQ(ErrorField(status), "options.resolution");
  EXPECT_EQ(ErrorReason(status), reason::kLimitExceeded);
  ExpectNothingHeld();
}

TEST_F(EngineVocabularyTest, WhatWaitsForASlowReaderStaysAccountedFor) {
  mask_bytes_ = size_t{1} << 20;  // each fills the reader's window
  Start();
  const ImageReference image = NewImage();
  vocabularies_.Shut();
  auto flag = std::make_shared<CancelFlag>();
  VocabularyLog log;
  auto handle =
      engine_->SegmentVocabulary(Words(image, {"left", "right"}), {.cancel = flag}, log.Sink());
  vocabularies_.WaitForCalls(1);
  const double whole = std::stod(MetricValue(metrics_, "semsam_result_bytes"));
  vocabularies_.Open();
  log.WaitForItems(1);
  const double waiting = std::stod(MetricValue(metrics_, "semsam_result_bytes"));
  EXPECT_GT(waiting, 0);
  EXPECT_LT(waiting, whole / 10) << "run lengths, and the model's answer no more";
  flag->Cancel();
  handle->Wake();
  EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(log.items(), SizeIs(1));
  ExpectNothingHeld();
}

TEST_F(EngineVocabularyTest, AnImageWhoseEmbeddingWasEvictedIsEncodedAgain) {
  options_.cache_bytes = 0;
  Start();
  const ImageReference image = NewImage();
  engine_->Tick();
  VocabularyLog log;
  const auto summary = SegmentWords(Words(image, {"left"}), log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_TRUE(summary->timings.encode.has_value());
  EXPECT_EQ(segmenter_->encoded_images(), 2);
}

TEST_F(EngineVocabularyTest, AFailureOfTheModelIsTheCallers) {
  int calls = 0;
  fake_options_.on_vocabulary = [&calls] {
    return ++calls == 1 ? absl::InternalError("device fault") : absl::OkStatus();
  };
  Start();
  const VocabularyCallRequest request = Words(NewImage(), {"left"});
  VocabularyLog failed;
  EXPECT_EQ(SegmentWords(request, failed).status().code(), absl::StatusCode::kInternal);
  VocabularyLog log;
  EXPECT_TRUE(SegmentWords(request, log).ok());
}

}  // namespace
}  // namespace semsam
