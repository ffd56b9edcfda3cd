// Interactive evaluation: what a predictor is asked, of which pictures, and the loop
// that asks and scores.
#ifndef SEMSAM_MODEL_EVALUATION_PROTOCOL_H_
#define SEMSAM_MODEL_EVALUATION_PROTOCOL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/evaluation/interactive_report.h"
#include "model/evaluation/interactive_score.h"

namespace semsam {

// Original pixels, origin at the top left corner, pixel centres at +0.5.
struct PicturePoint {
  double x = 0;
  double y = 0;

  friend bool operator==(const PicturePoint&, const PicturePoint&) = default;
};

struct PictureBox {
  double x0 = 0;
  double y0 = 0;
  double x1 = 0;  // right and bottom edge, exclusive
  double y1 = 0;

  friend bool operator==(const PictureBox&, const PictureBox&) = default;
};

// One picture as a predictor holds it between prompts: encoded, in the case of a
// network. Each prompt is answered as if it were alone.
class PictureSession {
 public:
  virtual ~PictureSession() = default;

  // One answer for each point, or each box.
  virtual absl::StatusOr<std::vector<PromptAnswer>> Click(std::span<const PicturePoint> points) = 0;
  virtual absl::StatusOr<std::vector<PromptAnswer>> Box(std::span<const PictureBox> boxes) = 0;
};

// What a predictor can do.
struct PredictorTraits {
  std::string name;  // in the report
  // Without boxes, PictureSession::Box is never called.
  bool takes_boxes = false;
  // Whether masks come with labels; a mask without them is then named wrongly.
  bool names_objects = false;
  bool names_parts = false;
  // Whether Open and sessions may be called from several threads at once. If not, calls
  // come one after another, but those of two sessions may alternate. A session is never
  // called from two threads at once; its picture and its predictor outlive it.
  bool thread_safe = false;
};

class InteractivePredictor {
 public:
  virtual ~InteractivePredictor() = default;

  virtual PredictorTraits traits() const = 0;  // always the same

  virtual absl::StatusOr<std::unique_ptr<PictureSession>> Open(const Rgb8Image& picture) = 0;
};

struct TargetClick {
  int kind = 0;  // of InteractiveOptions::click_kinds
  PicturePoint at;
};

// One true mask. Labels are indices of the vocabulary that the predictor's labels are
// of; all of a list are right.
struct EvaluationTarget {
  RunLengths mask;
  // Pixels of which it is not known whether they belong, such as the unsure border of
  // some data sets; none of the mask's.
  std::optional<RunLengths> unsure;
  // Neither asked for nor matched.
  bool crowd = false;
  std::string category;             // a group of figures; empty: none
  std::vector<int> object_labels;   // empty: not known
  std::vector<int> part_labels;     // empty: not known
  std::vector<TargetClick> clicks;  // each on a pixel of the mask
};

struct EvaluationPicture {
  std::string name;  // for messages; distinct, for random numbers follow from it
  std::string set;   // a group of the report: the dataset
  Rgb8Image image;
  std::vector<EvaluationTarget> targets;
};

class PictureSource {
 public:
  virtual ~PictureSource() = default;

  // The next picture, nullopt after the last. Called by one thread at a time.
  virtual absl::StatusOr<std::optional<EvaluationPicture>> Next() = 0;
};

struct InteractiveOptions {
  // A row of the report each: how the clicks of targets were chosen.
  std::vector<std::string> click_kinds = {"deepest"};
  bool boxes = true;  // ask for the bounding box of each target
  // True masks that one click is matched with: the one it was made for, and others that
  // contain it, drawn at random where there are more. The paper: one a token.
  int max_granularity = 6;
  double distinct_iou = 0.9;  // masks of one click with an IoU below this are distinct
  int prompts_per_call = 32;
  int threads = 1;  // pictures in work; memory grows with it
  uint64_t seed = 1;

  absl::Status Validate() const;
};

// Asked after the prompts of a picture, with the session still open: what else is to be
// measured there needs no second encoding. May be called by several threads at once.
using PictureHook = std::function<absl::Status(const EvaluationPicture& picture, size_t predictor,
                                               PictureSession& session)>;

struct InteractiveProgress {
  int64_t pictures = 0;  // done
  int64_t prompts = 0;   // answered, all predictors together
};

// Asks every predictor about every picture. The report does not depend on the number of
// threads. `progress` (may be empty) is called after each picture, by one thread at a
// time, and must not wait for another. Stops at the first error, which names picture and predictor:
// those of source, predictors and `hook` (may be empty), and INVALID_ARGUMENT where sizes
// disagree, a click does not lie in its mask, or an answer is unsound.
absl::StatusOr<InteractiveReport> EvaluateInteractive(
    PictureSource& source, std::span<InteractivePredictor* const> predictors,
    const InteractiveOptions& options,
    const std::function<void(const InteractiveProgress&)>& progress = {},
    const PictureHook& hook = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_EVALUATION_PROTOCOL_H_
