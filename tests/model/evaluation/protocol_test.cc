#include "model/evaluation/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "model/evaluation/disc_predictor.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr ImageSize kSize = {20, 30};

RunLengths Rectangle(int x0, int y0, int x1, int y1) {
  BinaryMask mask{.size = kSize};
  for (int y = 0; y < kSize.height; ++y) {
    for (int x = 0; x < kSize.width; ++x) {
      mask.pixels.push_back(x >= x0 && x < x1 && y >= y0 && y < y1);
    }
  }
  return EncodeRunLengths(mask);
}

// A house with a door; the sky is a crowd. Clicks on both, of two kinds.
EvaluationPicture House(int number) {
  EvaluationPicture picture{.name = "house " + std::to_string(number),
                            .set = number % 2 == 0 ? "even" : "odd"};
  picture.image.size = kSize;
  picture.image.pixels.resize(kSize.area() * 3);
  picture.targets = {{.mask = Rectangle(5, 5, 25, 20),
                      .object_labels = {3, 4},
                      .clicks = {{.kind = 0, .at = {7.5, 7.5}}, {.kind = 1, .at = {12.5, 15.5}}}},
                     {.mask = Rectangle(10, 12, 15, 20),
                      .part_labels = {8},
                      .clicks = {{.kind = 0, .at = {12.5, 16.5}}}},
                     {.mask = Rectangle(0, 0, 30, 20), .crowd = true}};
  return picture;
}

class ListSource : public PictureSource {
 public:
  explicit ListSource(int pictures) : pictures_(pictures) {}

  absl::StatusOr<std::optional<EvaluationPicture>> Next() override {
    if (next_ == broken) return absl::NotFoundError("house.jpg is not there");
    if (next_ == pictures_) return std::nullopt;
    EvaluationPicture picture = House(next_++);
    if (change) change(picture);
    return picture;
  }

  int broken = -1;
  std::function<void(EvaluationPicture&)> change;

 private:
  const int pictures_;
  int next_ = 0;
};

// Answers every prompt with house, half a house and door, the house surest; counts who
// is inside.
class KnowingPredictor : public InteractivePredictor {
 public:
  PredictorTraits traits() const override {
    return {.name = "knows", .takes_boxes = boxes, .names_objects = true, .names_parts = true};
  }

  absl::StatusOr<std::unique_ptr<PictureSession>> Open(const Rgb8Image& picture) override {
    if (picture.size != kSize) return absl::InternalError("not a house");
    ++open_sessions;
    return std::make_unique<Session>(*this);
  }

  bool boxes = true;
  std::function<void(std::vector<PromptAnswer>&)> change;
  int open_sessions = 0;  // not guarded: calls come one after another
  int clicks = 0;
  size_t most_prompts = 0;

 private:
  class Session : public PictureSession {
   public:
    explicit Session(KnowingPredictor& owner) : owner_(owner) {}
    ~Session() override { --owner_.open_sessions; }

    absl::StatusOr<std::vector<PromptAnswer>> Click(std::span<const PicturePoint> points) override {
      owner_.clicks += static_cast<int>(points.size());
      return AnswerAll(points.size());
    }
    absl::StatusOr<std::vector<PromptAnswer>> Box(std::span<const PictureBox> boxes) override {
      EXPECT_EQ(boxes[0], (PictureBox{5, 5, 25, 20}));
      return AnswerAll(boxes.size());
    }

   private:
    std::vector<PromptAnswer> AnswerAll(size_t count) {
      owner_.most_prompts = std::max(owner_.most_prompts, count);
      PromptAnswer answer;
      answer.masks = {{.mask = Rectangle(5, 5, 25, 20), .score = 0.9, .object_labels = {1, 4}},
                      {.mask = Rectangle(5, 5, 15, 20), .score = 0.5},
                      {.mask = Rectangle(10, 12, 15, 20), .score = 0.1, .part_labels = {8}}};
      std::vector<PromptAnswer> answers(count, answer);
      if (owner_.change) owner_.change(answers);
      return answers;
    }

    KnowingPredictor& owner_;
  };
};

const InteractiveOptions kTwoKinds = {.click_kinds = {"deepest", "random"}};

TEST(Protocol, GivesEveryFigureOfKnownAnswers) {
  ListSource source(4);
  KnowingPredictor predictor;
  std::vector<InteractivePredictor*> predictors = {&predictor};
  std::vector<int64_t> seen;
  const auto report =
      EvaluateInteractive(source, predictors, kTwoKinds, [&](const InteractiveProgress& progress) {
        seen.push_back(progress.pictures);
        EXPECT_EQ(progress.prompts, progress.pictures * 5);
      });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(predictor.open_sessions, 0);
  const json rows = report->Json()["rows"];
  ASSERT_EQ(rows.size(), 6);  // even, odd, all; two kinds each
  const json& all = rows[4];
  EXPECT_EQ(all["set"], "all");
  EXPECT_EQ(all["clicks"], "deepest");
  EXPECT_EQ(all["predictor"], "knows");
  EXPECT_EQ(all["point_oracle"]["value"], 1.0);
  EXPECT_EQ(all["point_oracle"]["count"], 8);
  // The door is 40 of the house's 300 px.
  EXPECT_NEAR(all["point_max"]["value"].get<double>(), (1 + 40.0 / 300) / 2, 1e-12);
  // A click on the house, beside the door, has one true mask; one on the door has two.
  EXPECT_EQ(all["all_granularity"]["count"], 4 * (1 + 2));
  EXPECT_EQ(all["all_granularity"]["value"], 1.0);
  EXPECT_EQ(all["granularity"]["value"], 1.5);
  EXPECT_EQ(all["distinct_masks"]["value"], 3.0);
  EXPECT_EQ(all["box_max"]["count"], 8);
  EXPECT_EQ(all["object_top1"]["value"], 0.0);
  EXPECT_EQ(all["object_top5"]["value"], 1.0);
  EXPECT_EQ(all["object_top5"]["count"], 4);
  EXPECT_EQ(all["part_top1"]["value"], 1.0);
  const json& random = rows[5];
  EXPECT_EQ(random["clicks"], "random");
  EXPECT_EQ(random["point_oracle"]["count"], 4);
  EXPECT_EQ(random["part_top1"]["count"], 0);
  EXPECT_TRUE(random["part_top1"]["value"].is_null());
  EXPECT_EQ(rows[0]["set"], "even");
  EXPECT_EQ(rows[0]["point_oracle"]["count"], 4);
}

TEST(Protocol, SetsTheBaselineBesideEveryFigure) {
  ListSource source(2);
  KnowingPredictor knowing;
  DiscPredictor discs;
  std::vector<InteractivePredictor*> predictors = {&knowing, &discs};
  const auto report = EvaluateInteractive(source, predictors, kTwoKinds);
  ASSERT_TRUE(report.ok()) << report.status();
  const json rows = report->Json()["rows"];
  ASSERT_EQ(rows.size(), 12);
  EXPECT_EQ(rows[1]["predictor"], "six discs");
  const double oracle = rows[1]["point_oracle"]["value"];
  EXPECT_GT(oracle, 0.1);
  EXPECT_LT(oracle, 0.9);
  // It names nothing.
  EXPECT_EQ(rows[1]["object_top1"]["count"], 0);
  const std::string table = FormatTable(report->Table());
  EXPECT_THAT(table, HasSubstr("even, deepest, six discs"));
  EXPECT_THAT(table, HasSubstr("Point (Oracle)"));
}

TEST(Protocol, ReportsTheSameFromAnyNumberOfThreads) {
  std::vector<std::string> reports;
  for (const int threads : {1, 4}) {
    ListSource source(40);
    KnowingPredictor knowing;
    DiscPredictor discs;
    std::vector<InteractivePredictor*> predictors = {&knowing, &discs};
    InteractiveOptions options = kTwoKinds;
    options.threads = threads;
    options.prompts_per_call = 2;
    const auto report = EvaluateInteractive(source, predictors, options);
    ASSERT_TRUE(report.ok()) << report.status();
    reports.push_back(report->Json().dump());
    EXPECT_EQ(knowing.clicks, 40 * 3);
    EXPECT_EQ(knowing.most_prompts, 2);
    EXPECT_EQ(knowing.open_sessions, 0);
  }
  EXPECT_EQ(reports[0], reports[1]);
}

TEST(Protocol, AsksForBoxesOnlyWhereTheyAreTaken) {
  ListSource source(1);
  KnowingPredictor predictor;
  predictor.boxes = false;
  std::vector<InteractivePredictor*> predictors = {&predictor};
  const auto report = EvaluateInteractive(source, predictors, kTwoKinds);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->Json()["rows"][0]["box_max"]["value"].is_null());
}

TEST(Protocol, CutsTheTrueMasksOfAClickAndKeepsItsOwn) {
  ListSource source(1);
  source.change = [](EvaluationPicture& picture) {
    for (int i = 0; i < 5; ++i) {
      picture.targets.push_back({.mask = Rectangle(0, 0, 20 + i, 20)});
    }
  };
  KnowingPredictor predictor;
  std::vector<InteractivePredictor*> predictors = {&predictor};
  InteractiveOptions options = kTwoKinds;
  options.max_granularity = 1;
  const auto report = EvaluateInteractive(source, predictors, options);
  ASSERT_TRUE(report.ok()) << report.status();
  const json row = report->Json()["rows"][0];
  EXPECT_EQ(row["granularity"]["value"], 1.0);
  EXPECT_EQ(row["all_granularity"]["value"], 1.0);
}

TEST(Protocol, TellsCategoriesApart) {
  ListSource source(3);
  source.change = [](EvaluationPicture& picture) { picture.targets[0].category = "house"; };
  KnowingPredictor knowing;
  DiscPredictor discs;
  std::vector<InteractivePredictor*> predictors = {&knowing, &discs};
  InteractiveOptions options = kTwoKinds;
  options.threads = 2;
  const auto report = EvaluateInteractive(source, predictors, options);
  ASSERT_TRUE(report.ok()) << report.status();
  const json rows = report->Json()["rows"];
  const json& categories = rows[8]["categories"];  // all, deepest, knows
  ASSERT_EQ(categories.size(), 1);                 // the door has no category
  EXPECT_EQ(categories["house"]["point_oracle"]["value"], 1.0);
  EXPECT_EQ(categories["house"]["point_oracle"]["count"], 3);
  EXPECT_EQ(categories["house"]["point_max"]["value"], 1.0);
  EXPECT_EQ(categories["house"]["distinct_masks"]["value"], 3.0);
  EXPECT_EQ(categories["house"]["three_masks"]["value"], 1.0);
  EXPECT_EQ(rows[0]["categories"]["house"]["three_masks"]["count"], 2);  // even
  // Smaller discs lie in the larger and differ from them.
  EXPECT_GT(rows[9]["categories"]["house"]["distinct_masks"]["value"].get<double>(), 3.0);
}

TEST(Protocol, CallsTheHookWithTheOpenSession) {
  ListSource source(3);
  KnowingPredictor predictor;
  std::vector<InteractivePredictor*> predictors = {&predictor};
  std::vector<std::string> seen;
  const auto hook = [&](const EvaluationPicture& picture, size_t index, PictureSession& session) {
    seen.push_back(picture.name);
    EXPECT_EQ(index, 0);
    EXPECT_EQ(predictor.open_sessions, 1);
    EXPECT_EQ(predictor.clicks, 3 * static_cast<int>(seen.size()));
    EXPECT_TRUE(session.Box(std::vector<PictureBox>{{5, 5, 25, 20}}).ok());
    return seen.size() < 2 ? absl::OkStatus() : absl::DataLossError("no more");
  };
  const auto report = EvaluateInteractive(source, predictors, kTwoKinds, {}, hook);
  EXPECT_EQ(seen, (std::vector<std::string>{"house 0", "house 1"}));
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("house 1: knows: no more"));
  EXPECT_EQ(predictor.open_sessions, 0);
}

TEST(Protocol, HasNothingToSayOfNothing) {
  ListSource source(0);
  DiscPredictor discs;
  std::vector<InteractivePredictor*> predictors = {&discs};
  const auto report = EvaluateInteractive(source, predictors, {});
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->Json()["rows"].empty());
}

TEST(Protocol, SaysWhichPictureAndPredictorFailed) {
  const auto run = [](const std::function<void(ListSource&, KnowingPredictor&)>& prepare,
                      int threads = 1) {
    ListSource source(3);
    KnowingPredictor predictor;
    prepare(source, predictor);
    std::vector<InteractivePredictor*> predictors = {&predictor};
    InteractiveOptions options = kTwoKinds;
    options.threads = threads;
    const auto report = EvaluateInteractive(source, predictors, options);
    EXPECT_EQ(predictor.open_sessions, 0);
    return std::string(report.status().message());
  };
  EXPECT_THAT(run([](ListSource& source, auto&) { source.broken = 2; }),
              HasSubstr("house.jpg is not there"));
  EXPECT_THAT(run([](ListSource& source, auto&) { source.broken = 2; }, 3),
              HasSubstr("house.jpg is not there"));
  EXPECT_THAT(run([](auto&, KnowingPredictor& predictor) {
                predictor.change = [](auto& answers) { answers.pop_back(); };
              }),
              HasSubstr("house 0: knows: 2 answers to 3 prompts"));
  EXPECT_THAT(run([](auto&, KnowingPredictor& predictor) {
                predictor.change = [](auto& answers) { answers[0].masks[1].mask.size = {3, 200}; };
              }),
              HasSubstr("predicted mask 1: runs of 600 px in 200 x 3"));
  EXPECT_THAT(run([](ListSource& source, auto&) {
                source.change = [](EvaluationPicture& picture) {
                  picture.targets[0].clicks[0].at = {1.5, 1.5};
                };
              }),
              HasSubstr("house 0: target 0: the click (1.5, 1.5) is not in its mask"));
  EXPECT_THAT(run([](ListSource& source, auto&) {
                source.change = [](EvaluationPicture& picture) {
                  picture.targets[1].clicks[0].at = {-1, std::nan("")};
                };
              }),
              HasSubstr("is not in its mask"));
  EXPECT_THAT(run([](ListSource& source, auto&) {
                source.change = [](EvaluationPicture& picture) {
                  picture.targets[1].unsure = picture.targets[0].mask;
                };
              }),
              HasSubstr("target 1: pixels of the mask are said to be unsure"));
  EXPECT_THAT(run([](ListSource& source, auto&) {
                source.change = [](EvaluationPicture& picture) {
                  picture.targets[1].clicks[0].kind = 2;
                };
              }),
              HasSubstr("target 1: a click is of unknown kind 2"));
  EXPECT_THAT(run([](ListSource& source, auto&) {
                source.change = [](EvaluationPicture& picture) {
                  picture.targets[1].mask = {.size = {20, 31}, .counts = {620}};
                };
              }),
              HasSubstr("target 1: runs of 620 px in 31 x 20, the picture is 30 x 20"));
}

TEST(Protocol, RefusesOptionsThatMakeNoSense) {
  EXPECT_TRUE(InteractiveOptions{}.Validate().ok());
  EXPECT_FALSE((InteractiveOptions{.click_kinds = {}}).Validate().ok());
  EXPECT_FALSE((InteractiveOptions{.max_granularity = 0}).Validate().ok());
  EXPECT_FALSE((InteractiveOptions{.distinct_iou = 0}).Validate().ok());
  EXPECT_FALSE((InteractiveOptions{.prompts_per_call = 0}).Validate().ok());
  EXPECT_FALSE((InteractiveOptions{.threads = 0}).Validate().ok());
  ListSource source(1);
  EXPECT_FALSE(EvaluateInteractive(source, {}, {}).ok());
}

}  // namespace
}  // namespace semsam
