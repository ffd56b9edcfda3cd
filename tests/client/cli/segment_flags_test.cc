#include "client/cli/segment_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

absl::StatusOr<SegmentFlags> Parse(std::vector<std::string> args) {
  args.insert(args.begin(), {"--image", "photo.jpg"});
  SegmentFlags flags;
  ArgParser parser;
  AddSegmentFlags(parser, flags);
  if (absl::Status status = parser.Parse(args); !status.ok()) return status;
  if (absl::Status status = CheckSegmentFlags(parser, flags); !status.ok()) return status;
  return flags;
}

TEST(SegmentFlagsTest, TheTaskFollowsFromWhatIsGiven) {
  EXPECT_EQ(Parse({"--click", "1,2"})->task, Task::kPrompts);
  EXPECT_EQ(Parse({"--box", "1,2,3,4", "--objects", "dog", "--parts", "head"})->task,
            Task::kPrompts);
  EXPECT_EQ(Parse({"--text", "dog"})->task, Task::kWords);
  EXPECT_EQ(Parse({"--stuff", "sky"})->task, Task::kWords);
  EXPECT_EQ(Parse({"--parts", "head"})->task, Task::kWords);
  EXPECT_EQ(Parse({"--text", "dog", "--parts", "head"})->task, Task::kWords);
  EXPECT_EQ(Parse({"--everything"})->task, Task::kEverything);
  EXPECT_EQ(Parse({"--everything", "--parts", "head"})->task, Task::kEverything);
}

TEST(SegmentFlagsTest, FlagsThatDoNotGoTogetherAreNamed) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "--click or --box: at least one is needed, or --everything, or words"},
      {{"--objects", "dog"}, "--click or --box: at least one is needed"},
      {{"--objects", "dog", "--parts", "head"}, "--click or --box: at least one is needed"},
      {{"--everything", "--click", "1,2"}, "--everything: takes no --click"},
      {{"--everything", "--text", "dog"}, "--text: does not go with --everything"},
      {{"--everything", "--stuff", "sky"}, "--stuff: does not go with --everything"},
      {{"--click", "1,2", "--text", "dog"}, "--text: does not go with --click"},
      {{"--text", "dog", "--objects", "cat"}, "--objects: goes with --click and --box, or --every"},
      {{"--text", "dog", "--levels", "1"}, "--levels: goes with --click"},
      {{"--text", "dog", "--min-iou", "1"}, "--min-iou: goes with"},
      {{"--text", "dog", "--normalized"}, "--normalized: goes with --click and --box"},
      {{"--everything", "--panoptic"}, "--panoptic: goes with --text"},
      {{"--click", "1,2", "--panoptic"}, "--panoptic: goes with --text"},
      {{"--everything", "--max-duplicate-iou", "0.5"}, "--max-duplicate-iou: goes with --click"},
      {{"--click", "1,2", "--points-per-side", "8"}, "--points-per-side: goes with --everything"},
      {{"--text", "dog", "--nms-iou", "0.5"}, "--nms-iou: goes with --everything"},
      {{"--click", "1,2", "--text-mode", "plain"}, "--text-mode: needs words"},
      {{"--everything", "--max-labels", "2"}, "--max-labels: needs words"},
      {{"--click", "1,2", "--min-score", "0.5"}, "--min-score: needs words"},
      {{"--parts", "head", "--panoptic"}, "--panoptic: needs words, from --text or --stuff"},
      {{"--text", "dog,,cat"}, "--text: word 2"},
      {{"--everything", "--points-per-side", "0"}, "--points-per-side: '0' is no whole number"},
      {{"--text", "dog", "--text-mode", "loud"}, "--text-mode: 'loud' is no text mode"},
  };
  for (const auto& [args, text] : cases) {
    const absl::Status status = Parse(args).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_THAT(std::string(status.message()), StartsWith(text));
  }
}

TEST(SegmentFlagsTest, EveryListHasTheTextMode) {
  const auto flags =
      Parse({"--click", "1,2", "--objects", "dog", "--parts", "head", "--text_mode", "plain"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->labels.objects.mode, TextMode::kPlain);
  EXPECT_EQ(flags->labels.parts.mode, TextMode::kPlain);
}

TEST(SegmentFlagsTest, WhatWordsAnswerFollowsFromTheLists) {
  const auto answers = [](const std::vector<std::string>& args) {
    const VocabularyOptions options = Parse(args)->ToVocabularyOptions();
    return std::vector<bool>{options.instances, options.semantic, options.panoptic};
  };
  EXPECT_THAT(answers({"--text", "dog"}), ElementsAre(true, false, false));
  EXPECT_THAT(answers({"--parts", "head"}), ElementsAre(true, false, false));
  EXPECT_THAT(answers({"--stuff", "sky"}), ElementsAre(false, true, false));
  EXPECT_THAT(answers({"--text", "dog", "--stuff", "sky"}), ElementsAre(true, true, false));
  EXPECT_THAT(answers({"--text", "dog", "--panoptic"}), ElementsAre(false, false, true));
  EXPECT_THAT(answers({"--stuff", "sky", "--instances", "--panoptic"}),
              ElementsAre(true, false, true));
}

TEST(SegmentFlagsTest, OptionsReachTheirRequests) {
  const auto words = Parse({"--text", "dog", "--max-instances", "5", "--min-score", "0.25",
                            "--max-duplicate-iou", "0.5", "--object-threshold", "0.125",
                            "--overlap-threshold", "0.75", "--temperature", "0"});
  ASSERT_TRUE(words.ok()) << words.status();
  const VocabularyOptions vocabulary = words->ToVocabularyOptions();
  EXPECT_EQ(vocabulary.max_instances, 5);
  EXPECT_EQ(vocabulary.min_score, 0.25f);
  EXPECT_EQ(vocabulary.max_duplicate_iou, 0.5f);
  EXPECT_EQ(vocabulary.object_threshold, 0.125f);
  EXPECT_EQ(vocabulary.overlap_threshold, 0.75f);
  EXPECT_EQ(vocabulary.temperature, 0.0f);

  const auto grid = Parse({"--everything",
                           "--points-per-side",
                           "8",
                           "--levels",
                           "1,2",
                           "--min-iou",
                           "0.5",
                           "--min-stability",
                           "0.25",
                           "--stability-offset",
                           "2",
                           "--nms-iou",
                           "0.75",
                           "--min-region-area",
                           "0",
                           "--points-per-chunk",
                           "16",
                           "--joint-attention",
                           "--min-containment",
                           "0.625",
                           "--objects",
                           "dog",
                           "--min-score",
                           "0.5"});
  ASSERT_TRUE(grid.ok()) << grid.status();
  const GenerateMasksOptions options = grid->ToGenerateMasksOptions();
  EXPECT_EQ(options.points_per_side, 8);
  EXPECT_THAT(options.levels, ElementsAre(1, 2));
  EXPECT_EQ(options.min_predicted_iou, 0.5f);
  EXPECT_EQ(options.min_stability, 0.25f);
  EXPECT_EQ(options.stability_offset, 2.0f);
  EXPECT_EQ(options.nms_iou, 0.75f);
  EXPECT_EQ(options.min_region_area_px, 0);
  EXPECT_EQ(options.points_per_chunk, 16);
  EXPECT_TRUE(options.joint_attention);
  EXPECT_EQ(options.min_containment, 0.625f);
  EXPECT_EQ(grid->labels.min_score, 0.5f);

  const GenerateMasksOptions defaults = Parse({"--everything"})->ToGenerateMasksOptions();
  EXPECT_FALSE(defaults.min_region_area_px.has_value());
  EXPECT_FALSE(defaults.min_predicted_iou.has_value());
}

}  // namespace
}  // namespace semsam::client
