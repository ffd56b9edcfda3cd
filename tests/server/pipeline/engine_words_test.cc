// Words on their way to the model, and labels on their way back.
#include <gmock/gmock.h>

#include <cmath>

#include "model/base/errors.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EngineWordsTest : public EngineFixture {
 protected:
  EngineWordsTest() { with_words_ = true; }

  static UserWords Plain(std::vector<std::string> words) {
    return {.words = std::move(words), .mode = TextMode::kPlain};
  }

  static SegmentRequest LabelledClick(ImageReference image, UserWords objects) {
    SegmentRequest request = ClickOn(std::move(image));
    request.labels.objects = std::move(objects);
    return request;
  }

  absl::StatusOr<RefreshedLabels> Refresh(const std::string& session, std::vector<uint64_t> ids,
                                          LabelOptions labels, int64_t max_bytes = 1 << 20) {
    RefreshLog log;
    engine_->RefreshLabels({.session_id = session,
                            .mask_ids = std::move(ids),
                            .labels = std::move(labels),
                            .max_answer_bytes = max_bytes},
                           {}, log.Done());
    return log.Wait();
  }
};

std::vector<std::string> Names(const std::vector<MaskLabel>& labels) {
  std::vector<std::string> names;
  for (const MaskLabel& label : labels) names.push_back(label.name);
  return names;
}

std::vector<uint64_t> MaskIds(const std::vector<SegmentMask>& masks) {
  std::vector<uint64_t> ids;
  for (const SegmentMask& mask : masks) ids.push_back(mask.mask_id);
  return ids;
}

std::vector<std::pair<int, int>> DoneAndTotal(const std::vector<CallProgress>& progress) {
  std::vector<std::pair<int, int>> numbers;
  for (const CallProgress& one : progress) {
    EXPECT_EQ(one.stage, CallProgress::Stage::kWords);
    numbers.emplace_back(one.done, one.total);
  }
  return numbers;
}

TEST_F(EngineWordsTest, EachMaskGetsTheBestOfEachList) {
  Start();
  SegmentLog log;
  SegmentRequest request =
      LabelledClick(NewImage(), Plain({"level 1", "Level 3", "level 2", "other"}));
  request.labels.parts = Plain({"part 2", "part 3"});
  request.labels.max_labels = 1;
  request.options.levels = {2, 3};
  const auto summary = Segment(request, log);
  ASSERT_TRUE(summary.ok()) << summary.status();
  ASSERT_EQ(log.masks().size(), 2);
  const SegmentMask second = log.masks()[1];
  ASSERT_THAT(Names(second.labels.objects), ElementsAre("Level 3"));
  EXPECT_EQ(second.labels.objects[0].word_index, 1);
  EXPECT_NEAR(second.labels.objects[0].logit, 10, 1e-4);
  EXPECT_NEAR(second.labels.objects[0].score, 1 / (1 + std::exp(-10.0)), 1e-6);
  EXPECT_THAT(Names(second.labels.parts), ElementsAre("part 3"));
  EXPECT_THAT(Names(log.masks()[0].labels.objects), ElementsAre("level 2"));
  EXPECT_TRUE(summary->timings.words.has_value());
}

TEST_F(EngineWordsTest, ThreeLabelsAreTheDefaultAndAScoreCanBeAskedFor) {
  Start();
  const ImageReference image = NewImage();
  const UserWords words = Plain({"a", "b", "c", "d", "level 4"});
  SegmentLog log;
  ASSERT_TRUE(Segment(LabelledClick(image, words), log).ok());
  for (const SegmentMask& mask : log.masks()) {
    ASSERT_EQ(mask.labels.objects.size(), 3);
    EXPECT_GE(mask.labels.objects[0].logit, mask.labels.objects[1].logit);
    EXPECT_GE(mask.labels.objects[1].logit, mask.labels.objects[2].logit);
    EXPECT_THAT(mask.labels.parts, IsEmpty()) << "nobody asked";
  }
  SegmentLog sure;
  SegmentRequest request = LabelledClick(image, words);
  request.labels.min_score = 0.999f;
  request.labels.max_labels = 4000000000u;
  ASSERT_TRUE(Segment(request, sure).ok());
  EXPECT_THAT(Names(sure.masks()[3].labels.objects), ElementsAre("level 4"));
  EXPECT_THAT(sure.masks()[0].labels.objects, IsEmpty());
}

TEST_F(EngineWordsTest, OnlyMasksThatAreSentAreScoredAndKept) {
  Start();
  SegmentLog log;
  SegmentRequest request = LabelledClick(NewImage(), Plain({"dog"}));
  request.options.min_predicted_iou = 0.75f;  // two of six
  ASSERT_TRUE(Segment(request, log).ok());
  EXPECT_EQ(log.masks().size(), 2);
  EXPECT_EQ(segmenter_->scored_queries(), 2);
  const int64_t kept = 2 * (MaskQueries::kEntryOverheadBytes + 256 * 4);
  EXPECT_EQ(MetricValue(metrics_, "semsam_mask_query_bytes"), std::to_string(kept));
}

TEST_F(EngineWordsTest, AModelWithoutWordsSaysSoAndNeverLabels) {
  with_words_ = false;
  Start();
  const ImageReference image = NewImage();
  struct Case {
    const char* field;
    LabelOptions labels;
  };
  for (const Case& test : {Case{"labels.objects", {.objects = Plain({"dog"})}},
                           Case{"labels.parts", {.parts = Plain({"head"})}}}) {
    SegmentRequest request = ClickOn(image);
    request.labels = test.labels;
    SegmentLog log;
    const absl::Status status = Segment(request, log).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ErrorReason(status), reason::kCapabilityMissing);
    EXPECT_EQ(ErrorField(status), test.field);
    EXPECT_EQ(ErrorField(Refresh(image.session_id, {1}, test.labels).status()), test.field);
  }
  SegmentLog log;
  ASSERT_TRUE(Segment(ClickOn(image), log).ok());
  EXPECT_THAT(MaskIds(log.masks()), Each(0)) << "nothing is kept for labels that cannot come";
  EXPECT_EQ(segmenter_->scored_queries(), 0);
  EXPECT_EQ(segmenter_->encoded_terms(), 0);
}

TEST_F(EngineWordsTest, TheModelsOwnWordsCanBeAskedFor) {
  vocabulary_ = {.objects = {"level 2", "level 1"}, .parts = {"part 1", "part 2"}};
  Start();
  SegmentLog log;
  const ImageReference image = NewImage();
  SegmentRequest request = LabelledClick(image, {.model_vocabulary = true});
  request.labels.parts = UserWords{.model_vocabulary = true};
  request.labels.max_labels = 1;
  request.options.levels = {1, 2};
  ASSERT_TRUE(Segment(request, log).ok());
  ASSERT_EQ(log.masks().size(), 2);
  EXPECT_THAT(Names(log.masks()[0].labels.objects), ElementsAre("level 1"));
  EXPECT_EQ(log.masks()[0].labels.objects[0].word_index, 1);
  EXPECT_THAT(Names(log.masks()[1].labels.parts), ElementsAre("part 2"));
  // They are kept as any words, read as the model was trained.
  const int encoded = segmenter_->encoded_terms();
  SegmentLog again;
  ASSERT_TRUE(Segment(LabelledClick(image, Plain({"level 1"})), again).ok());
  EXPECT_EQ(segmenter_->encoded_terms(), encoded);

  // So is a word of the client's that comes without a mode.
  SegmentLog plain;
  ASSERT_TRUE(Segment(LabelledClick(image, {.words = {"level 1"}}), plain).ok());
  EXPECT_EQ(segmenter_->encoded_terms(), encoded);

  request.labels.objects->words = {"dog"};
  SegmentLog both;
  EXPECT_EQ(ErrorField(Segment(request, both).status()), "labels.objects.words");
}

TEST_F(EngineWordsTest, AModelWithoutWordsOfItsOwnMakesNoneUp) {
  vocabulary_ = {.objects = {"dog"}};
  Start();
  SegmentRequest request = ClickOn(NewImage());
  request.labels.parts = UserWords{.model_vocabulary = true};
  SegmentLog log;
  const absl::Status status = Segment(request, log).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrorReason(status), reason::kCapabilityMissing);
  EXPECT_EQ(ErrorField(status), "labels.parts.model_vocabulary");
}

TEST_F(EngineWordsTest, AKnownWordIsNotEncodedAgain) {
  Start();
  const ImageReference image = NewImage();
  SegmentLog first;
  ASSERT_TRUE(Segment(LabelledClick(image, Plain({"dog", "cat", "DOG"})), first).ok());
  EXPECT_EQ(segmenter_->encoded_terms(), 2);
  EXPECT_THAT(DoneAndTotal(first.progress()), ElementsAre(std::pair{0, 2}, std::pair{2, 2}));
  SegmentLog again;
  ASSERT_TRUE(Segment(LabelledClick(image, Plain({" Cat", "dog"})), again).ok());
  EXPECT_EQ(segmenter_->encoded_terms(), 2);
  EXPECT_THAT(again.progress(), IsEmpty()) << "nothing was missing";
  SegmentLog other_mode;
  ASSERT_TRUE(Segment(LabelledClick(image, {.words = {"dog"}}), other_mode).ok());
  EXPECT_EQ(segmenter_->encoded_terms(), 3);
  EXPECT_EQ(MetricValue(metrics_, "semsam_text_cache_entries"), "3");
  EXPECT_EQ(MetricValue(metrics_, "semsam_text_cache_lookups_total{outcome=\"hit\"}"), "2");
  EXPECT_EQ(MetricValue(metrics_, "semsam_text_cache_lookups_total{outcome=\"miss\"}"), "3");
}

TEST_F(EngineWordsTest, AWordThatTwoCallsMissAtOnceIsEncodedOnce) {
  Start();
  const ImageReference image = NewImage();
  texts_.Shut();
  SegmentLog first;
  engine_->Segment(LabelledClick(image, Plain({"dog"})), {}, first.Sink());
  texts_.WaitForCalls(1);
  SegmentLog second;
  engine_->Segment(LabelledClick(image, Plain({"dog", "level 2"})), {}, second.Sink());
  texts_.Open();
  ASSERT_TRUE(first.Wait().ok());
  ASSERT_TRUE(second.Wait().ok());
  EXPECT_THAT(segmenter_->text_batches(), ElementsAre(1, 1));
  EXPECT_THAT(Names(second.masks()[1].labels.objects), ElementsAre("level 2", "dog"));
  EXPECT_EQ(MetricValue(metrics_, "semsam_text_cache_lookups_total{outcome=\"joined\"}"), "1");
}

TEST_F(EngineWordsTest, ManyWordsComeInChunksAndTellHowFarTheyAre) {
  options_.max_batch_texts = 4;
  Start();
  const ImageReference image = NewImage();
  SegmentLog known;
  ASSERT_TRUE(Segment(LabelledClick(image, Plain({"w0"})), known).ok());
  std::vector<std::string> words;
  for (int i = 0; i < 10; ++i) words.push_back("w" + std::to_string(i));
  SegmentLog log;
  SegmentRequest request = LabelledClick(image, Plain(words));
  request.labels.parts = UserWords{.words = {"p0", "p1"}};  // an ensemble is many texts
  ASSERT_TRUE(Segment(request, log).ok());
  EXPECT_THAT(segmenter_->text_batches(), ElementsAre(1, 4, 4, 1, 1, 1));
  EXPECT_THAT(DoneAndTotal(log.progress()),
              ElementsAre(std::pair{1, 12}, std::pair{5, 12}, std::pair{9, 12}, std::pair{10, 12},
                          std::pair{11, 12}, std::pair{12, 12}));
}

TEST_F(EngineWordsTest, TwoThousandWordsAreNoMoreThanSoManyChunks) {
  Start();
  std::vector<std::string> words;
  for (int i = 0; i < 2000; ++i) words.push_back("word " + std::to_string(i));
  SegmentLog log;
  ASSERT_TRUE(Segment(LabelledClick(NewImage(), Plain(words)), log).ok());
  EXPECT_THAT(segmenter_->text_batches(), ElementsAre(512, 512, 512, 464));
}

TEST_F(EngineWordsTest, CancellationIsHonouredBetweenChunksAndWhatWasEncodedStays) {
  options_.max_batch_texts = 1;
  Start();
  const ImageReference image = NewImage();
  texts_.Shut();
  auto flag = std::make_shared<CancelFlag>();
  SegmentLog log;
  engine_->Segment(LabelledClick(image, Plain({"dog", "cat"})), {.cancel = flag}, log.Sink());
  texts_.WaitForCalls(1);
  flag->Cancel();
  texts_.Open();
  EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(segmenter_->encoded_terms(), 1);
  EXPECT_EQ(segmenter_->decoded_requests(), 0);
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_word_bytes"), "0");
  SegmentLog again;
  ASSERT_TRUE(Segment(LabelledClick(image, Plain({"dog", "cat"})), again).ok());
  EXPECT_EQ(segmenter_->encoded_terms(), 2);
}

TEST_F(EngineWordsTest, TheDeadlineIsHonouredBetweenChunks) {
  options_.max_batch_texts = 1;
  Start();
  const ImageReference image = NewImage();
  texts_.Shut();
  SegmentLog log;
  engine_->Segment(LabelledClick(image, Plain({"dog", "cat"})),
                   {.deadline = clock_.Now() + absl::Seconds(5)}, log.Sink());
  texts_.WaitForCalls(1);
  clock_.Advance(absl::Seconds(5));
  texts_.Open();
  EXPECT_EQ(log.Wait().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(segmenter_->encoded_terms(), 1);
}

TEST_F(EngineWordsTest, ClicksGoBetweenTheChunksOfWords) {
  options_.max_batch_texts = 1;
  Start();
  const ImageReference image = NewImage();
  texts_.Shut();
  SegmentLog words;
  engine_->Segment(LabelledClick(image, Plain({"dog", "cat"})), {}, words.Sink());
  texts_.WaitForCalls(1);
  decodes_.Shut();
  SegmentLog click;
  engine_->Segment(ClickOn(image), {}, click.Sink());
  texts_.Open();
  decodes_.WaitForCalls(1);
  EXPECT_EQ(segmenter_->encoded_terms(), 1) << "the second word waits for the click";
  decodes_.Open();
  EXPECT_TRUE(click.Wait().ok());
  EXPECT_TRUE(words.Wait().ok());
}

TEST_F(EngineWordsTest, AFailureOfTheTextEncoderIsTheCallers) {
  int calls = 0;
  fake_options_.on_text = [&calls] {
    return ++calls == 1 ? absl::InternalError("device fault") : absl::OkStatus();
  };
  Start();
  const ImageReference image = NewImage();
  SegmentLog failed;
  EXPECT_EQ(Segment(LabelledClick(image, Plain({"dog"})), failed).status().code(),
            absl::StatusCode::kInternal);
  SegmentLog log;
  EXPECT_TRUE(Segment(LabelledClick(image, Plain({"dog"})), log).ok());
}

TEST_F(EngineWordsTest, TheWordsOfAllCallsTogetherAreBounded) {
  options_.words.max_words = 2;
  options_.word_buffer_bytes = WordBytes(4, 512);
  Start();
  const ImageReference image = NewImage();
  texts_.Shut();
  SegmentLog large;
  SegmentRequest request = LabelledClick(image, Plain({"a", "b"}));
  request.labels.parts = Plain({"c", "d"});
  engine_->Segment(request, {}, large.Sink());
  EXPECT_EQ(MetricValue(metrics_, "semsam_word_bytes"), std::to_string(WordBytes(4, 512)));
  SegmentLog refused;
  const absl::Status status = Segment(LabelledClick(image, Plain({"e"})), refused).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), reason::kMemoryFull);
  EXPECT_TRUE(ErrorRetryAfter(status).has_value());
  texts_.Open();
  EXPECT_TRUE(large.Wait().ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_word_bytes"), "0");
  options_.word_buffer_bytes -= 1;
  EXPECT_EQ(ErrorField(options_.Validate(Config())), "word_buffer_bytes");
}

TEST_F(EngineWordsTest, ShutdownEndsCallsThatWaitForWords) {
  options_.max_batch_texts = 1;
  Start();
  const ImageReference image = NewImage();
  texts_.Shut();
  SegmentLog click;
  engine_->Segment(LabelledClick(image, Plain({"dog", "cat"})), {}, click.Sink());
  texts_.WaitForCalls(1);
  SegmentLog waiting;
  engine_->Segment(LabelledClick(image, Plain({"cow"})), {}, waiting.Sink());
  engine_->StartDrain();
  texts_.Open();
  engine_->Shutdown();
  EXPECT_EQ(click.done_calls(), 1);
  EXPECT_EQ(waiting.done_calls(), 1);
}

TEST_F(EngineWordsTest, NewWordsForOldMasksNeedNoDecoderRun) {
  Start();
  const ImageReference image = NewImage();
  SegmentLog log;
  ASSERT_TRUE(Segment(ClickOn(image), log).ok());
  const std::vector<uint64_t> ids = MaskIds(log.masks());
  EXPECT_THAT(ids, Each(::testing::Ne(0)));
  const int decodes = segmenter_->decoded_requests();
  LabelOptions labels{.objects = Plain({"level 6", "level 5"}), .parts = Plain({"part 5"})};
  labels.max_labels = 1;
  const auto refreshed = Refresh(image.session_id, {ids[4], ids[5], ids[4]}, labels);
  ASSERT_TRUE(refreshed.ok()) << refreshed.status();
  ASSERT_EQ(refreshed->masks.size(), 3);
  EXPECT_THAT(Names(refreshed->masks[0].objects), ElementsAre("level 5"));
  EXPECT_THAT(Names(refreshed->masks[0].parts), ElementsAre("part 5"));
  EXPECT_THAT(Names(refreshed->masks[1].objects), ElementsAre("level 6"));
  EXPECT_TRUE(refreshed->timings.words.has_value());
  EXPECT_EQ(segmenter_->decoded_requests(), decodes);
  EXPECT_EQ(MetricValue(metrics_, "semsam_segment_calls_active"), "0");
}

TEST_F(EngineWordsTest, MasksThatAreNotHeldAreNamed) {
  options_.sessions.max_labelled_masks = 6;
  Start();
  const ImageReference image = NewImage();
  const LabelOptions labels{.objects = Plain({"dog"})};
  SegmentLog first;
  ASSERT_TRUE(Segment(ClickOn(image), first).ok());
  SegmentLog second;
  SegmentRequest request = ClickOn(image);
  request.options.levels = {1, 2};
  ASSERT_TRUE(Segment(request, second).ok());
  const std::vector<uint64_t> old = MaskIds(first.masks());
  const std::vector<uint64_t> fresh = MaskIds(second.masks());
  EXPECT_TRUE(Refresh(image.session_id, {old[2], fresh[0], fresh[1]}, labels).ok());
  const absl::Status evicted = Refresh(image.session_id, {fresh[0], old[1]}, labels).status();
  EXPECT_EQ(evicted.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrorReason(evicted), reason::kMaskNotFound);
  EXPECT_EQ(ErrorField(evicted), "mask_ids[1]");
  EXPECT_EQ(ErrorField(Refresh(NewSession(), {fresh[0]}, labels).status()), "mask_ids[0]");
  EXPECT_EQ(ErrorReason(Refresh("nobody", {fresh[0]}, labels).status()), reason::kSessionNotFound);
  ASSERT_TRUE(engine_->DeleteSession({}, image.session_id).ok());
  EXPECT_EQ(MetricValue(metrics_, "semsam_mask_query_bytes"), "0");
}

TEST_F(EngineWordsTest, RefreshRequestsAreChecked) {
  options_.sessions.max_labelled_masks = 10;
  Start();
  const ImageReference image = NewImage();
  SegmentLog log;
  ASSERT_TRUE(Segment(ClickOn(image), log).ok());
  const std::vector<uint64_t> ids = MaskIds(log.masks());
  const LabelOptions dog{.objects = Plain({"dog"})};
  const auto field = [&](std::vector<uint64_t> wanted, LabelOptions labels) {
    return ErrorField(Refresh(image.session_id, std::move(wanted), std::move(labels)).status());
  };
  EXPECT_EQ(field({}, dog), "mask_ids");
  EXPECT_EQ(field(std::vector<uint64_t>(11, ids[0]), dog), "mask_ids");
  EXPECT_EQ(field(ids, {}), "labels");
  EXPECT_EQ(field(ids, {.objects = UserWords{}}), "labels");
  EXPECT_EQ(field(ids, {.objects = Plain({"dog"}), .parts = Plain({"a", ""})}),
            "labels.parts.words[1]");
  EXPECT_EQ(field(ids, {.objects = Plain({"dog"}), .min_score = NAN}), "labels.min_score");
  const absl::Status large = Refresh(image.session_id, ids, dog, /*max_bytes=*/20).status();
  EXPECT_EQ(large.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(large), reason::kLimitExceeded);
}

TEST_F(EngineWordsTest, AnImageWithoutASessionKeepsNothing) {
  Start();
  SegmentLog log;
  SegmentRequest request{.image = FakeImageBytes(80, 64), .prompts = {Click(40, 32)}};
  request.labels.objects = Plain({"level 1"});
  ASSERT_TRUE(Segment(request, log).ok());
  EXPECT_THAT(MaskIds(log.masks()), Each(0));
  EXPECT_THAT(Names(log.masks()[0].labels.objects), ElementsAre("level 1"));
  EXPECT_EQ(MetricValue(metrics_, "semsam_mask_query_bytes"), "0");
}

}  // namespace
}  // namespace semsam
