#include "tests/fakes/fake_segmenter.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

class FakeEmbedding final : public Embedding {
 public:
  // `maker` tells the fake that made it from others; `alive` counts those of its kind.
  FakeEmbedding(std::shared_ptr<const int> maker, ImageSize network, int64_t bytes,
                std::shared_ptr<std::atomic<int>> alive, bool projected = false)
      : maker_(std::move(maker)),
        network_(network),
        bytes_(bytes),
        alive_(std::move(alive)),
        projected_(projected) {
    ++*alive_;
  }
  ~FakeEmbedding() override { --*alive_; }
  int64_t size_bytes() const override { return bytes_; }
  ImageSize network_size() const override { return network_; }
  const int* maker() const { return maker_.get(); }
  bool projected() const { return projected_; }

 private:
  const std::shared_ptr<const int> maker_;  // held, so that its address is nobody else's
  const ImageSize network_;
  const int64_t bytes_;
  const std::shared_ptr<std::atomic<int>> alive_;
  const bool projected_;  // with projected values
};

// Null if `maker` did not make it.
const FakeEmbedding* OwnEmbedding(const Embedding* embedding, const int* maker) {
  const auto* fake = dynamic_cast<const FakeEmbedding*>(embedding);
  return fake != nullptr && fake->maker() == maker ? fake : nullptr;
}

absl::Status ForeignEmbedding() { return absl::InvalidArgumentError("a foreign embedding"); }

std::string StoredText(const std::string& digest, StorageFormat format, ImageSize network,
                       int64_t bytes) {
  return absl::StrCat("fake embedding of ", digest, ", format ", static_cast<int>(format), ", ",
                      network.height, "x", network.width, ", ", bytes, " bytes");
}

// Signs from a 64-bit generator (splitmix64) that the word seeds: unit norm.
std::vector<float> WordVector(std::string_view word, int size) {
  uint64_t state = 1469598103934665603u;  // FNV-1a
  for (const char c : word) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::vector<float> vector(size);
  const float component = 1 / std::sqrt(static_cast<float>(size));
  for (float& value : vector) {
    state += 0x9e3779b97f4a7c15u;
    uint64_t bits = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    value = ((bits >> 40) & 1) != 0 ? component : -component;
  }
  return vector;
}

// The object's vector in the first half, the part's in the second.
void AppendQuery(std::string_view object, std::string_view part, const ModelConfig& config,
                 std::vector<float>& queries) {
  const int half = config.pixel_decoder.hidden_dim / 2;
  for (const std::string_view name : {object, part}) {
    const std::vector<float> vector = WordVector(name, config.decoder.text_dim);
    for (int i = 0; i < half; ++i) queries.push_back(i < config.decoder.text_dim ? vector[i] : 0);
  }
}

// How much a half of a query is the word: 1 if it is, about 0 if not.
float Likeness(const float* half_query, const float* text, const ModelConfig& config) {
  const int size = std::min(config.pixel_decoder.hidden_dim / 2, config.decoder.text_dim);
  float dot = 0;
  float norm = 0;
  for (int i = 0; i < size; ++i) {
    dot += half_query[i] * text[i];
    norm += text[i] * text[i];
  }
  return dot / norm;
}

// A status that shares nothing with `status`: ThreadSanitizer does not see the
// reference counts of a prebuilt Abseil.
absl::Status Copy(const absl::Status& status) {
  absl::Status copy(status.code(), std::string(status.message()));
  status.ForEachPayload([&copy](absl::string_view url, const absl::Cord& payload) {
    copy.SetPayload(url, absl::Cord(std::string(payload)));
  });
  return copy;
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
  DecodeResult result;
  const ImageSize network = request.embedding->network_size();
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
      AppendQuery(absl::StrCat("level ", level), absl::StrCat("part ", level), config,
                  result.query_embeddings);
    }
  }
  result.embedding_dim = config.pixel_decoder.hidden_dim / 2 * 2;
  return result;
}

int MostPrompts(absl::Span<const DecodeRequest> requests) {
  size_t most = 0;
  for (const DecodeRequest& request : requests) most = std::max(most, request.prompts.size());
  return static_cast<int>(most);
}

void DrawRegion(const FakeRegion& region, ImageSize grid, std::vector<float>& logits) {
  for (int y = 0; y < grid.height; ++y) {
    for (int x = 0; x < grid.width; ++x) {
      const float cx = (static_cast<float>(x) + 0.5f) / static_cast<float>(grid.width);
      const float cy = (static_cast<float>(y) + 0.5f) / static_cast<float>(grid.height);
      const bool inside = cx >= region.x0 && cx <= region.x1 && cy >= region.y0 && cy <= region.y1;
      logits.push_back(inside ? 6.0f : -6.0f);
    }
  }
}

// [words] logits of the class named `name`.
void AppendClassLogits(const char* name, float logit, const std::vector<float>& text,
                       const ModelConfig& config, std::vector<float>& logits) {
  const std::vector<float> query = WordVector(name, config.decoder.text_dim);
  for (size_t i = 0; i < text.size(); i += config.decoder.text_dim) {
    const bool same = Likeness(query.data(), text.data() + i, config) > 0.9f;
    logits.push_back(same ? logit : -10.0f);
  }
}

absl::StatusOr<VocabularyResult> SegmentOne(const VocabularyRequest& request,
                                            const ModelConfig& config) {
  VocabularyResult result;
  result.padded_size = PaddedSize(config, request.embedding->network_size());
  result.grid = {result.padded_size.height / 4, result.padded_size.width / 4};
  result.queries = static_cast<int>(std::size(kFakeRegions));
  result.chosen_queries = result.queries - kFakeLearnedRegions;
  for (const FakeRegion& region : kFakeRegions) {
    result.boxes.push_back({.cx = (region.x0 + region.x1) / 2,
                            .cy = (region.y0 + region.y1) / 2,
                            .w = region.x1 - region.x0,
                            .h = region.y1 - region.y0});
    AppendClassLogits(region.object, region.logit, request.object_text, config,
                      result.object_logits);
    AppendClassLogits(region.part, region.logit, request.part_text, config, result.part_logits);
    DrawRegion(region, result.grid, result.mask_logits);
  }
  return result;
}

}  // namespace

ModelConfig WithWords(ModelConfig config) {
  config.text = TextConfig{};
  config.vocabulary = VocabularyConfig{};
  config.capabilities.object_labels = true;
  config.capabilities.part_labels = true;
  config.capabilities.vocabulary = true;
  return config;
}

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
  info_ = {.config = options_.config,
           .digest = options_.digest,
           .device = "cpu",
           .trained = false,
           .vocabulary = options_.vocabulary};
}

double FakeSegmenter::DiscRadius(int level) { return 0.4 / level; }

std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> FakeSegmenter::Encode(
    absl::Span<const Rgb8Image* const> images) {
  const CallGuard guard(*this);
  {
    MutexLock lock(mutex_);
    encode_batches_.push_back(static_cast<int>(images.size()));
    for (const Rgb8Image* image : images) encoded_sizes_.push_back(image->size);
  }
  const absl::Status status = options_.on_encode ? options_.on_encode() : absl::OkStatus();
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> results;
  for (const Rgb8Image* image : images) {
    ++encoded_images_;
    if (status.ok()) {
      results.emplace_back(std::make_shared<const FakeEmbedding>(
          identity_, image->size, options_.embedding_bytes, embeddings_alive_));
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
  if (options_.on_prompts) options_.on_prompts(MostPrompts(requests));
  std::vector<absl::StatusOr<DecodeResult>> results;
  for (const DecodeRequest& request : requests) {
    ++decoded_requests_;
    {
      MutexLock lock(mutex_);
      decoded_prompts_.push_back(static_cast<int>(request.prompts.size()));
    }
    const FakeEmbedding* embedding = OwnEmbedding(request.embedding.get(), identity_.get());
    if (embedding != nullptr && embedding->projected()) ++projected_requests_;
    if (!status.ok()) {
      results.emplace_back(Copy(status));
    } else if (embedding == nullptr) {
      results.emplace_back(ForeignEmbedding());
    } else {
      results.push_back(DecodeOne(request, options_.config));
    }
  }
  return results;
}

std::vector<int> FakeSegmenter::encode_batches() const {
  MutexLock lock(mutex_);
  return encode_batches_;
}

std::vector<ImageSize> FakeSegmenter::encoded_sizes() const {
  MutexLock lock(mutex_);
  return encoded_sizes_;
}

std::vector<int> FakeSegmenter::decode_batches() const {
  MutexLock lock(mutex_);
  return decode_batches_;
}

std::vector<int> FakeSegmenter::decoded_prompts() const {
  MutexLock lock(mutex_);
  return decoded_prompts_;
}

std::vector<int> FakeSegmenter::text_batches() const {
  MutexLock lock(mutex_);
  return text_batches_;
}

int FakeSegmenter::encoded_terms() const {
  MutexLock lock(mutex_);
  return std::accumulate(text_batches_.begin(), text_batches_.end(), 0);
}

int64_t FakeSegmenter::EmbeddingBytes(ImageSize /*network_size*/) const {
  return options_.embedding_bytes;
}

absl::StatusOr<StoredEmbedding> FakeSegmenter::Store(const Embedding& embedding,
                                                     StorageFormat format) const {
  ++stores_;
  if (options_.on_store) {
    const absl::Status status = options_.on_store();
    if (!status.ok()) return Copy(status);
  }
  if (OwnEmbedding(&embedding, identity_.get()) == nullptr) return ForeignEmbedding();
  return StoredEmbedding{
      .format = format,
      .model_digest = info_.digest,
      .network_size = embedding.network_size(),
      .bytes = StoredText(info_.digest, format, embedding.network_size(), embedding.size_bytes())};
}

absl::StatusOr<std::shared_ptr<const Embedding>> FakeSegmenter::Load(
    const StoredEmbedding& stored) {
  const CallGuard guard(*this);
  if (options_.on_load) {
    const absl::Status status = options_.on_load();
    if (!status.ok()) return Copy(status);
  }
  if (stored.bytes !=
      StoredText(info_.digest, stored.format, stored.network_size, options_.embedding_bytes)) {
    return absl::InvalidArgumentError("not what Store wrote");
  }
  ++loads_;
  return std::make_shared<const FakeEmbedding>(identity_, stored.network_size,
                                               options_.embedding_bytes, embeddings_alive_);
}

absl::StatusOr<std::shared_ptr<const Embedding>> FakeSegmenter::ProjectValues(
    const std::shared_ptr<const Embedding>& embedding) {
  const CallGuard guard(*this);
  if (OwnEmbedding(embedding.get(), identity_.get()) == nullptr) return ForeignEmbedding();
  ++projections_;
  return std::make_shared<const FakeEmbedding>(identity_, embedding->network_size(),
                                               embedding->size_bytes() * 2, projections_alive_,
                                               /*projected=*/true);
}

absl::StatusOr<std::vector<float>> FakeSegmenter::EncodeText(absl::Span<const std::string> terms,
                                                             TextMode mode) {
  const CallGuard guard(*this);
  {
    MutexLock lock(mutex_);
    text_batches_.push_back(static_cast<int>(terms.size()));
  }
  if (options_.on_text) {
    const absl::Status status = options_.on_text();
    if (!status.ok()) return Copy(status);
  }
  if (!options_.config.text.has_value()) return absl::FailedPreconditionError("no text encoder");
  std::vector<float> rows;
  for (const std::string& term : terms) {
    std::vector<float> vector = WordVector(term, options_.config.decoder.text_dim);
    // The mode shows where no score looks.
    if (mode == TextMode::kEnsemble) vector.back() = -vector.back();
    rows.insert(rows.end(), vector.begin(), vector.end());
  }
  return rows;
}

absl::StatusOr<std::vector<float>> FakeSegmenter::ScoreLabels(
    LabelHead head, absl::Span<const float> query_embeddings,
    absl::Span<const float> text_embeddings) const {
  const ModelConfig& config = options_.config;
  const bool object = head == LabelHead::kObject;
  if (!(object ? config.capabilities.object_labels : config.capabilities.part_labels)) {
    return absl::FailedPreconditionError("the model has no such head");
  }
  const size_t half = config.pixel_decoder.hidden_dim / 2;
  std::vector<float> logits;
  for (size_t q = 0; q < query_embeddings.size(); q += 2 * half) {
    ++scored_queries_;
    const float* query = query_embeddings.data() + q + (object ? 0 : half);
    for (size_t t = 0; t < text_embeddings.size(); t += config.decoder.text_dim) {
      logits.push_back(10 * Likeness(query, text_embeddings.data() + t, config));
    }
  }
  return logits;
}

std::vector<absl::StatusOr<VocabularyResult>> FakeSegmenter::SegmentVocabulary(
    absl::Span<const VocabularyRequest> requests) {
  const CallGuard guard(*this);
  ++vocabulary_runs_;
  const absl::Status status = options_.on_vocabulary ? options_.on_vocabulary() : absl::OkStatus();
  std::vector<absl::StatusOr<VocabularyResult>> results;
  for (const VocabularyRequest& request : requests) {
    if (!status.ok()) {
      results.emplace_back(Copy(status));
    } else if (OwnEmbedding(request.embedding.get(), identity_.get()) == nullptr) {
      results.emplace_back(ForeignEmbedding());
    } else {
      results.push_back(SegmentOne(request, options_.config));
    }
  }
  return results;
}

std::vector<std::unique_ptr<Segmenter>> FakeModels(const FakeSegmenterOptions& options, int count) {
  std::vector<std::unique_ptr<Segmenter>> models;
  for (int i = 0; i < count; ++i) models.push_back(std::make_unique<FakeSegmenter>(options));
  return models;
}

}  // namespace semsam
