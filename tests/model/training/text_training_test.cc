// The loop round the distillation: files, limits, and going on.
#include "model/training/text_training.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "model/weights/safetensors.h"
#include "tests/model/training/text_fixture.h"

namespace semsam {
namespace {

// A second later each time it is asked.
class TickingClock final : public Clock {
 public:
  absl::Time Now() const override {
    clock_.Advance(absl::Seconds(1));
    return clock_.Now();
  }

 private:
  mutable FakeClock clock_;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TextTraining : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = TemporaryPath("text_training");
    std::filesystem::create_directories(folder_);
    WriteTargets();
    options_.targets = folder_ + "/targets";
    options_.out = folder_ + "/out";
    options_.metrics = folder_ + "/metrics";
    options_.checkpoint = folder_ + "/checkpoint";
    options_.distillation = Options();
    options_.distillation.optimizer.schedule.total_steps = 8;
    options_.report_every = 2;
    options_.score_every = 4;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void WriteTargets() const {
    const TextTargets targets = Names();
    std::string texts;
    for (const std::string& text : targets.texts) texts += text + "\n";
    const std::vector<uint8_t> held_out(targets.held_out.begin(), targets.held_out.end());
    const at::Tensor rows = targets.rows.contiguous();
    const std::vector<TensorView> tensors = {
        {"texts",
         DType::kUInt8,
         {static_cast<int64_t>(texts.size())},
         {},
         std::as_bytes(std::span(texts.data(), texts.size()))},
        {"targets",
         DType::kFloat32,
         rows.sizes().vec(),
         {},
         {static_cast<const std::byte*>(rows.const_data_ptr()), rows.nbytes()}},
        {"held_out",
         DType::kUInt8,
         {static_cast<int64_t>(held_out.size())},
         {},
         std::as_bytes(std::span(held_out.data(), held_out.size()))}};
    ASSERT_TRUE(WriteSafetensors(folder_ + "/targets", tensors, {}).ok());
  }

  absl::Status Train() {
    std::ostringstream out;
    const absl::Status status = TrainText(options_, clock_, out);
    shown_ = out.str();
    return status;
  }

  std::vector<nlohmann::json> Metrics() const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(options_.metrics);
    for (std::string line; std::getline(file, line);) {
      lines.push_back(nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false));
      EXPECT_TRUE(lines.back().is_object()) << line;
    }
    return lines;
  }

  TickingClock clock_;
  std::string folder_;
  TextTrainingOptions options_;
  std::string shown_;
};

TEST_F(TextTraining, ReportsScoresAndWritesWeights) {
  ASSERT_EQ(Train(), absl::OkStatus());
  EXPECT_TRUE(absl::StrContains(shown_, "90 names to learn")) << shown_;
  std::vector<int64_t> reports;
  std::vector<int64_t> scores;
  for (const nlohmann::json& line : Metrics()) {
    const bool score = line.contains("held_out_cosine");
    (score ? scores : reports).push_back(line["step"].get<int64_t>());
    EXPECT_TRUE(score || line["names_per_second"].get<double>() > 0) << line;
    EXPECT_TRUE(score || line["distance"].get<double>() > 0) << line;
  }
  EXPECT_EQ(reports, (std::vector<int64_t>{2, 4, 6, 8}));
  EXPECT_EQ(scores, (std::vector<int64_t>{4, 8}));
  const auto weights = ReadTextWeights(options_.out, TextModelConfig(Options().text, 16));
  EXPECT_TRUE(weights.ok()) << weights.status();
}

TEST_F(TextTraining, EndsInTimeAndGoesOnToTheSameWeights) {
  ASSERT_EQ(Train(), absl::OkStatus());
  const std::string whole = ReadAll(options_.out);
  std::filesystem::remove(options_.checkpoint);
  std::filesystem::remove(options_.metrics);

  options_.time_limit = absl::Seconds(4);
  ASSERT_EQ(Train(), absl::OkStatus());
  const int64_t reached = Metrics().back()["step"].get<int64_t>();
  EXPECT_GT(reached, 0);
  EXPECT_LT(reached, 8);
  EXPECT_NE(ReadAll(options_.out), whole);
  options_.time_limit = absl::InfiniteDuration();
  ASSERT_EQ(Train(), absl::OkStatus());
  EXPECT_EQ(ReadAll(options_.out), whole);
}

TEST_F(TextTraining, LearnsEverythingWhereNothingIsToBeMeasured) {
  options_.distillation.hold_out = false;
  ASSERT_EQ(Train(), absl::OkStatus());
  EXPECT_TRUE(absl::StrContains(shown_, "100 names to learn")) << shown_;
  for (const nlohmann::json& line : Metrics()) EXPECT_FALSE(line.contains("held_out_cosine"));
}

TEST_F(TextTraining, NamesTheFileThatIsWrong) {
  const auto expect = [&](const std::string& path) {
    const absl::Status status = Train();
    EXPECT_FALSE(status.ok()) << path;
    EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
  };
  const TextTrainingOptions good = options_;
  options_.targets = folder_ + "/absent";
  expect(options_.targets);
  options_ = good;
  options_.metrics = folder_ + "/absent/metrics";
  expect(options_.metrics);
  options_ = good;
  options_.start = folder_ + "/targets";
  expect(options_.start);
  options_ = good;
  std::ofstream(options_.checkpoint) << "no checkpoint";
  expect(options_.checkpoint);
}

TEST_F(TextTraining, OptionsThatCannotWorkAreNamed) {
  const auto field = [&](const auto& change) {
    TextTrainingOptions changed = options_;
    change(changed);
    return std::string(Validate(changed).message());
  };
  EXPECT_EQ(Validate(options_), absl::OkStatus());
  EXPECT_TRUE(absl::StrContains(field([](auto& o) { o.out.clear(); }), "out"));
  EXPECT_TRUE(
      absl::StrContains(field([](auto& o) { o.time_limit = absl::ZeroDuration(); }), "time_limit"));
  EXPECT_TRUE(absl::StrContains(field([](auto& o) { o.distillation.text.token_rank = 1000; }),
                                "token_rank"));
  EXPECT_TRUE(absl::StrContains(field([](auto& o) { o.distillation.batches.texts = 0; }), "texts"));
  EXPECT_TRUE(absl::StrContains(
      field([](auto& o) { o.distillation.optimizer.schedule.total_steps = 0; }), "total_steps"));
}

}  // namespace
}  // namespace semsam
