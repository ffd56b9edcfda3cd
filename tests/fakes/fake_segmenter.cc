#include "tests/fakes/fake_segmenter.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

class FakeEmbedding final : public Embedding {
 public:
  FakeEmbedding(ImageSize network, int64_t bytes) : network_(network), bytes_(bytes) {}
  int64_t size_bytes() const override { return bytes_; }
  ImageSize network_size() const override { return network_; }

 private:
  const ImageSize network_;
  const int64_t bytes_;
};

// A status that shares nothing with `status`: ThreadSanitizer does not see the
// reference counts of a prebuilt Abseil.
absl::Status Copy(const absl::Status& status) {
  return absl::Status(status.code(), std::string(status.message()));
}

// Signed distance to the disc's edge in grid cells, positive inside; a box prompt
// becomes the ellipse it encloses, shrunk by level.
void DrawDisc(const Prompt& prompt, int level, ImageSize network, ImageSize grid, float* logits) {
  constexpr double kStride = 4;
  const double centre_x = prompt.cx * network.width / kStride;
  const double centre_y = prompt.cy * network.height / kStride;
  const double short_edge = std::min(network.width, network.height) / kStride;
  const double click_radius = FakeSegmenter::DiscRadius(level) * short_edge;
  const double shrink = FakeSegmenter::DiscRadius(level) / FakeSegmenter::DiscRadius(1);
  const double radius_x = std::max(click_radius, prompt.w * network.width / kStride / 2 * shrink);
  const double radius_y = std::max(click_radius, prompt.h * network.height / kStride / 2 * shrink);
  for (int y = 0; y < grid.height; ++y) {
    for (int x = 0; x < grid.width; ++x) {
      const double dx = (x + 0.5 - centre_x) / radius_x;
      const double dy = (y + 0.5 - centre_y) / radius_y;
      const double edge = (1 - std::sqrt(dx * dx + dy * dy)) * std::min(radius_x, radius_y);
      *logits++ = static_cast<float>(std::clamp(edge * 4, -20.0, 20.0));
    }
  }
}

absl::StatusOr<DecodeResult> DecodeOne(const DecodeRequest& request, const ModelConfig& config) {
  const auto* embedding = dynamic_cast<const FakeEmbedding*>(request.embedding.get());
  if (embedding == nullptr) return absl::InvalidArgumentError("a foreign embedding");
  DecodeResult result;
  const ImageSize network = embedding->network_size();
  result.padded_size = PaddedSize(config, network);
  result.grid = {result.padded_size.height / 4, result.padded_size.width / 4};
  const size_t masks = request.prompts.size() * request.levels.size();
  result.logits.resize(masks * static_cast<size_t>(result.grid.area()));
  float* logits = result.logits.data();
  for (size_t p = 0; p < request.prompts.size(); ++p) {
    for (const int level : request.levels) {
      if (level < 1 || level > config.levels()) {
        return InvalidField("levels", absl::StrCat(level, " is unknown"), reason::kUnknownLevel);
      }
      const Prompt& prompt = request.prompts[p];
      DrawDisc(prompt, level, network, result.grid, logits);
      logits += result.grid.area();
      result.scores.push_back({.prompt = static_cast<int>(p),
                               .level = level,
                               .predicted_iou = 1.0f - 0.1f * static_cast<float>(level),
                               .box = {prompt.cx, prompt.cy, prompt.w, prompt.h}});
    }
  }
  return result;
}

}  // namespace

class FakeSegmenter::CallGuard {
 public:
  explicit CallGuard(FakeSegmenter& fake) : fake_(fake) {
    if (fake_.running_calls_.fetch_add(1) != 0) ++fake_.overlapping_calls_;
  }
  ~CallGuard() { --fake_.running_calls_; }

 private:
  FakeSegmenter& fake_;
};

FakeSegmenter::FakeSegmenter(FakeSegmenterOptions options) : options_(std::move(options)) {
  info_ = {
      .config = options_.config, .digest = std::string(64, 'f'), .device = "cpu", .trained = false};
}

double FakeSegmenter::DiscRadius(int level) { return 0.4 / level; }

std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> FakeSegmenter::Encode(
    absl::Span<const Rgb8Image* const> images) {
  const CallGuard guard(*this);
  const absl::Status status = options_.on_encode ? options_.on_encode() : absl::OkStatus();
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> results;
  for (const Rgb8Image* image : images) {
    ++encoded_images_;
    if (status.ok()) {
      results.emplace_back(
          std::make_shared<const FakeEmbedding>(image->size, options_.embedding_bytes));
    } else {
      results.emplace_back(Copy(status));
    }
  }
  return results;
}

std::vector<absl::StatusOr<DecodeResult>> FakeSegmenter::Decode(
    absl::Span<const DecodeRequest> requests) {
  const CallGuard guard(*this);
  {
    MutexLock lock(mutex_);
    decode_batches_.push_back(static_cast<int>(requests.size()));
  }
  const absl::Status status = options_.on_decode ? options_.on_decode() : absl::OkStatus();
  std::vector<absl::StatusOr<DecodeResult>> results;
  for (const DecodeRequest& request : requests) {
    ++decoded_requests_;
    if (status.ok()) {
      results.push_back(DecodeOne(request, options_.config));
    } else {
      results.emplace_back(Copy(status));
    }
  }
  return results;
}

std::vector<int> FakeSegmenter::decode_batches() const {
  MutexLock lock(mutex_);
  return decode_batches_;
}

absl::StatusOr<std::shared_ptr<const Embedding>> FakeSegmenter::ProjectValues(
    const std::shared_ptr<const Embedding>& embedding) {
  return embedding;
}

absl::StatusOr<std::vector<float>> FakeSegmenter::EncodeText(
    absl::Span<const std::string> /*terms*/, TextMode /*mode*/) {
  return absl::UnimplementedError("EncodeText");
}

absl::StatusOr<std::vector<float>> FakeSegmenter::ScoreLabels(
    LabelHead /*head*/, absl::Span<const float> /*query_embeddings*/,
    absl::Span<const float> /*text_embeddings*/) const {
  return absl::UnimplementedError("ScoreLabels");
}

std::vector<absl::StatusOr<VocabularyResult>> FakeSegmenter::SegmentVocabulary(
    absl::Span<const VocabularyRequest> requests) {
  return std::vector<absl::StatusOr<VocabularyResult>>(
      requests.size(), absl::UnimplementedError("SegmentVocabulary"));
}

}  // namespace semsam
