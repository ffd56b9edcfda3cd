// Whole pictures: SegmentVocabulary and GenerateMasks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "client/client.h"
#include "tests/client/client_fixture.h"

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SceneTest : public ClientTest {
 protected:
  SceneTest() { server_.service().KnowWords(); }
  void SetUp() override {
    ClientTest::SetUp();
    words_ = {.session_id = request_.session_id,
              .image_id = request_.image_id,
              .things = {.words = {"dog", "cat"}},
              .stuff = {.words = {"sky"}},
              .parts = {.words = {"head"}}};
    everything_ = {.session_id = request_.session_id, .image_id = request_.image_id};
  }

  void ScriptVocabulary(const std::vector<v1::SegmentVocabularyResponse>& messages) {
    server_.service().OnVocabulary([messages](auto&, const auto&, auto& writer) {
      for (const auto& message : messages) writer.Write(message);
      return grpc::Status::OK;
    });
  }
  void ScriptGenerate(const std::vector<v1::GenerateMasksResponse>& messages) {
    server_.service().OnGenerate([messages](auto&, const auto&, auto& writer) {
      for (const auto& message : messages) writer.Write(message);
      return grpc::Status::OK;
    });
  }

  SegmentVocabularyRequest words_;
  GenerateMasksRequest everything_;
};

TEST_F(SceneTest, SegmentsOfEveryKindAreCollected) {
  words_.options = {.instances = true, .semantic = true, .panoptic = true};
  const auto result = client_->SegmentVocabulary(words_);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_THAT(result->segments, SizeIs(4));
  const VocabularySegment& cat = result->segments[1];
  EXPECT_EQ(cat.kind, VocabularySegment::Kind::kInstance);
  EXPECT_EQ(cat.word_index, 1);
  EXPECT_EQ(cat.name, "cat");
  EXPECT_TRUE(cat.is_thing);
  EXPECT_FLOAT_EQ(cat.score, 0.8f);
  EXPECT_EQ(cat.mask.area_px, 32 * 48);
  EXPECT_EQ(cat.mask.box, (PixelBox{.x = 32, .y = 0, .width = 32, .height = 48}));
  EXPECT_EQ(result->segments[2].kind, VocabularySegment::Kind::kPart);
  EXPECT_EQ(result->segments[3].kind, VocabularySegment::Kind::kSemantic);
  EXPECT_EQ(result->segments[3].name, "sky");
  EXPECT_EQ(result->segments_sent, 4);
  EXPECT_EQ(result->image_size, (ImageSize{.height = 48, .width = 64}));

  ASSERT_TRUE(result->panoptic.has_value());
  EXPECT_EQ(result->panoptic->png, "a PNG");
  EXPECT_EQ(result->panoptic->size, (ImageSize{.height = 48, .width = 64}));
  ASSERT_THAT(result->panoptic->segments, SizeIs(2));
  const PanopticSegment& segment = result->panoptic->segments[1];
  EXPECT_EQ(segment.id, 2);
  EXPECT_EQ(segment.word_index, 1);
  EXPECT_EQ(segment.name, "cat");
  EXPECT_TRUE(segment.is_thing);
  EXPECT_FLOAT_EQ(segment.score, 0.75f);
  EXPECT_EQ(segment.area_px, 10);
}

TEST_F(SceneTest, ACallbackTakesTheSegments) {
  std::vector<std::string> names;
  std::vector<int> done;
  const auto result = client_->SegmentVocabulary(
      words_,
      [&](const VocabularySegment& segment) {
        names.push_back(segment.name);
        return true;
      },
      {.on_progress = [&](const Progress& progress) { done.push_back(progress.done); }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(names, ElementsAre("dog", "cat", "head"));
  EXPECT_THAT(done, ElementsAre(3));
  EXPECT_THAT(result->segments, IsEmpty());
  EXPECT_EQ(result->segments_sent, 3);
  EXPECT_FALSE(result->panoptic.has_value());
}

TEST_F(SceneTest, VocabularyRequestsCarryEveryOption) {
  words_.things.mode = TextMode::kPlain;
  words_.options = {.instances = true,
                    .semantic = true,
                    .panoptic = true,
                    .max_instances = 7,
                    .min_score = 0.125f,
                    .max_duplicate_iou = 0.5f,
                    .object_threshold = 0.25f,
                    .overlap_threshold = 0.75f,
                    .temperature = 0,
                    .encoding = MaskEncoding::kPackedBits,
                    .resolution = MaskResolution::kNetwork};
  ASSERT_TRUE(client_->SegmentVocabulary(words_).ok());
  const v1::SegmentVocabularyRequest sent = server_.service().vocabulary_requests().back();
  EXPECT_EQ(sent.session_id(), request_.session_id);
  EXPECT_EQ(sent.image_id(), request_.image_id);
  EXPECT_THAT(sent.things().words(), ElementsAre("dog", "cat"));
  EXPECT_EQ(sent.things().mode(), v1::TEXT_MODE_PLAIN);
  EXPECT_THAT(sent.stuff().words(), ElementsAre("sky"));
  EXPECT_THAT(sent.parts().words(), ElementsAre("head"));
  EXPECT_TRUE(sent.options().instances());
  EXPECT_TRUE(sent.options().semantic());
  EXPECT_TRUE(sent.options().panoptic());
  EXPECT_EQ(sent.options().max_instances(), 7);
  EXPECT_EQ(sent.options().min_score(), 0.125f);
  EXPECT_EQ(sent.options().max_duplicate_iou(), 0.5f);
  EXPECT_EQ(sent.options().object_threshold(), 0.25f);
  EXPECT_EQ(sent.options().overlap_threshold(), 0.75f);
  EXPECT_TRUE(sent.options().has_temperature());
  EXPECT_EQ(sent.options().temperature(), 0);
  EXPECT_EQ(sent.options().encoding(), v1::MASK_ENCODING_PACKED_BITS);
  EXPECT_EQ(sent.options().resolution(), v1::MASK_RESOLUTION_NETWORK);
}

TEST_F(SceneTest, GenerateRequestsCarryEveryOption) {
  everything_.options = {.points_per_side = 8,
                         .levels = {1, 3},
                         .min_predicted_iou = 0.5f,
                         .min_stability = 0.25f,
                         .stability_offset = 2,
                         .nms_iou = 0.75f,
                         .min_region_area_px = 0,
                         .points_per_chunk = 16,
                         .joint_attention = true,
                         .encoding = MaskEncoding::kPng,
                         .resolution = MaskResolution::kNetwork,
                         .min_containment = 0.625f};
  everything_.labels.objects.words = {"dog"};
  ASSERT_TRUE(client_->GenerateMasks(everything_).ok());
  const v1::GenerateMasksRequest sent = server_.service().generate_requests().back();
  const v1::GenerateMasksOptions& options = sent.options();
  EXPECT_EQ(sent.session_id(), request_.session_id);
  EXPECT_EQ(sent.image_id(), request_.image_id);
  EXPECT_THAT(sent.labels().objects().words(), ElementsAre("dog"));
  EXPECT_EQ(options.points_per_side(), 8);
  EXPECT_THAT(options.levels(), ElementsAre(1, 3));
  EXPECT_EQ(options.min_predicted_iou(), 0.5f);
  EXPECT_EQ(options.min_stability(), 0.25f);
  EXPECT_EQ(options.stability_offset(), 2);
  EXPECT_EQ(options.nms_iou(), 0.75f);
  EXPECT_TRUE(options.has_min_region_area_px());
  EXPECT_EQ(options.min_region_area_px(), 0);
  EXPECT_EQ(options.points_per_chunk(), 16);
  EXPECT_TRUE(options.joint_attention());
  EXPECT_EQ(options.encoding(), v1::MASK_ENCODING_PNG);
  EXPECT_EQ(options.resolution(), v1::MASK_RESOLUTION_NETWORK);
  EXPECT_EQ(options.min_containment(), 0.625f);
}

TEST_F(SceneTest, UnsetNumbersStayUnsetOnTheWire) {
  ASSERT_TRUE(client_->SegmentVocabulary(words_).ok());
  const v1::VocabularyOptions words = server_.service().vocabulary_requests().back().options();
  EXPECT_FALSE(words.has_min_score() || words.has_max_duplicate_iou() ||
               words.has_object_threshold() || words.has_overlap_threshold() ||
               words.has_temperature());
  ASSERT_TRUE(client_->GenerateMasks(everything_).ok());
  const v1::GenerateMasksRequest sent = server_.service().generate_requests().back();
  const v1::GenerateMasksOptions& options = sent.options();
  EXPECT_FALSE(sent.has_labels());
  EXPECT_FALSE(options.has_min_predicted_iou() || options.has_min_stability() ||
               options.has_stability_offset() || options.has_nms_iou() ||
               options.has_min_region_area_px() || options.has_min_containment());
}

TEST_F(SceneTest, NumbersThatTheWireCannotCarryAreNamed) {
  words_.options.max_instances = -1;
  EXPECT_EQ(ErrorField(client_->SegmentVocabulary(words_).status()), "options.max_instances");
  words_.things.words = {"dog", "a\x80"};
  EXPECT_EQ(ErrorField(client_->SegmentVocabulary(words_).status()), "things.words[1]");
  everything_.options.points_per_side = -1;
  EXPECT_EQ(ErrorField(client_->GenerateMasks(everything_).status()), "options.points_per_side");
  everything_.options = {.levels = {0}};
  EXPECT_EQ(ErrorField(client_->GenerateMasks(everything_).status()), "options.levels[0]");
  everything_.options = {.min_region_area_px = -5};
  EXPECT_EQ(ErrorField(client_->GenerateMasks(everything_).status()), "options.min_region_area_px");
  everything_.options = {};
  everything_.labels.parts.words = {"\xed\xa0\x80"};
  EXPECT_EQ(ErrorField(client_->GenerateMasks(everything_).status()), "labels.parts.words[0]");
  EXPECT_THAT(server_.service().vocabulary_requests(), IsEmpty());
  EXPECT_THAT(server_.service().generate_requests(), IsEmpty());
}

TEST_F(SceneTest, EverythingComesWithProgressAndATree) {
  everything_.labels.objects.words = {"dog"};
  std::vector<std::pair<int, int>> heard;
  const auto result =
      client_->GenerateMasks(everything_, nullptr, {.on_progress = [&](const Progress& progress) {
                               EXPECT_EQ(progress.stage, Progress::Stage::kPoints);
                               heard.emplace_back(progress.done, progress.total);
                             }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(heard, ElementsAre(std::pair(4, 9), std::pair(9, 9)));
  ASSERT_THAT(result->masks, SizeIs(3));
  EXPECT_EQ(result->masks[2].prompt_index, 2);
  EXPECT_EQ(result->masks[2].object_labels[0].name, "dog");
  EXPECT_THAT(result->parents, ElementsAre(-1, 0, 1));
  EXPECT_EQ(result->masks_sent, 3);
  EXPECT_EQ(result->masks_filtered, 51);
  EXPECT_EQ(result->image_size, (ImageSize{.height = 48, .width = 64}));
}

TEST_F(SceneTest, ACallbackTakesTheMasks) {
  int count = 0;
  const auto result =
      client_->GenerateMasks(everything_, [&count](const Mask&) { return ++count > 0; });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(count, 3);
  EXPECT_THAT(result->masks, IsEmpty());
  EXPECT_THAT(result->parents, SizeIs(3));
}

v1::GenerateMasksResponse AreaMessage(uint64_t area) {
  v1::GenerateMasksResponse response;
  *response.mutable_mask() = MaskMessage().mask();
  response.mutable_mask()->set_area(area);
  return response;
}

v1::GenerateMasksResponse TreeMessage(const std::vector<int>& parents) {
  v1::GenerateMasksResponse response;
  response.mutable_summary()->set_masks_sent(static_cast<uint32_t>(parents.size()));
  for (const int parent : parents) response.mutable_summary()->add_parents(parent);
  return response;
}

TEST_F(SceneTest, ATreeThatIsNoneIsDataLoss) {
  ScriptGenerate({AreaMessage(9), AreaMessage(20), TreeMessage({1, -1})});
  EXPECT_THAT(client_->GenerateMasks(everything_)->parents, ElementsAre(1, -1));
  const std::vector<std::vector<v1::GenerateMasksResponse>> streams = {
      {AreaMessage(9), AreaMessage(20)},                       // no summary
      {AreaMessage(9), TreeMessage({-1, -1})},                 // a mask is missing
      {AreaMessage(9), AreaMessage(9), TreeMessage({1, -1})},  // no larger than the child
      {AreaMessage(9), TreeMessage({0})},                      // its own parent
      {AreaMessage(9), TreeMessage({-2})},                     //
      {AreaMessage(9), TreeMessage({1})},                      // beyond the list
      {TreeMessage({}), AreaMessage(9)},                       // more after the end
      {TreeMessage({}), TreeMessage({})},                      //
  };
  for (size_t i = 0; i < streams.size(); ++i) {
    ScriptGenerate(streams[i]);
    EXPECT_TRUE(absl::IsDataLoss(client_->GenerateMasks(everything_).status())) << "stream " << i;
  }
}

TEST_F(SceneTest, ABrokenStreamOfSegmentsIsDataLoss) {
  v1::SegmentVocabularyResponse good;
  good.mutable_segment()->set_kind(v1::VocabularySegment::KIND_INSTANCE);
  good.mutable_segment()->set_is_thing(true);
  *good.mutable_segment()->mutable_mask() = MaskMessage().mask();
  v1::SegmentVocabularyResponse no_kind = good;
  no_kind.mutable_segment()->set_kind(v1::VocabularySegment::KIND_UNSPECIFIED);
  v1::SegmentVocabularyResponse no_word = good;
  no_word.mutable_segment()->set_word_index(2);
  v1::SegmentVocabularyResponse no_stuff = good;
  no_stuff.mutable_segment()->set_is_thing(false);
  no_stuff.mutable_segment()->set_word_index(1);
  v1::SegmentVocabularyResponse map;
  map.mutable_panoptic()->set_png("x");
  v1::SegmentVocabularyResponse bad_map = map;
  bad_map.mutable_panoptic()->add_segments()->set_word_index(1);  // of one word of stuff
  v1::SegmentVocabularyResponse end;
  end.mutable_summary()->set_segments_sent(1);
  v1::SegmentVocabularyResponse empty_end;
  empty_end.mutable_summary();
  ScriptVocabulary({good, end});
  EXPECT_TRUE(client_->SegmentVocabulary(words_).ok());
  const std::vector<std::vector<v1::SegmentVocabularyResponse>> streams = {
      {good},         {end},           {empty_end, good},     {no_kind, end},
      {no_word, end}, {no_stuff, end}, {map, map, empty_end}, {bad_map, empty_end}};
  for (size_t i = 0; i < streams.size(); ++i) {
    ScriptVocabulary(streams[i]);
    EXPECT_TRUE(absl::IsDataLoss(client_->SegmentVocabulary(words_).status())) << "stream " << i;
  }
  // A map was asked for, and none came.
  words_.options.panoptic = true;
  ScriptVocabulary({empty_end});
  EXPECT_TRUE(absl::IsDataLoss(client_->SegmentVocabulary(words_).status()));
}

TEST_F(SceneTest, ErrorsNameTheirField) {
  const grpc::Status error = MakeError({.code = grpc::StatusCode::INVALID_ARGUMENT,
                                        .message = "is empty",
                                        .reason = "INVALID_ARGUMENT_FIELD",
                                        .field = "things.words[1]"});
  server_.service().OnVocabulary([error](auto&, const auto&, auto&) { return error; });
  const absl::Status status = client_->SegmentVocabulary(words_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(ErrorField(status), "things.words[1]");
  EXPECT_THAT(std::string(status.message()), HasSubstr("things.words[1]"));
  server_.service().OnGenerate([error](auto&, const auto&, auto&) { return error; });
  EXPECT_EQ(ErrorField(client_->GenerateMasks(everything_).status()), "things.words[1]");
}

TEST_F(SceneTest, AModelWithoutTextRefusesWords) {
  server_.service().info.mutable_model()->clear_capabilities();
  const absl::Status status = client_->SegmentVocabulary(words_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(ErrorReason(status), "CAPABILITY_MISSING");
}

TEST_F(SceneTest, CancellingInTheMiddleEndsTheCallOnBothSides) {
  // Sends results until the client goes away.
  const auto endless = [](auto response, const std::shared_ptr<std::promise<void>>& ended) {
    return [response, ended](grpc::ServerContext& context, const auto&, auto& writer) {
      while (!context.IsCancelled() && writer.Write(response)) {
      }
      ended->set_value();
      return grpc::Status::CANCELLED;
    };
  };
  v1::SegmentVocabularyResponse segment;
  segment.mutable_segment()->set_kind(v1::VocabularySegment::KIND_PART);
  *segment.mutable_segment()->mutable_mask() = MaskMessage().mask();

  const auto vocabulary_ended = std::make_shared<std::promise<void>>();
  server_.service().OnVocabulary(endless(segment, vocabulary_ended));
  int count = 0;
  const auto words = client_->SegmentVocabulary(
      words_, [&count](const VocabularySegment&) { return ++count < 2; });
  EXPECT_TRUE(absl::IsCancelled(words.status())) << words.status();
  EXPECT_EQ(count, 2);
  EXPECT_EQ(vocabulary_ended->get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);

  const auto generate_ended = std::make_shared<std::promise<void>>();
  server_.service().OnGenerate(endless(AreaMessage(4), generate_ended));
  std::stop_source stop;
  count = 0;
  const auto masks = client_->GenerateMasks(everything_,
                                            [&](const Mask&) {
                                              if (++count == 3) stop.request_stop();
                                              return true;
                                            },
                                            {.stop = stop.get_token()});
  EXPECT_TRUE(absl::IsCancelled(masks.status())) << masks.status();
  EXPECT_EQ(generate_ended->get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);
}

TEST_F(SceneTest, AStopRequestEndsACallThatOnlyTellsItsProgress) {
  server_.service().OnGenerate([](grpc::ServerContext& context, const auto&, auto& writer) {
    v1::GenerateMasksResponse response;
    response.mutable_progress()->set_total(9);
    while (!context.IsCancelled() && writer.Write(response)) {
    }
    return grpc::Status::CANCELLED;
  });
  std::stop_source stop;
  const auto masks = client_->GenerateMasks(
      everything_, nullptr,
      {.stop = stop.get_token(), .on_progress = [&](const Progress&) { stop.request_stop(); }});
  EXPECT_TRUE(absl::IsCancelled(masks.status())) << masks.status();
}

TEST_F(SceneTest, ADeadlineEndsTheCall) {
  server_.service().OnGenerate([](grpc::ServerContext& context, const auto&, auto& writer) {
    v1::GenerateMasksResponse response;
    response.mutable_progress();
    while (!context.IsCancelled() && writer.Write(response)) {
    }
    return grpc::Status::CANCELLED;
  });
  const auto masks =
      client_->GenerateMasks(everything_, nullptr, {.timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(masks.status())) << masks.status();
  const auto client = ConnectTo(server_, {.default_long_timeout = absl::Milliseconds(100)});
  EXPECT_TRUE(absl::IsDeadlineExceeded(client->GenerateMasks(everything_).status()));
}

TEST_F(SceneTest, ALostImageIsUploadedAgainBeforeTheFirstResult) {
  server_.service().ForgetImages();
  EXPECT_TRUE(absl::IsNotFound(client_->SegmentVocabulary(words_).status()));
  words_.recovery_image = image_;
  const auto words = client_->SegmentVocabulary(words_);
  ASSERT_TRUE(words.ok()) << words.status();
  EXPECT_FALSE(words->recovered_image_id.empty());
  EXPECT_EQ(server_.service().vocabulary_requests().back().image_id(), words->recovered_image_id);

  server_.service().ForgetImages();
  everything_.recovery_image = image_;
  const auto masks = client_->GenerateMasks(everything_);
  ASSERT_TRUE(masks.ok()) << masks.status();
  EXPECT_EQ(server_.service().generate_requests().back().image_id(), masks->recovered_image_id);
  EXPECT_THAT(server_.service().uploads(), SizeIs(3));
}

TEST_F(SceneTest, ACallThatSentMasksIsNotRepeated) {
  server_.service().OnGenerate([](auto&, const auto&, auto& writer) {
    writer.Write(AreaMessage(4));
    return MakeError({.code = grpc::StatusCode::NOT_FOUND, .reason = "IMAGE_NOT_FOUND"});
  });
  everything_.recovery_image = image_;
  EXPECT_TRUE(absl::IsNotFound(client_->GenerateMasks(everything_).status()));
  EXPECT_THAT(server_.service().generate_requests(), SizeIs(1));
  EXPECT_THAT(server_.service().uploads(), SizeIs(1));
}

}  // namespace
}  // namespace semsam::client
