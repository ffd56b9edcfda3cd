// A Segmenter that knows the answers: it recognises pictures and
// returns their true masks and names, so that every figure of an evaluation is known.
#ifndef SEMSAM_TESTS_MODEL_TOOLS_EVAL_TRUTH_SEGMENTER_H_
#define SEMSAM_TESTS_MODEL_TOOLS_EVAL_TRUTH_SEGMENTER_H_

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "model/data/sample.h"
#include "model/image/run_length_sets.h"
#include "model/image/run_lengths.h"
#include "model/segmenter.h"
#include "model/text/prompt_templates.h"

namespace semsam::testing {

struct TruthCounts {
  std::atomic<int> encoded{0};
  std::atomic<int> most_prompts{0};
  std::atomic<int> vocabulary_runs{0};
  std::atomic<int> overlapping{0};  // calls that began while another was running
};

// Pictures are square, `side_px` high, and not resized.
inline ModelConfig TruthConfig(int side_px) {
  ModelConfig config = SwinTiny();
  config.name = "truth";
  config.short_edge_px = side_px;
  config.capabilities = {.click_prompts = true,
                         .box_prompts = true,
                         .object_labels = true,
                         .part_labels = true,
                         .vocabulary = true};
  config.decoder.text_dim = 1;
  return config;
}

class TruthSegmenter final : public Segmenter {
 public:
  TruthSegmenter(std::shared_ptr<const std::vector<LoadedSample>> samples, ModelConfig config,
                 TruthCounts& counts)
      : samples_(std::move(samples)), counts_(counts) {
    info_ = {.config = std::move(config), .digest = "0", .device = "cpu"};
  }

  const ModelInfo& info() const override { return info_; }

  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> Encode(
      absl::Span<const Rgb8Image* const> images) override {
    const Guard guard(*this);
    std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> results;
    for (const Rgb8Image* image : images) {
      ++counts_.encoded;
      results.push_back(Recognise(*image));
    }
    return results;
  }

  int64_t EmbeddingBytes(ImageSize /*network_size*/) const override { return 1; }
  absl::StatusOr<MemoryUse> Memory() const override { return ProcessMemory(); }

  // Stored is which picture it was.
  absl::StatusOr<StoredEmbedding> Store(const Embedding& embedding,
                                        StorageFormat format) const override {
    const auto& known = static_cast<const Known&>(embedding);
    return StoredEmbedding{.format = format,
                           .model_digest = info_.digest,
                           .network_size = known.sample.size,
                           .bytes = absl::StrCat(known.index)};
  }

  absl::StatusOr<std::shared_ptr<const Embedding>> Load(const StoredEmbedding& stored) override {
    const Guard guard(*this);
    size_t index = 0;
    if (!absl::SimpleAtoi(stored.bytes, &index) || index >= samples_->size()) {
      return absl::InvalidArgumentError("stored.bytes: no known picture");
    }
    return Remember(index);
  }

  // The true masks that hold the centre of a prompt, the smallest surest; a box: the one
  // whose box is nearest. What is left of six are empty masks.
  std::vector<absl::StatusOr<DecodeResult>> Decode(
      absl::Span<const DecodeRequest> requests) override {
    const Guard guard(*this);
    std::vector<absl::StatusOr<DecodeResult>> results;
    for (const DecodeRequest& request : requests) results.push_back(DecodeOne(request));
    return results;
  }

  absl::StatusOr<std::shared_ptr<const Embedding>> ProjectValues(
      const std::shared_ptr<const Embedding>& embedding) override {
    return embedding;
  }

  // A word is a number of its own.
  absl::StatusOr<std::vector<float>> EncodeText(absl::Span<const std::string> terms,
                                                TextMode /*mode*/) override {
    const Guard guard(*this);
    std::vector<float> rows;
    for (const std::string& term : terms) rows.push_back(Number(term));
    return rows;
  }

  absl::StatusOr<std::vector<float>> ScoreLabels(
      LabelHead head, absl::Span<const float> query_embeddings,
      absl::Span<const float> text_embeddings) const override {
    std::vector<float> scores;
    for (size_t i = head == LabelHead::kObject ? 0 : 1; i < query_embeddings.size(); i += 2) {
      for (const float word : text_embeddings) {
        scores.push_back(-std::abs(word - query_embeddings[i]));
      }
    }
    return scores;
  }

  // A query for each object, which is surely what it is.
  std::vector<absl::StatusOr<VocabularyResult>> SegmentVocabulary(
      absl::Span<const VocabularyRequest> requests) override {
    const Guard guard(*this);
    std::vector<absl::StatusOr<VocabularyResult>> results;
    for (const VocabularyRequest& request : requests) {
      ++counts_.vocabulary_runs;
      results.push_back(FindObjects(request));
    }
    return results;
  }

 private:
  struct Known final : Embedding {
    size_t index = 0;  // of samples_
    Sample sample;
    int64_t size_bytes() const override { return 1; }
    ImageSize network_size() const override { return sample.size; }
  };

  class Guard {
   public:
    explicit Guard(TruthSegmenter& owner) : owner_(owner) {
      if (owner_.running_.exchange(true)) ++owner_.counts_.overlapping;
    }
    ~Guard() { owner_.running_ = false; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    TruthSegmenter& owner_;
  };

  absl::StatusOr<std::shared_ptr<const Embedding>> Recognise(const Rgb8Image& image) const {
    for (size_t i = 0; i < samples_->size(); ++i) {
      if ((*samples_)[i].picture.pixels == image.pixels) return Remember(i);
    }
    return absl::NotFoundError("an unknown picture");
  }

  std::shared_ptr<const Embedding> Remember(size_t index) const {
    auto known = std::make_shared<Known>();
    known->index = index;
    known->sample = (*samples_)[index].sample;
    return known;
  }

  // Of a word and of a name that is read as it.
  static float Number(const std::string& name) {
    return static_cast<float>(std::hash<std::string>()(PlainTerm(name)) % 1000003);
  }

  // Logits as fine as the padded picture: nothing is lost.
  void AddMask(const RunLengths* mask, DecodeResult& result) const {
    const size_t begin = result.logits.size();
    result.logits.resize(begin + result.grid.area(), -8);
    if (mask == nullptr) return;
    const BinaryMask pixels = DecodeRunLengths(*mask);
    for (int y = 0; y < pixels.size.height; ++y) {
      for (int x = 0; x < pixels.size.width; ++x) {
        if (pixels.pixels[static_cast<size_t>(y) * pixels.size.width + x] == 0) continue;
        result.logits[begin + static_cast<size_t>(y) * result.grid.width + x] = 8;
      }
    }
  }

  std::vector<const Annotation*> Answers(const Sample& sample, const Prompt& prompt) const {
    std::vector<const Annotation*> found;
    const int x = static_cast<int>(prompt.cx * sample.size.width);
    const int y = static_cast<int>(prompt.cy * sample.size.height);
    for (const Annotation& annotation : sample.annotations) {
      if (!annotation.mask.has_value() || annotation.crowd) continue;
      const bool is_click = prompt.w == info_.config.click_size;
      if (!is_click || Contains(*annotation.mask, x, y)) found.push_back(&annotation);
    }
    if (prompt.w == info_.config.click_size) {
      std::stable_sort(found.begin(), found.end(), [](const Annotation* a, const Annotation* b) {
        return MaskArea(*a->mask) < MaskArea(*b->mask);
      });
      return found;
    }
    const auto distance = [&](const Annotation* one) {
      return std::abs((one->box.x0 + one->box.x1) / 2 / sample.size.width - prompt.cx) +
             std::abs((one->box.y0 + one->box.y1) / 2 / sample.size.height - prompt.cy) +
             std::abs((one->box.x1 - one->box.x0) / sample.size.width - prompt.w) +
             std::abs((one->box.y1 - one->box.y0) / sample.size.height - prompt.h);
    };
    std::stable_sort(found.begin(), found.end(), [&](const Annotation* a, const Annotation* b) {
      return distance(a) < distance(b);
    });
    return found;
  }

  DecodeResult DecodeOne(const DecodeRequest& request) const {
    const Sample& sample = static_cast<const Known&>(*request.embedding).sample;
    counts_.most_prompts =
        std::max(counts_.most_prompts.load(), static_cast<int>(request.prompts.size()));
    DecodeResult result{.padded_size = PaddedSize(info_.config, sample.size), .embedding_dim = 2};
    result.grid = result.padded_size;
    for (size_t i = 0; i < request.prompts.size(); ++i) {
      const std::vector<const Annotation*> found = Answers(sample, request.prompts[i]);
      for (const int level : request.levels) {
        const Annotation* const one =
            static_cast<size_t>(level) <= found.size() ? found[level - 1] : nullptr;
        result.scores.push_back({.prompt = static_cast<int>(i),
                                 .level = level,
                                 .predicted_iou = 1.0f / static_cast<float>(level)});
        if (one != nullptr) result.scores.back().box = Relative(one->box, result.padded_size);
        AddMask(one == nullptr ? nullptr : &*one->mask, result);
        result.query_embeddings.push_back(one == nullptr ? -1 : Number(one->object_name));
        result.query_embeddings.push_back(one == nullptr ? -1 : Number(one->part_name));
      }
    }
    return result;
  }

  static CenterBox Relative(const BoxPx& box, ImageSize padded) {
    return {.cx = static_cast<float>((box.x0 + box.x1) / 2 / padded.width),
            .cy = static_cast<float>((box.y0 + box.y1) / 2 / padded.height),
            .w = static_cast<float>((box.x1 - box.x0) / padded.width),
            .h = static_cast<float>((box.y1 - box.y0) / padded.height)};
  }

  VocabularyResult FindObjects(const VocabularyRequest& request) const {
    const Sample& sample = static_cast<const Known&>(*request.embedding).sample;
    DecodeResult masks{.padded_size = PaddedSize(info_.config, sample.size)};
    masks.grid = masks.padded_size;
    VocabularyResult result{.padded_size = masks.padded_size, .grid = masks.grid};
    for (const Annotation& annotation : sample.annotations) {
      if (!annotation.part_name.empty() || !annotation.mask.has_value() || annotation.crowd) {
        continue;
      }
      ++result.queries;
      result.boxes.push_back(Relative(annotation.box, result.padded_size));
      for (const float word : request.object_text) {
        result.object_logits.push_back(word == Number(annotation.object_name) ? 8.0f : -8.0f);
      }
      AddMask(&*annotation.mask, masks);
    }
    result.chosen_queries = result.queries;
    result.mask_logits = std::move(masks.logits);
    return result;
  }

  const std::shared_ptr<const std::vector<LoadedSample>> samples_;
  TruthCounts& counts_;
  ModelInfo info_;
  std::atomic<bool> running_{false};
};

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_TOOLS_EVAL_TRUTH_SEGMENTER_H_
