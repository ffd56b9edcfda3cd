#include "model/evaluation/protocol.h"

#include <algorithm>
#include <limits>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"
#include "model/base/status_macros.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

// Whether the mask holds the pixel at this column-major position.
bool Contains(const RunLengths& mask, int64_t position) {
  int64_t end = 0;
  for (size_t i = 0; i < mask.counts.size(); ++i) {
    end += mask.counts[i];
    if (position < end) return i % 2 == 1;
  }
  return false;
}

uint64_t Hash(std::string_view text, uint64_t seed) {
  uint64_t hash = 0xCBF29CE484222325 ^ seed;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return hash;
}

TrueMask TruthOf(const EvaluationTarget& target) {
  return {.mask = &target.mask, .unsure = target.unsure ? &*target.unsure : nullptr};
}

absl::Status ValidateRuns(const RunLengths& mask, ImageSize picture) {
  int64_t pixels = 0;
  for (const uint32_t count : mask.counts) pixels += count;
  if (mask.size == picture && pixels == picture.area()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("runs of ", pixels, " px in ", mask.size.width,
                                                 " x ", mask.size.height, ", the picture is ",
                                                 picture.width, " x ", picture.height));
}

absl::Status ValidatePicture(const EvaluationPicture& picture, size_t click_kinds) {
  const ImageSize size = picture.image.size;
  if (size.height <= 0 || size.width <= 0) {
    return absl::InvalidArgumentError("the picture has no pixels");
  }
  for (size_t i = 0; i < picture.targets.size(); ++i) {
    const EvaluationTarget& target = picture.targets[i];
    const std::string name = absl::StrCat("target ", i);
    SEMSAM_RETURN_IF_ERROR(Annotate(ValidateRuns(target.mask, size), name));
    if (target.unsure) {
      SEMSAM_RETURN_IF_ERROR(Annotate(ValidateRuns(*target.unsure, size), name + ".unsure"));
      if (SharedArea(target.mask, *target.unsure) > 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": pixels of the mask are said to be unsure"));
      }
    }
    for (const TargetClick& click : target.clicks) {
      if (click.kind < 0 || click.kind >= click_kinds) {
        return absl::InvalidArgumentError(
            absl::StrCat(name, ": a click is of unknown kind ", click.kind));
      }
      const bool inside =
          click.at.x >= 0 && click.at.y >= 0 && click.at.x < size.width && click.at.y < size.height;
      if (!inside || !Contains(target.mask, static_cast<int64_t>(click.at.x) * size.height +
                                                static_cast<int64_t>(click.at.y))) {
        return absl::InvalidArgumentError(absl::StrCat(name, ": the click (", click.at.x, ", ",
                                                       click.at.y, ") is not in its mask"));
      }
    }
  }
  return absl::OkStatus();
}

// A prompt and where its scores go.
struct ClickPrompt {
  size_t target = 0;
  int kind = 0;
  PicturePoint at;
};

// True masks that the click is matched with: its target, and others that contain it.
std::vector<TrueMask> MasksUnder(const EvaluationPicture& picture, const ClickPrompt& click,
                                 const InteractiveOptions& options) {
  const int64_t position = static_cast<int64_t>(click.at.x) * picture.image.size.height +
                           static_cast<int64_t>(click.at.y);
  std::vector<TrueMask> masks = {TruthOf(picture.targets[click.target])};
  for (size_t i = 0; i < picture.targets.size(); ++i) {
    const EvaluationTarget& target = picture.targets[i];
    if (i != click.target && !target.crowd && Contains(target.mask, position)) {
      masks.push_back(TruthOf(target));
    }
  }
  const size_t most = static_cast<size_t>(options.max_granularity);
  if (masks.size() > most) {
    std::mt19937_64 random(Hash(picture.name, options.seed) + static_cast<uint64_t>(position));
    for (size_t i = 1; i < most; ++i) {
      std::swap(masks[i], masks[i + random() % (masks.size() - i)]);
    }
    masks.resize(most);
  }
  return masks;
}

// Evaluates pictures, each wholly on the thread that took it from the source.
class Evaluation {
 public:
  Evaluation(PictureSource& source, std::span<InteractivePredictor* const> predictors,
             const InteractiveOptions& options,
             const std::function<void(const InteractiveProgress&)>& progress,
             const PictureHook& hook)
      : source_(source),
        options_(options),
        progress_(progress),
        hook_(hook),
        points_(MakeMatchPoints(options.seed)),
        predictors_(predictors.begin(), predictors.end()),
        traits_(TraitsOf(predictors)),
        calls_(predictors.size()),
        report_(MakeReport()) {}

  absl::StatusOr<InteractiveReport> Run() {
    std::vector<std::thread> threads;
    try {
      for (int i = 1; i < options_.threads; ++i) threads.emplace_back([this] { Work(); });
    } catch (const std::system_error&) {
      // The machine gives no more: those that there are do the work.
    }
    Work();
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(results_mutex_);
    if (!error_.ok()) return error_;
    return std::move(report_);
  }

 private:
  // A picture, and its place in the order of the source.
  struct Item {
    int64_t index = 0;
    EvaluationPicture picture;
  };

  static std::vector<PredictorTraits> TraitsOf(std::span<InteractivePredictor* const> predictors) {
    std::vector<PredictorTraits> traits;
    for (const InteractivePredictor* predictor : predictors) traits.push_back(predictor->traits());
    return traits;
  }

  InteractiveReport MakeReport() const {
    std::vector<std::string> names;
    for (const PredictorTraits& traits : traits_) names.push_back(traits.name);
    return InteractiveReport(std::move(names), options_.click_kinds);
  }

  void Work() {
    while (std::optional<Item> item = TakePicture()) {
      InteractiveReport report = MakeReport();
      const absl::StatusOr<int64_t> prompts = EvaluatePicture(item->picture, report);
      if (!prompts.ok()) {
        Fail(item->index, Annotate(prompts.status(), item->picture.name));
        return;
      }
      MutexLock lock(results_mutex_);
      report_.Merge(report);
      ++done_.pictures;
      done_.prompts += *prompts;
      if (progress_) progress_(done_);
    }
  }

  std::optional<Item> TakePicture() {
    MutexLock lock(source_mutex_);
    if (source_ended_) return std::nullopt;
    absl::StatusOr<std::optional<EvaluationPicture>> picture = source_.Next();
    const int64_t index = taken_++;
    if (!picture.ok()) {
      source_ended_ = true;
      RecordError(index, picture.status());
      return std::nullopt;
    }
    if (!picture->has_value()) {
      source_ended_ = true;
      return std::nullopt;
    }
    return Item{.index = index, .picture = **std::move(picture)};
  }

  void Fail(int64_t index, const absl::Status& error) {
    RecordError(index, error);
    MutexLock lock(source_mutex_);
    source_ended_ = true;
  }

  // Of several errors that of the earliest picture is told.
  void RecordError(int64_t index, const absl::Status& error) {
    MutexLock lock(results_mutex_);
    if (index >= error_index_) return;
    error_index_ = index;
    error_ = error;
  }

  // Runs `call`, alone among calls of a predictor that wants it so.
  template <typename Call>
  auto CallPredictor(size_t predictor, Call&& call) {
    if (traits_[predictor].thread_safe) return call();
    MutexLock lock(calls_[predictor]);
    return call();
  }

  // Returns the number of prompts.
  absl::StatusOr<int64_t> EvaluatePicture(const EvaluationPicture& picture,
                                          InteractiveReport& report) {
    SEMSAM_RETURN_IF_ERROR(ValidatePicture(picture, options_.click_kinds.size()));
    int64_t prompts = 0;
    for (size_t i = 0; i < predictors_.size(); ++i) {
      auto session = CallPredictor(i, [&] { return predictors_[i]->Open(picture.image); });
      absl::StatusOr<int64_t> asked =
          session.ok() ? AskAll(i, **session, picture, report) : session.status();
      if (asked.ok() && hook_) {
        const absl::Status status = CallPredictor(i, [&] { return hook_(picture, i, **session); });
        if (!status.ok()) asked = status;
      }
      // Closing is a call too.
      CallPredictor(i, [&] {
        if (session.ok()) session->reset();
      });
      if (!asked.ok()) return Annotate(asked.status(), traits_[i].name);
      prompts += *asked;
    }
    return prompts;
  }

  absl::StatusOr<int64_t> AskAll(size_t predictor, PictureSession& session,
                                 const EvaluationPicture& picture, InteractiveReport& report) {
    std::vector<ClickPrompt> clicks;
    std::vector<size_t> boxes;  // targets
    for (size_t i = 0; i < picture.targets.size(); ++i) {
      const EvaluationTarget& target = picture.targets[i];
      if (target.crowd) continue;
      for (const TargetClick& click : target.clicks) clicks.push_back({i, click.kind, click.at});
      if (MaskArea(target.mask) > 0) boxes.push_back(i);
    }
    if (!options_.boxes || !traits_[predictor].takes_boxes) boxes.clear();
    const size_t most = static_cast<size_t>(options_.prompts_per_call);
    for (size_t i = 0; i < clicks.size(); i += most) {
      const auto some = std::span(clicks).subspan(i, std::min(most, clicks.size() - i));
      SEMSAM_RETURN_IF_ERROR(AskClicks(predictor, session, picture, some, report));
    }
    for (size_t i = 0; i < boxes.size(); i += most) {
      const auto some = std::span(boxes).subspan(i, std::min(most, boxes.size() - i));
      SEMSAM_RETURN_IF_ERROR(AskBoxes(predictor, session, picture, some, report));
    }
    return static_cast<int64_t>(clicks.size() + boxes.size());
  }

  absl::Status AskClicks(size_t predictor, PictureSession& session,
                         const EvaluationPicture& picture, std::span<const ClickPrompt> clicks,
                         InteractiveReport& report) {
    std::vector<PicturePoint> points;
    for (const ClickPrompt& click : clicks) points.push_back(click.at);
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<PromptAnswer> answers,
                            CallPredictor(predictor, [&] { return session.Click(points); }));
    SEMSAM_RETURN_IF_ERROR(ValidateAnswers(answers, clicks.size(), picture));
    for (size_t i = 0; i < clicks.size(); ++i) {
      InteractiveTally& tally = report.tally(picture.set, predictor, clicks[i].kind);
      SEMSAM_RETURN_IF_ERROR(ScoreClick(traits_[predictor], picture, clicks[i], answers[i], tally));
    }
    return absl::OkStatus();
  }

  absl::Status ScoreClick(const PredictorTraits& traits, const EvaluationPicture& picture,
                          const ClickPrompt& click, const PromptAnswer& answer,
                          InteractiveTally& tally) const {
    const EvaluationTarget& target = picture.targets[click.target];
    const PromptScore score = ScorePrompt(answer, TruthOf(target));
    tally.point_max.Add(score.max_iou);
    tally.point_oracle.Add(score.oracle_iou);
    const int distinct = CountDistinctMasks(answer, options_.distinct_iou);
    tally.distinct_masks.Add(distinct);
    if (!target.category.empty()) {
      CategoryTally& category = tally.categories[target.category];
      category.point_max.Add(score.max_iou);
      category.point_oracle.Add(score.oracle_iou);
      category.distinct_masks.Add(distinct);
      category.three_masks.Add(distinct >= 3 ? 1 : 0);
    }
    const std::vector<TrueMask> masks = MasksUnder(picture, click, options_);
    tally.granularity.Add(static_cast<double>(masks.size()));
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<double> ious,
                            ScoreGranularity(answer, masks, points_));
    for (const double iou : ious) tally.all_granularity.Add(iou);
    return ScoreLabels(traits, target, answer, score.oracle_mask, tally.labels);
  }

  static absl::Status ScoreLabels(const PredictorTraits& traits, const EvaluationTarget& target,
                                  const PromptAnswer& answer, int mask, LabelAccumulator& labels) {
    static const PredictedMask none;
    const PredictedMask& named = mask < 0 ? none : answer.masks[mask];
    if (traits.names_objects && !target.object_labels.empty()) {
      SEMSAM_RETURN_IF_ERROR(
          labels.Add(LabelHead::kObject, named.object_labels, target.object_labels));
    }
    if (traits.names_parts && !target.part_labels.empty()) {
      SEMSAM_RETURN_IF_ERROR(labels.Add(LabelHead::kPart, named.part_labels, target.part_labels));
    }
    return absl::OkStatus();
  }

  absl::Status AskBoxes(size_t predictor, PictureSession& session, const EvaluationPicture& picture,
                        std::span<const size_t> targets, InteractiveReport& report) {
    std::vector<PictureBox> boxes;
    for (const size_t target : targets) {
      const PixelBox box = BoundingBox(picture.targets[target].mask);
      boxes.push_back({.x0 = static_cast<double>(box.x),
                       .y0 = static_cast<double>(box.y),
                       .x1 = static_cast<double>(box.x + box.width),
                       .y1 = static_cast<double>(box.y + box.height)});
    }
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<PromptAnswer> answers,
                            CallPredictor(predictor, [&] { return session.Box(boxes); }));
    SEMSAM_RETURN_IF_ERROR(ValidateAnswers(answers, targets.size(), picture));
    for (size_t i = 0; i < targets.size(); ++i) {
      const PromptScore score = ScorePrompt(answers[i], TruthOf(picture.targets[targets[i]]));
      // Boxes know no kinds of clicks: they stand in the rows of all of them.
      for (size_t kind = 0; kind < options_.click_kinds.size(); ++kind) {
        InteractiveTally& tally = report.tally(picture.set, predictor, kind);
        tally.box_max.Add(score.max_iou);
        tally.box_oracle.Add(score.oracle_iou);
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ValidateAnswers(const std::vector<PromptAnswer>& answers, size_t prompts,
                                      const EvaluationPicture& picture) {
    if (answers.size() != prompts) {
      return absl::InvalidArgumentError(
          absl::StrCat(answers.size(), " answers to ", prompts, " prompts"));
    }
    for (const PromptAnswer& answer : answers) {
      SEMSAM_RETURN_IF_ERROR(ValidateAnswer(answer, picture.image.size));
    }
    return absl::OkStatus();
  }

  PictureSource& source_;
  const InteractiveOptions& options_;
  const std::function<void(const InteractiveProgress&)>& progress_;
  const PictureHook& hook_;
  const std::vector<MatchPoint> points_;
  const std::vector<InteractivePredictor*> predictors_;
  const std::vector<PredictorTraits> traits_;
  std::vector<Mutex> calls_;  // by predictor

  Mutex source_mutex_;
  bool source_ended_ ABSL_GUARDED_BY(source_mutex_) = false;
  int64_t taken_ ABSL_GUARDED_BY(source_mutex_) = 0;

  Mutex results_mutex_;  // taken after source_mutex_
  InteractiveReport report_ ABSL_GUARDED_BY(results_mutex_);
  InteractiveProgress done_ ABSL_GUARDED_BY(results_mutex_);
  absl::Status error_ ABSL_GUARDED_BY(results_mutex_);
  int64_t error_index_ ABSL_GUARDED_BY(results_mutex_) = std::numeric_limits<int64_t>::max();
};

}  // namespace

absl::Status InteractiveOptions::Validate() const {
  if (click_kinds.empty()) return InvalidField("click_kinds", "must not be empty");
  if (max_granularity < 1 || max_granularity > 64) {
    return InvalidField("max_granularity", "must be between 1 and 64");
  }
  if (!(distinct_iou > 0 && distinct_iou <= 1)) {
    return InvalidField("distinct_iou", "must be above 0 and at most 1");
  }
  if (prompts_per_call < 1 || prompts_per_call > 4096) {
    return InvalidField("prompts_per_call", "must be between 1 and 4096");
  }
  if (threads < 1 || threads > 256) return InvalidField("threads", "must be between 1 and 256");
  return absl::OkStatus();
}

absl::StatusOr<InteractiveReport> EvaluateInteractive(
    PictureSource& source, std::span<InteractivePredictor* const> predictors,
    const InteractiveOptions& options,
    const std::function<void(const InteractiveProgress&)>& progress, const PictureHook& hook) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  if (predictors.empty()) return absl::InvalidArgumentError("no predictor to evaluate");
  return Evaluation(source, predictors, options, progress, hook).Run();
}

}  // namespace semsam
