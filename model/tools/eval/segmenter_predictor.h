// A Segmenter as a predictor of the evaluation protocol: a picture is encoded once and
// answers all its prompts, as the service would.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_SEGMENTER_PREDICTOR_H_
#define SEMSAM_MODEL_TOOLS_EVAL_SEGMENTER_PREDICTOR_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/mutex.h"
#include "model/evaluation/protocol.h"
#include "model/segmenter.h"
#include "model/tools/eval/sample_pictures.h"

namespace semsam {

// Segmenters of the same weights, each of which answers one call at a time. One for each
// picture in work lets every core run a network of its own. Thread-safe.
class SegmenterPool {
 public:
  struct Slot {
    std::unique_ptr<Segmenter> segmenter;
    Mutex calls;  // held during any call but info() and ScoreLabels
    int users = 0;
  };

  // At least one.
  explicit SegmenterPool(std::vector<std::unique_ptr<Segmenter>> segmenters);

  // The slot with the fewest users; Release gives it back.
  Slot& Acquire();
  void Release(Slot& slot);

  const ModelInfo& info() const { return slots_.front()->segmenter->info(); }
  // EncodeText of class names, those of COCO as training reads them (PlainTerm).
  absl::StatusOr<std::vector<float>> EncodeNames(const std::vector<std::string>& names,
                                                 TextMode mode);

 private:
  Mutex mutex_;  // guards Slot::users
  const std::vector<std::unique_ptr<Slot>> slots_;
};

struct SegmenterPredictorOptions {
  int short_edge_px = 0;       // of the network's input; 0: the model's own
  double click_radius_px = 0;  // a click is a square of twice that, network px; 0: the
                               // model's own click size. The published protocol: 3
  TextMode text_mode = TextMode::kEnsemble;
  // Match masks with true ones by the published costs of logits and boxes; else by IoU.
  bool published_matching = true;

  absl::Status Validate() const;
};

// An encoded picture. Not thread-safe; two sessions may be used at the same time.
class SegmenterSession : public PictureSession {
 public:
  ~SegmenterSession() override = default;

  // Text-only segmentation of the picture. FAILED_PRECONDITION if the model cannot.
  virtual absl::StatusOr<VocabularyResult> RunVocabulary(const std::vector<float>& objects) = 0;
  virtual const ImageGeometry& geometry() const = 0;
};

// What predictors of one set of words share. Immutable.
struct LabelText {
  std::vector<float> objects;  // rows of EncodeNames; empty: not asked
  std::vector<float> parts;
};

class SegmenterPredictor : public InteractivePredictor {
 public:
  // Masks are named by `words` as far as the model has heads for it. `pool` outlives
  // this. Errors: INVALID_ARGUMENT for options; those of EncodeText.
  static absl::StatusOr<std::unique_ptr<SegmenterPredictor>> Create(
      SegmenterPool& pool, const LabelWords& words, const SegmenterPredictorOptions& options);

  PredictorTraits traits() const override;

  // The result is a SegmenterSession. Errors: INVALID_ARGUMENT for a picture that would
  // become too large; those of the model.
  absl::StatusOr<std::unique_ptr<PictureSession>> Open(const Rgb8Image& picture) override;

 private:
  SegmenterPredictor(SegmenterPool& pool, LabelText text, const SegmenterPredictorOptions& options)
      : pool_(pool), text_(std::move(text)), options_(options) {}

  SegmenterPool& pool_;
  const LabelText text_;
  const SegmenterPredictorOptions options_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_SEGMENTER_PREDICTOR_H_
