// Words with clicks: labels of Segment and SegmentOnce, and RefreshLabels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "client/client.h"
#include "tests/client/client_fixture.h"

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LabelsTest : public ClientTest {
 protected:
  LabelsTest() { server_.service().KnowWords(); }
};

TEST_F(LabelsTest, MasksArriveWithTheirLabelsAndIds) {
  request_.options.levels = {1, 2};
  request_.labels = {.objects = {.words = {"dog", "cat"}}, .parts = {.words = {"head"}}};
  const auto summary = Segment();
  ASSERT_TRUE(summary.ok()) << summary.status();
  ASSERT_THAT(masks_, SizeIs(2));
  EXPECT_EQ(masks_[0].mask_id, 1);
  EXPECT_EQ(masks_[1].mask_id, 2);
  const Mask& mask = masks_[0];
  ASSERT_THAT(mask.object_labels, SizeIs(2));
  EXPECT_EQ(mask.object_labels[1].name, "cat");
  EXPECT_EQ(mask.object_labels[1].word_index, 1);
  EXPECT_FLOAT_EQ(mask.object_labels[1].logit, 1);
  EXPECT_FLOAT_EQ(mask.object_labels[1].score, 0.7310586f);
  ASSERT_THAT(mask.part_labels, SizeIs(1));
  EXPECT_EQ(mask.part_labels[0].name, "head");
}

TEST_F(LabelsTest, RequestsCarryEveryLabelOption) {
  request_.labels = {.objects = {.words = {"dog", "ch\xc3\xa8vre"}, .mode = TextMode::kPlain},
                     .parts = {.words = {"head"}},
                     .max_labels = 1,
                     .min_score = 0.25f};
  ASSERT_TRUE(Segment().ok());
  const v1::LabelOptions sent = server_.service().segment_requests().back().labels();
  EXPECT_THAT(sent.objects().words(), ElementsAre("dog", "ch\xc3\xa8vre"));
  EXPECT_EQ(sent.objects().mode(), v1::TEXT_MODE_PLAIN);
  EXPECT_THAT(sent.parts().words(), ElementsAre("head"));
  EXPECT_EQ(sent.parts().mode(), v1::TEXT_MODE_UNSPECIFIED);
  EXPECT_EQ(sent.max_labels(), 1);
  EXPECT_EQ(sent.min_score(), 0.25f);
}

TEST_F(LabelsTest, WithoutWordsNothingIsAsked) {
  request_.labels.max_labels = 5;
  ASSERT_TRUE(Segment().ok());
  EXPECT_FALSE(server_.service().segment_requests().back().has_labels());
  request_.labels.parts.words = {"head"};
  ASSERT_TRUE(Segment().ok());
  EXPECT_FALSE(server_.service().segment_requests().back().labels().has_objects());
}

TEST_F(LabelsTest, SegmentOnceCarriesLabelsBothWays) {
  const auto result = client_->SegmentOnce({.image = std::string("bytes"),
                                            .prompts = request_.prompts,
                                            .options = {.levels = {2}},
                                            .labels = {.objects = {.words = {"dog"}}}});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->masks, SizeIs(1));
  ASSERT_THAT(result->masks[0].object_labels, SizeIs(1));
  EXPECT_EQ(result->masks[0].object_labels[0].name, "dog");
  EXPECT_THAT(server_.service().once_requests().back().labels().objects().words(),
              ElementsAre("dog"));
}

TEST_F(LabelsTest, WordsThatTheWireCannotCarryAreNamed) {
  request_.labels.objects.words = {"dog", "\xff"};
  EXPECT_EQ(ErrorField(Segment().status()), "labels.objects.words[1]");
  request_.labels = {.parts = {.words = {"head"}}, .max_labels = -1};
  EXPECT_EQ(ErrorField(Segment().status()), "labels.max_labels");
  EXPECT_EQ(ErrorField(client_->RefreshLabels({.labels = {.parts = {.words = {"\xc3"}}}}).status()),
            "labels.parts.words[0]");
  EXPECT_THAT(server_.service().segment_requests(), IsEmpty());
  EXPECT_THAT(server_.service().refresh_requests(), IsEmpty());
}

TEST_F(LabelsTest, AModelWithoutTextRefusesWords) {
  server_.service().info.mutable_model()->mutable_capabilities()->set_object_labels(false);
  request_.labels.objects.words = {"dog"};
  const absl::Status status = Segment().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(ErrorReason(status), "CAPABILITY_MISSING");
  EXPECT_EQ(ErrorField(status), "labels.objects");
}

TEST_F(LabelsTest, ALabelThatNobodyAskedForIsDataLoss) {
  v1::SegmentResponse labelled = MaskMessage();
  labelled.mutable_mask()->add_object_labels()->set_word_index(1);
  request_.labels.objects.words = {"dog"};
  Script({labelled, SummaryMessage(1)});
  EXPECT_TRUE(absl::IsDataLoss(Segment().status()));
  labelled.mutable_mask()->mutable_object_labels(0)->set_word_index(0);
  Script({labelled, SummaryMessage(1)});
  EXPECT_TRUE(Segment().ok());
  request_.labels = {};
  EXPECT_TRUE(absl::IsDataLoss(Segment().status()));
}

TEST_F(LabelsTest, ProgressOfManyWordsIsHeardBeforeTheMasks) {
  v1::SegmentResponse progress;
  progress.mutable_progress()->set_stage(v1::Progress::STAGE_WORDS);
  progress.mutable_progress()->set_done(128);
  progress.mutable_progress()->set_total(2000);
  Script({progress, MaskMessage(), SummaryMessage(1)});
  std::vector<Progress> heard;
  ASSERT_TRUE(Segment({.on_progress = [&](const Progress& p) { heard.push_back(p); }}).ok());
  ASSERT_THAT(heard, SizeIs(1));
  EXPECT_EQ(heard[0].stage, Progress::Stage::kWords);
  EXPECT_EQ(heard[0].done, 128);
  EXPECT_EQ(heard[0].total, 2000);

  progress.mutable_progress()->set_done(2001);
  Script({progress, MaskMessage(), SummaryMessage(1)});
  EXPECT_TRUE(absl::IsDataLoss(Segment().status()));
}

TEST_F(LabelsTest, RefreshLabelsNamesMasksAnew) {
  request_.options.levels = {1, 2};
  ASSERT_TRUE(Segment().ok());
  const auto result = client_->RefreshLabels(
      {.session_id = request_.session_id,
       .mask_ids = {2, 1},
       .labels = {
           .objects = {.words = {"wolf", "fox"}}, .parts = {.words = {"tail"}}, .max_labels = 1}});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->masks, SizeIs(2));
  EXPECT_EQ(result->masks[0].mask_id, 2);
  ASSERT_THAT(result->masks[0].object_labels, SizeIs(1));
  EXPECT_EQ(result->masks[0].object_labels[0].name, "wolf");
  EXPECT_EQ(result->masks[1].part_labels[0].name, "tail");
  EXPECT_EQ(result->timings.words, absl::Milliseconds(4));
  const v1::RefreshLabelsRequest sent = server_.service().refresh_requests().back();
  EXPECT_EQ(sent.session_id(), request_.session_id);
  EXPECT_THAT(sent.mask_ids(), ElementsAre(2, 1));
}

TEST_F(LabelsTest, AMaskThatIsNoLongerHeldIsNamed) {
  ASSERT_TRUE(Segment().ok());
  const absl::Status status = client_
                                  ->RefreshLabels({.session_id = request_.session_id,
                                                   .mask_ids = {1, 99},
                                                   .labels = {.objects = {.words = {"wolf"}}}})
                                  .status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_EQ(ErrorField(status), "mask_ids[1]");
  EXPECT_EQ(ErrorReason(status), "MASK_NOT_FOUND");
}

TEST_F(LabelsTest, AnAnswerForOtherMasksIsDataLoss) {
  const RefreshLabelsRequest request{.session_id = request_.session_id,
                                     .mask_ids = {5},
                                     .labels = {.objects = {.words = {"wolf"}}}};
  server_.service().OnRefresh([](const auto&, auto&) { return grpc::Status::OK; });
  EXPECT_TRUE(absl::IsDataLoss(client_->RefreshLabels(request).status()));
  server_.service().OnRefresh([](const auto&, auto& response) {
    response.add_masks()->set_mask_id(6);
    return grpc::Status::OK;
  });
  EXPECT_TRUE(absl::IsDataLoss(client_->RefreshLabels(request).status()));
  server_.service().OnRefresh([](const auto&, auto& response) {
    response.add_masks()->set_mask_id(5);
    response.mutable_masks(0)->add_part_labels();
    return grpc::Status::OK;
  });
  EXPECT_TRUE(absl::IsDataLoss(client_->RefreshLabels(request).status()));
}

TEST_F(LabelsTest, RefreshLabelsKeepsItsDeadline) {
  std::promise<void> release;
  server_.service().OnRefresh([done = release.get_future().share()](const auto&, auto&) {
    done.wait();
    return grpc::Status::OK;
  });
  const absl::Status status =
      client_
          ->RefreshLabels({.mask_ids = {1}, .labels = {.objects = {.words = {"wolf"}}}},
                          {.timeout = absl::Milliseconds(50)})
          .status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  release.set_value();
}

}  // namespace
}  // namespace semsam::client
