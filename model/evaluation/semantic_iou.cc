#include "model/evaluation/semantic_iou.h"

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

Figure Ratio(int64_t part, int64_t whole) {
  if (whole == 0) return {};
  return {.value = static_cast<double>(part) / static_cast<double>(whole), .count = whole};
}

}  // namespace

absl::Status SemanticIouOptions::Validate() const {
  if (classes < 1 || classes > kMaxSemanticClasses) {
    return InvalidField("classes", absl::StrCat("must be 1 to ", kMaxSemanticClasses));
  }
  if (ignore_label >= 0 && ignore_label < classes) {
    return InvalidField("ignore_label", absl::StrCat(ignore_label, " is a class"));
  }
  return absl::OkStatus();
}

SemanticAccumulator::SemanticAccumulator(const SemanticIouOptions& options)
    : options_(options), classes_(options.classes) {}

absl::Status SemanticAccumulator::Add(std::span<const uint16_t> truth,
                                      std::span<const uint16_t> prediction) {
  if (truth.size() != prediction.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the truth has ", truth.size(), " px, the prediction ", prediction.size()));
  }
  for (size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == options_.ignore_label) continue;
    if (truth[i] >= options_.classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("true label ", truth[i], " at px ", i, " is not one of ", options_.classes));
    }
    if (prediction[i] >= options_.classes) {
      return absl::InvalidArgumentError(absl::StrCat("predicted label ", prediction[i], " at px ",
                                                     i, " is not one of ", options_.classes));
    }
  }
  for (size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == options_.ignore_label) continue;
    ++classes_[truth[i]].truth;
    ++classes_[prediction[i]].predicted;
    if (truth[i] == prediction[i]) ++classes_[truth[i]].shared;
  }
  ++pictures_;
  return absl::OkStatus();
}

absl::Status SemanticAccumulator::Merge(const SemanticAccumulator& other) {
  if (options_.classes != other.options_.classes ||
      options_.ignore_label != other.options_.ignore_label) {
    return absl::InvalidArgumentError("the options of the two differ");
  }
  for (size_t i = 0; i < classes_.size(); ++i) {
    classes_[i].shared += other.classes_[i].shared;
    classes_[i].truth += other.classes_[i].truth;
    classes_[i].predicted += other.classes_[i].predicted;
  }
  pictures_ += other.pictures_;
  return absl::OkStatus();
}

SemanticResult SemanticAccumulator::Result() const {
  SemanticResult result{.pictures = pictures_};
  ExactMean iou, accuracy;
  int64_t shared = 0, pixels = 0;
  double weighted = 0;
  for (const Tally& tally : classes_) {
    SemanticScores scores{.iou = Ratio(tally.shared, tally.truth + tally.predicted - tally.shared),
                          .accuracy = Ratio(tally.shared, tally.truth)};
    if (tally.truth > 0) {
      iou.Add(scores.iou.value);
      accuracy.Add(scores.accuracy.value);
      weighted += scores.iou.value * static_cast<double>(tally.truth);
    }
    shared += tally.shared;
    pixels += tally.truth;
    result.classes.push_back(scores);
  }
  result.mean_iou = iou.figure();
  result.mean_accuracy = accuracy.figure();
  result.pixel_accuracy = Ratio(shared, pixels);
  if (pixels > 0) {
    result.weighted_iou = {.value = weighted / static_cast<double>(pixels), .count = pixels};
  }
  return result;
}

}  // namespace semsam
