#include "model/tools/eval/segmenter_predictor.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/evaluation/label_accuracy.h"
#include "model/image/mask_tail.h"
#include "model/image/resize.h"
#include "model/text/prompt_templates.h"

namespace semsam {
namespace {

constexpr int64_t kMaxNetworkPixels = int64_t{4096} * 4096;

absl::StatusOr<std::shared_ptr<const Embedding>> EncodeOne(SegmenterPool::Slot& slot,
                                                           const Rgb8Image& picture,
                                                           ImageSize network) {
  const Rgb8Image* input = &picture;
  Rgb8Image resized;
  if (picture.size != network) {
    resized = ResizeBicubic(picture, network);
    input = &resized;
  }
  MutexLock lock(slot.calls);
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> results =
      slot.segmenter->Encode({&input, 1});
  if (results.size() != 1) return absl::InternalError("the model left out a result");
  return std::move(results.front());
}

class Session final : public SegmenterSession {
 public:
  // `embedding` was made by the segmenter of `slot`.
  Session(SegmenterPool& pool, SegmenterPool::Slot& slot, const LabelText& text,
          const SegmenterPredictorOptions& options, std::shared_ptr<const Embedding> embedding,
          const ImageGeometry& geometry)
      : pool_(pool),
        slot_(slot),
        text_(text),
        options_(options),
        config_(slot.segmenter->info().config),
        embedding_(std::move(embedding)),
        geometry_(geometry) {}
  ~Session() override { pool_.Release(slot_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  absl::StatusOr<std::vector<PromptAnswer>> Click(std::span<const PicturePoint> points) override {
    const double diameter = 2 * options_.click_radius_px;
    const bool own = options_.click_radius_px == 0;
    const float width =
        own ? config_.click_size : static_cast<float>(diameter / geometry_.network.width);
    const float height =
        own ? config_.click_size : static_cast<float>(diameter / geometry_.network.height);
    std::vector<Prompt> prompts;
    for (const PicturePoint& point : points) {
      prompts.push_back({.cx = static_cast<float>(point.x / geometry_.original.width),
                         .cy = static_cast<float>(point.y / geometry_.original.height),
                         .w = width,
                         .h = height,
                         .point_or_box = config_.click_point_or_box});
    }
    return Ask(std::move(prompts));
  }

  absl::StatusOr<std::vector<PromptAnswer>> Box(std::span<const PictureBox> boxes) override {
    const double width = geometry_.original.width, height = geometry_.original.height;
    std::vector<Prompt> prompts;
    for (const PictureBox& box : boxes) {
      prompts.push_back({.cx = static_cast<float>((box.x0 + box.x1) / 2 / width),
                         .cy = static_cast<float>((box.y0 + box.y1) / 2 / height),
                         .w = static_cast<float>((box.x1 - box.x0) / width),
                         .h = static_cast<float>((box.y1 - box.y0) / height),
                         .point_or_box = config_.box_point_or_box});
    }
    return Ask(std::move(prompts));
  }

  absl::StatusOr<VocabularyResult> RunVocabulary(const std::vector<float>& objects) override {
    const VocabularyRequest request = {.embedding = embedding_, .object_text = objects};
    MutexLock lock(slot_.calls);
    std::vector<absl::StatusOr<VocabularyResult>> results =
        slot_.segmenter->SegmentVocabulary({&request, 1});
    if (results.size() != 1) return absl::InternalError("the model left out a result");
    return std::move(results.front());
  }

  const ImageGeometry& geometry() const override { return geometry_; }

 private:
  absl::StatusOr<std::vector<PromptAnswer>> Ask(std::vector<Prompt> prompts) {
    if (prompts.empty()) return std::vector<PromptAnswer>();
    DecodeRequest request = {.embedding = embedding_, .prompts = std::move(prompts)};
    for (int level = 1; level <= config_.levels(); ++level) request.levels.push_back(level);
    SEMSAM_ASSIGN_OR_RETURN(const DecodeResult result, DecodeOne(request));
    if (result.padded_size != geometry_.padded) {
      return absl::InternalError("the model padded the picture to another size");
    }
    std::vector<PromptAnswer> answers(request.prompts.size());
    for (PromptAnswer& answer : answers) answer.geometry = geometry_;
    for (size_t i = 0; i < result.scores.size(); ++i) {
      const MaskScores& scores = result.scores[i];
      if (scores.prompt < 0 || scores.prompt >= static_cast<int>(answers.size())) {
        return absl::InternalError("the model answered what was not asked");
      }
      SEMSAM_ASSIGN_OR_RETURN(PredictedMask mask, MakeMask(result, i));
      answers[scores.prompt].masks.push_back(std::move(mask));
    }
    SEMSAM_RETURN_IF_ERROR(NameMasks(LabelHead::kObject, text_.objects, result, answers,
                                     &PredictedMask::object_labels));
    SEMSAM_RETURN_IF_ERROR(
        NameMasks(LabelHead::kPart, text_.parts, result, answers, &PredictedMask::part_labels));
    return answers;
  }

  absl::StatusOr<DecodeResult> DecodeOne(const DecodeRequest& request) {
    MutexLock lock(slot_.calls);
    std::vector<absl::StatusOr<DecodeResult>> results = slot_.segmenter->Decode({&request, 1});
    if (results.size() != 1) return absl::InternalError("the model left out a result");
    return std::move(results.front());
  }

  absl::StatusOr<PredictedMask> MakeMask(const DecodeResult& result, size_t index) const {
    const LogitsView logits = result.mask_logits(index);
    SEMSAM_RETURN_IF_ERROR(ValidateGeometry(geometry_, logits.size));
    const float* const end = logits.data + logits.size.area();
    if (!std::all_of(logits.data, end, [](float logit) { return std::isfinite(logit); })) {
      return absl::InternalError("the model's mask logits are not finite");
    }
    PredictedMask mask{.mask = LogitsToRunLengths(logits, geometry_, MaskResolution::kOriginal),
                       .score = result.scores[index].predicted_iou};
    if (options_.published_matching) {
      mask.grid = logits.size;
      mask.logits.assign(logits.data, end);
      mask.box = result.scores[index].box;
    }
    return mask;
  }

  // The best labels of every mask; answers are in the order of the result.
  absl::Status NameMasks(LabelHead head, const std::vector<float>& text, const DecodeResult& result,
                         std::vector<PromptAnswer>& answers,
                         std::vector<int> PredictedMask::*labels) const {
    if (text.empty()) return absl::OkStatus();
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<float> scores,
                            slot_.segmenter->ScoreLabels(head, result.query_embeddings, text));
    const size_t words = text.size() / static_cast<size_t>(config_.decoder.text_dim);
    if (scores.size() != words * result.scores.size()) {
      return absl::InternalError("the model scored another number of words");
    }
    std::vector<size_t> named(answers.size());
    for (size_t i = 0; i < result.scores.size(); ++i) {
      const size_t prompt = static_cast<size_t>(result.scores[i].prompt);
      SEMSAM_ASSIGN_OR_RETURN(answers[prompt].masks[named[prompt]++].*labels,
                              RankLabels(std::span(scores).subspan(i * words, words)));
    }
    return absl::OkStatus();
  }

  SegmenterPool& pool_;
  SegmenterPool::Slot& slot_;
  const LabelText& text_;
  const SegmenterPredictorOptions& options_;
  const ModelConfig& config_;
  const std::shared_ptr<const Embedding> embedding_;
  const ImageGeometry geometry_;
};

absl::StatusOr<std::vector<float>> Embed(SegmenterPool& pool, bool able,
                                         const std::vector<std::string>& words, TextMode mode) {
  if (!able || words.empty()) return std::vector<float>();
  return pool.EncodeNames(words, mode);
}

}  // namespace

SegmenterPool::SegmenterPool(std::vector<std::unique_ptr<Segmenter>> segmenters)
    : slots_([&segmenters] {
        std::vector<std::unique_ptr<Slot>> slots;
        for (std::unique_ptr<Segmenter>& segmenter : segmenters) {
          slots.push_back(std::make_unique<Slot>());
          slots.back()->segmenter = std::move(segmenter);
        }
        return slots;
      }()) {}

SegmenterPool::Slot& SegmenterPool::Acquire() {
  MutexLock lock(mutex_);
  const auto least =
      std::min_element(slots_.begin(), slots_.end(),
                       [](const auto& a, const auto& b) { return a->users < b->users; });
  ++(*least)->users;
  return **least;
}

void SegmenterPool::Release(Slot& slot) {
  MutexLock lock(mutex_);
  --slot.users;
}

absl::StatusOr<std::vector<float>> SegmenterPool::EncodeNames(const std::vector<std::string>& names,
                                                              TextMode mode) {
  std::vector<std::string> terms;
  terms.reserve(names.size());
  for (const std::string& name : names) terms.push_back(PlainTerm(name));
  Slot& slot = *slots_.front();
  MutexLock lock(slot.calls);
  return slot.segmenter->EncodeText(terms, mode);
}

absl::Status SegmenterPredictorOptions::Validate() const {
  if (short_edge_px != 0 && (short_edge_px < 32 || short_edge_px > 4096)) {
    return InvalidField("short_edge_px", "must be between 32 and 4096");
  }
  if (!(click_radius_px >= 0 && click_radius_px <= 64)) {
    return InvalidField("click_radius_px", "must be between 0 and 64");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SegmenterPredictor>> SegmenterPredictor::Create(
    SegmenterPool& pool, const LabelWords& words, const SegmenterPredictorOptions& options) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  const Capabilities& able = pool.info().config.capabilities;
  LabelText text;
  SEMSAM_ASSIGN_OR_RETURN(text.objects,
                          Embed(pool, able.object_labels, words.objects, options.text_mode));
  SEMSAM_ASSIGN_OR_RETURN(text.parts,
                          Embed(pool, able.part_labels, words.parts, options.text_mode));
  return std::unique_ptr<SegmenterPredictor>(
      new SegmenterPredictor(pool, std::move(text), options));
}

PredictorTraits SegmenterPredictor::traits() const {
  const ModelConfig& config = pool_.info().config;
  return {.name = config.name.empty() ? "model" : config.name,
          .takes_boxes = config.capabilities.box_prompts,
          .names_objects = !text_.objects.empty(),
          .names_parts = !text_.parts.empty(),
          .thread_safe = true};
}

absl::StatusOr<std::unique_ptr<PictureSession>> SegmenterPredictor::Open(const Rgb8Image& picture) {
  const ModelConfig& config = pool_.info().config;
  const int short_edge =
      options_.short_edge_px == 0 ? config.short_edge_px : options_.short_edge_px;
  SEMSAM_ASSIGN_OR_RETURN(const ImageSize network,
                          CheckedNetworkSize(picture.size, short_edge, kMaxNetworkPixels));
  const ImageGeometry geometry = {
      .original = picture.size, .network = network, .padded = PaddedSize(config, network)};
  SegmenterPool::Slot& slot = pool_.Acquire();
  auto embedding = EncodeOne(slot, picture, network);
  if (!embedding.ok()) {
    pool_.Release(slot);
    return embedding.status();
  }
  return std::make_unique<Session>(pool_, slot, text_, options_, *std::move(embedding), geometry);
}

}  // namespace semsam
