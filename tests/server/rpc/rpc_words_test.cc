// Words over the wire: what a client gets, and which field a bad one is told.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>

#include <functional>

#include "server/rpc/wire.h"
#include "tests/fakes/metric_value.h"
#include "tests/server/rpc/rpc_fixture.h"

namespace semsam {
namespace {

using ::testing::SizeIs;

class RpcWordsTest : public RpcFixture {
 protected:
  void StartWithWords() {
    fake_options_.config = WithWords(SwinT());
    Start();
  }

  // Everything a stream brought, and how it ended.
  template <typename Response, typename Reader>
  static std::vector<Response> ReadAll(Reader reader, grpc::Status& status) {
    std::vector<Response> responses;
    Response response;
    while (reader->Read(&response)) responses.push_back(response);
    status = reader->Finish();
    return responses;
  }

  std::vector<v1::SegmentVocabularyResponse> Vocabulary(const v1::SegmentVocabularyRequest& request,
                                                        grpc::Status& status) {
    grpc::ClientContext context;
    return ReadAll<v1::SegmentVocabularyResponse>(stub_->SegmentVocabulary(&context, request),
                                                  status);
  }

  std::vector<v1::GenerateMasksResponse> Generate(const v1::GenerateMasksRequest& request,
                                                  grpc::Status& status) {
    grpc::ClientContext context;
    return ReadAll<v1::GenerateMasksResponse>(stub_->GenerateMasks(&context, request), status);
  }

  grpc::Status Refresh(const v1::RefreshLabelsRequest& request,
                       v1::RefreshLabelsResponse& response) {
    grpc::ClientContext context;
    return stub_->RefreshLabels(&context, request, &response);
  }

  // Small discs that do not touch, see the engine's tests.
  v1::GenerateMasksRequest SmallDiscs() {
    const v1::SegmentRequest click = ClickOnNewImage();
    v1::GenerateMasksRequest request;
    request.set_session_id(click.session_id());
    request.set_image_id(click.image_id());
    v1::GenerateMasksOptions& options = *request.mutable_options();
    options.set_points_per_side(2);
    options.add_levels(5);
    options.set_min_predicted_iou(0.3f);
    options.set_min_stability(0.5f);
    return request;
  }
};

TEST_F(RpcWordsTest, LabelsTravelWithTheMasks) {
  StartWithWords();
  v1::SegmentRequest request = ClickOnNewImage();
  request.mutable_labels()->mutable_objects()->add_words("dog");
  request.mutable_labels()->mutable_objects()->add_words("Level 2");
  request.mutable_labels()->mutable_parts()->add_words("part 2");
  const StreamLog log = Segment(request);
  ASSERT_TRUE(log.status.ok()) << log.status.error_message();
  ASSERT_EQ(log.masks.size(), 6);
  const v1::Mask& mask = log.masks[1];
  ASSERT_EQ(mask.object_labels_size(), 2);
  EXPECT_EQ(mask.object_labels(0).name(), "Level 2");
  EXPECT_EQ(mask.object_labels(0).word_index(), 1);
  EXPECT_NEAR(mask.object_labels(0).logit(), 10, 1e-4);
  EXPECT_GT(mask.object_labels(0).score(), 0.99);
  EXPECT_EQ(mask.part_labels(0).name(), "part 2");
  EXPECT_NE(mask.mask_id(), 0);
  ASSERT_EQ(log.progress.size(), 2);
  EXPECT_EQ(log.progress[1].stage(), v1::Progress::STAGE_WORDS);
  EXPECT_EQ(log.progress[1].done(), 3);
  EXPECT_EQ(log.progress[1].total(), 3);
  EXPECT_TRUE(log.summary.timings().has_words());

  v1::RefreshLabelsRequest refresh;
  refresh.set_session_id(request.session_id());
  refresh.add_mask_ids(log.masks[3].mask_id());
  refresh.mutable_labels()->mutable_objects()->add_words("level 4");
  v1::RefreshLabelsResponse labels;
  ASSERT_TRUE(Refresh(refresh, labels).ok());
  ASSERT_EQ(labels.masks_size(), 1);
  EXPECT_EQ(labels.masks(0).mask_id(), log.masks[3].mask_id());
  EXPECT_NEAR(labels.masks(0).object_labels(0).logit(), 10, 1e-4);
  EXPECT_TRUE(labels.timings().has_words());
  EXPECT_EQ(segmenter_->decoded_requests(), 1);

  refresh.add_mask_ids(123456);
  const Failure failure = ReadFailure(Refresh(refresh, labels));
  EXPECT_EQ(failure.code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(failure.reason, "MASK_NOT_FOUND");
  EXPECT_EQ(failure.field, "mask_ids[1]");
}

TEST_F(RpcWordsTest, SegmentOnceLabelsToo) {
  StartWithWords();
  v1::SegmentOnceRequest request;
  request.set_image_bytes(FakeImageBytes(80, 64));
  AddClick(request, 40, 32);
  request.mutable_labels()->mutable_objects()->add_words("level 1");
  grpc::ClientContext context;
  v1::SegmentOnceResponse response;
  ASSERT_TRUE(stub_->SegmentOnce(&context, request, &response).ok());
  EXPECT_EQ(response.masks(0).object_labels(0).name(), "level 1");
  EXPECT_EQ(response.masks(0).mask_id(), 0);
}

TEST_F(RpcWordsTest, EveryBadWordIsToldItsField) {
  StartWithWords();
  const v1::SegmentRequest click = ClickOnNewImage();
  struct Case {
    const char* what;
    std::vector<std::string> words;
    const char* field;  // below the list
    const char* reason;
  };
  const std::vector<Case> cases = {
      {"empty", {"dog", "", "cat"}, ".words[1]", "INVALID_ARGUMENT_FIELD"},
      {"blank", {" \t"}, ".words[0]", "INVALID_ARGUMENT_FIELD"},
      {"2,001", std::vector<std::string>(2001, "dog"), ".words", "LIMIT_EXCEEDED"},
      {"65 characters", {"dog", "cat", std::string(65, 'x')}, ".words[2]", "LIMIT_EXCEEDED"},
      {"10 kB", {std::string(10240, 'x')}, ".words[0]", "LIMIT_EXCEEDED"},
      // protobuf's own encoder only complains and sends.
      {"no UTF-8", {"dog", "caf\xe9"}, ".words[1]", "INVALID_ARGUMENT_FIELD"},
  };
  struct List {
    const char* path;
    std::function<grpc::Status(const std::vector<std::string>&)> ask;
  };
  const auto segment_with = [&](v1::WordList* (*list)(v1::LabelOptions&),
                                const std::vector<std::string>& words) {
    v1::SegmentRequest request = click;
    *list(*request.mutable_labels())->mutable_words() = {words.begin(), words.end()};
    return Segment(request).status;
  };
  const auto vocabulary_with = [&](v1::WordList* (*list)(v1::SegmentVocabularyRequest&),
                                   const std::vector<std::string>& words) {
    v1::SegmentVocabularyRequest request;
    request.set_session_id(click.session_id());
    request.set_image_id(click.image_id());
    *list(request)->mutable_words() = {words.begin(), words.end()};
    grpc::Status status;
    Vocabulary(request, status);
    return status;
  };
  const List lists[] = {
      {"labels.objects",
       [&](const auto& words) {
         return segment_with([](v1::LabelOptions& l) { return l.mutable_objects(); }, words);
       }},
      {"labels.parts",
       [&](const auto& words) {
         return segment_with([](v1::LabelOptions& l) { return l.mutable_parts(); }, words);
       }},
      {"labels.objects",
       [&](const auto& words) {
         v1::RefreshLabelsRequest request;
         request.set_session_id(click.session_id());
         request.add_mask_ids(1);
         *request.mutable_labels()->mutable_objects()->mutable_words() = {words.begin(),
                                                                          words.end()};
         v1::RefreshLabelsResponse response;
         return Refresh(request, response);
       }},
      {"labels.objects",
       [&](const auto& words) {
         v1::GenerateMasksRequest request;
         request.set_session_id(click.session_id());
         request.set_image_id(click.image_id());
         *request.mutable_labels()->mutable_objects()->mutable_words() = {words.begin(),
                                                                          words.end()};
         grpc::Status status;
         Generate(request, status);
         return status;
       }},
      {"things",
       [&](const auto& words) {
         return vocabulary_with([](auto& r) { return r.mutable_things(); }, words);
       }},
      {"stuff",
       [&](const auto& words) {
         return vocabulary_with([](auto& r) { return r.mutable_stuff(); }, words);
       }},
      {"parts",
       [&](const auto& words) {
         return vocabulary_with([](auto& r) { return r.mutable_parts(); }, words);
       }},
  };
  for (const List& list : lists) {
    for (const Case& test : cases) {
      const Failure failure = ReadFailure(list.ask(test.words));
      EXPECT_EQ(failure.code, grpc::StatusCode::INVALID_ARGUMENT) << list.path << test.what;
      EXPECT_EQ(failure.field, std::string(list.path) + test.field) << test.what;
      EXPECT_EQ(failure.reason, test.reason) << list.path << test.what;
      EXPECT_EQ(failure.domain, "semsam");
    }
  }
  EXPECT_EQ(segmenter_->encoded_terms(), 0);
  EXPECT_TRUE(Segment(click).status.ok()) << "and the server lives";
}

TEST_F(RpcWordsTest, UnknownModesAreToldTheirField) {
  StartWithWords();
  v1::SegmentRequest request = ClickOnNewImage();
  request.mutable_labels()->mutable_parts()->add_words("head");
  request.mutable_labels()->mutable_parts()->set_mode(static_cast<v1::TextMode>(7));
  EXPECT_EQ(ReadFailure(Segment(request).status).field, "labels.parts.mode");
}

TEST_F(RpcWordsTest, TextThatIsNotUtf8IsToldItsFieldInEveryCall) {
  Start();
  v1::GetSessionRequest get;
  get.set_session_id("\xff\xfe");
  v1::GetSessionResponse session;
  grpc::ClientContext get_context;
  const Failure failure = ReadFailure(stub_->GetSession(&get_context, get, &session));
  EXPECT_EQ(failure.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(failure.field, "session_id");
  v1::SegmentRequest request = ClickOnNewImage();
  request.mutable_prompts(0)->set_tag("\xff");
  EXPECT_EQ(ReadFailure(Segment(request).status).field, "prompts[0].tag");
  EXPECT_EQ(MetricValue(metrics_,
                        "semsam_requests_total{code=\"INVALID_ARGUMENT\","
                        "method=\"GetSession\"}"),
            "1");
}

TEST_F(RpcWordsTest, BytesThatAreNoMessageAreRefused) {
  Start();
  const grpc::Slice slice("\xff\xff\xff");
  const grpc::ByteBuffer request(&slice, 1);
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/semsam.v1.SegmentationService/SegmentOnce", request,
                                    &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReadFailure(status).reason, "INVALID_ARGUMENT_FIELD");
}

TEST_F(RpcWordsTest, AModelWithoutWordsSaysSoInEveryCall) {
  Start();
  v1::SegmentRequest segment = ClickOnNewImage();
  segment.mutable_labels()->mutable_objects()->add_words("dog");
  const Failure labels = ReadFailure(Segment(segment).status);
  EXPECT_EQ(labels.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(labels.reason, "CAPABILITY_MISSING");
  EXPECT_EQ(labels.field, "labels.objects");
  v1::SegmentVocabularyRequest request;
  request.set_session_id(segment.session_id());
  request.set_image_id(segment.image_id());
  request.mutable_things()->add_words("dog");
  grpc::Status status;
  Vocabulary(request, status);
  const Failure vocabulary = ReadFailure(status);
  EXPECT_EQ(vocabulary.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(vocabulary.field, "things");
  segment.clear_labels();
  const StreamLog log = Segment(segment);
  ASSERT_TRUE(log.status.ok());
  EXPECT_EQ(log.masks[0].mask_id(), 0);
  EXPECT_EQ(log.masks[0].object_labels_size(), 0);
}

TEST_F(RpcWordsTest, AModelOfWordsAloneTakesNoClicks) {
  fake_options_.config = OpenSeedSwinT();
  Start();
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_FALSE(info.model().capabilities().click_prompts());
  EXPECT_FALSE(info.model().capabilities().box_prompts());
  EXPECT_TRUE(info.model().capabilities().vocabulary());
  EXPECT_FALSE(info.model().capabilities().object_labels());
  EXPECT_EQ(info.model().levels_size(), 0);
  v1::SegmentRequest click = ClickOnNewImage();
  const Failure clicked = ReadFailure(Segment(click).status);
  EXPECT_EQ(clicked.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(clicked.reason, "CAPABILITY_MISSING");
  EXPECT_EQ(clicked.field, "prompts[0].click");
  v1::GenerateMasksRequest generate;
  generate.set_session_id(click.session_id());
  generate.set_image_id(click.image_id());
  grpc::Status status;
  Generate(generate, status);
  EXPECT_EQ(ReadFailure(status).reason, "CAPABILITY_MISSING");
  v1::SegmentVocabularyRequest request;
  request.set_session_id(click.session_id());
  request.set_image_id(click.image_id());
  request.mutable_things()->add_words("left");
  EXPECT_FALSE(Vocabulary(request, status).empty());
  EXPECT_TRUE(status.ok()) << status.error_message();
  request.mutable_parts()->add_words("left half");
  Vocabulary(request, status);
  EXPECT_EQ(ReadFailure(status).field, "parts");
}

TEST_F(RpcWordsTest, TheServerSaysWhatItAllowsOfWords) {
  StartWithWords();
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_TRUE(info.model().capabilities().object_labels());
  EXPECT_TRUE(info.model().capabilities().part_labels());
  EXPECT_TRUE(info.model().capabilities().vocabulary());
  EXPECT_EQ(info.limits().max_words(), 2000);
  EXPECT_EQ(info.limits().max_word_characters(), 64);
  EXPECT_EQ(info.limits().max_points_per_side(), 64);
  EXPECT_EQ(info.limits().max_labelled_masks(), 4096);
}

TEST_F(RpcWordsTest, AVocabularyCallBringsSegmentsTheMapAndASummary) {
  StartWithWords();
  const v1::SegmentRequest click = ClickOnNewImage();
  v1::SegmentVocabularyRequest request;
  request.set_session_id(click.session_id());
  request.set_image_id(click.image_id());
  request.mutable_things()->add_words("left");
  request.mutable_stuff()->add_words("right");
  request.mutable_parts()->add_words("top half");
  v1::VocabularyOptions& options = *request.mutable_options();
  options.set_instances(true);
  options.set_semantic(true);
  options.set_panoptic(true);
  options.set_min_score(0.5f);
  options.set_max_duplicate_iou(0.5f);
  grpc::Status status;
  const auto responses = Vocabulary(request, status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_THAT(responses, SizeIs(2 + 4 + 1 + 1)) << "progress, segments, map, summary";
  EXPECT_EQ(responses[1].progress().total(), 3);
  const v1::VocabularySegment& left = responses[2].segment();
  EXPECT_EQ(left.kind(), v1::VocabularySegment::KIND_INSTANCE);
  EXPECT_EQ(left.name(), "left");
  EXPECT_TRUE(left.is_thing());
  EXPECT_FALSE(left.mask().coco_rle().empty());
  EXPECT_EQ(responses[3].segment().kind(), v1::VocabularySegment::KIND_PART);
  EXPECT_EQ(responses[3].segment().name(), "top half");
  EXPECT_EQ(responses[4].segment().kind(), v1::VocabularySegment::KIND_SEMANTIC);
  EXPECT_EQ(responses[5].segment().name(), "right");
  EXPECT_FALSE(responses[5].segment().is_thing());
  const v1::PanopticMap& map = responses[6].panoptic();
  EXPECT_EQ(map.png().substr(1, 3), "PNG");
  EXPECT_EQ(map.size().width(), 80);
  EXPECT_GE(map.segments_size(), 2);
  EXPECT_GT(map.segments(0).area(), 0);
  EXPECT_EQ(responses[7].summary().segments_sent(), 4);
  EXPECT_TRUE(responses[7].summary().timings().has_decode());
}

TEST_F(RpcWordsTest, EverythingBringsProgressMasksAndTheTree) {
  StartWithWords();
  grpc::Status status;
  const auto responses = Generate(SmallDiscs(), status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_THAT(responses, SizeIs(1 + 4 + 1));
  EXPECT_EQ(responses[0].progress().stage(), v1::Progress::STAGE_POINTS);
  EXPECT_EQ(responses[0].progress().done(), 4);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(responses[1 + i].mask().prompt_index(), i);
    EXPECT_EQ(responses[1 + i].mask().level(), 5);
    EXPECT_NE(responses[1 + i].mask().mask_id(), 0);
  }
  const v1::GenerateMasksSummary& summary = responses[5].summary();
  EXPECT_EQ(summary.masks_sent(), 4);
  EXPECT_EQ(summary.masks_filtered(), 0);
  EXPECT_THAT(summary.parents(), ::testing::ElementsAre(-1, -1, -1, -1));
  EXPECT_EQ(summary.image_size().width(), 80);
}

TEST_F(RpcWordsTest, BadOptionsOfLongCallsAreToldTheirField) {
  StartWithWords();
  v1::GenerateMasksRequest generate = SmallDiscs();
  generate.mutable_options()->set_points_per_side(65);
  grpc::Status status;
  Generate(generate, status);
  EXPECT_EQ(ReadFailure(status).field, "options.points_per_side");
  EXPECT_EQ(ReadFailure(status).reason, "LIMIT_EXCEEDED");
  generate = SmallDiscs();
  generate.mutable_options()->set_encoding(static_cast<v1::MaskEncoding>(50));
  Generate(generate, status);
  EXPECT_EQ(ReadFailure(status).field, "options.encoding");
  v1::SegmentVocabularyRequest request;
  request.set_session_id(generate.session_id());
  request.set_image_id(generate.image_id());
  Vocabulary(request, status);
  EXPECT_EQ(ReadFailure(status).field, "things");
  request.mutable_things()->add_words("left");
  request.mutable_options()->set_temperature(-1);
  Vocabulary(request, status);
  EXPECT_EQ(ReadFailure(status).field, "options.temperature");
}

TEST_F(RpcWordsTest, AClientThatLeavesStopsAGeneration) {
  StartWithWords();
  const v1::SegmentRequest click = ClickOnNewImage();
  decodes_.Shut();
  grpc::ClientContext running_context;
  auto running = stub_->Segment(&running_context, click);
  decodes_.WaitForCalls(1);
  grpc::ClientContext context;
  auto left = stub_->GenerateMasks(&context, SmallDiscs());
  WaitForMetric("semsam_queue_depth{queue=\"background\"}", "1");
  context.TryCancel();
  EXPECT_EQ(left->Finish().error_code(), grpc::StatusCode::CANCELLED);
  WaitForMetric("semsam_background_calls_active", "0");
  EXPECT_EQ(MetricValue(metrics_, "semsam_result_bytes"), "0");
  decodes_.Open();
  v1::SegmentResponse response;
  while (running->Read(&response)) {
  }
  EXPECT_TRUE(running->Finish().ok());
  EXPECT_EQ(segmenter_->decoded_requests(), 1);
}

}  // namespace
}  // namespace semsam
