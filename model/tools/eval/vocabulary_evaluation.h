// Text-only segmentation against a data source: AP of boxes, AP of masks in the pictures
// whose objects all have one, and, where every pixel is annotated, PQ and mIoU.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_VOCABULARY_EVALUATION_H_
#define SEMSAM_MODEL_TOOLS_EVAL_VOCABULARY_EVALUATION_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/mutex.h"
#include "model/evaluation/average_precision.h"
#include "model/evaluation/panoptic_quality.h"
#include "model/evaluation/report.h"
#include "model/evaluation/semantic_iou.h"
#include "model/image/vocabulary_inference.h"
#include "model/tools/eval/data_source.h"
#include "model/tools/eval/segmenter_predictor.h"
#include "model/tools/eval/vocabulary_truth.h"

namespace semsam {

// Add may be called by several threads at once; it does not change what comes out.
class VocabularyEvaluation {
 public:
  // Whether model and source allow it: names on the one side, words on the other.
  static bool Possible(const ModelConfig& config, const DataSource& source);

  // The names of the source are what is looked for. Errors: those of EncodeText.
  static absl::StatusOr<std::unique_ptr<VocabularyEvaluation>> Create(SegmenterPool& pool,
                                                                      const DataSource& source,
                                                                      TextMode mode);

  // One picture; `id` is of this picture alone.
  absl::Status Add(int64_t id, const Sample& sample, SegmenterSession& session);

  // A row of the report's table.
  ReportTable Table(const std::string& name) const;
  // Everything, classes included; null where there is nothing.
  nlohmann::json Json() const;

 private:
  VocabularyEvaluation(const ModelConfig& config, const DataSource& source,
                       std::vector<float> text);

  absl::Status AddInstances(int64_t id, const Sample& sample, const VocabularyQueries& queries,
                            int chosen_queries);
  absl::Status AddMaps(const Sample& sample, const VocabularyQueries& queries);

  const VocabularyConfig config_;
  const std::vector<float> text_;
  const bool panoptic_;
  ClassIndex classes_;
  ClassNames names_;
  std::vector<bool> is_thing_;  // by class
  std::vector<PanopticClass> panoptic_classes_;

  mutable Mutex mutex_;
  ApAccumulator boxes_ ABSL_GUARDED_BY(mutex_);
  // Of pictures whose objects all have masks.
  ApAccumulator masks_ ABSL_GUARDED_BY(mutex_);
  PanopticAccumulator quality_ ABSL_GUARDED_BY(mutex_);
  SemanticAccumulator semantic_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_VOCABULARY_EVALUATION_H_
