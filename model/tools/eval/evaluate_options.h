// The command line of an evaluation.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_EVALUATE_OPTIONS_H_
#define SEMSAM_MODEL_TOOLS_EVAL_EVALUATE_OPTIONS_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "model/evaluation/protocol.h"
#include "model/tools/eval/data_source.h"
#include "model/tools/eval/sample_pictures.h"
#include "model/tools/eval/segmenter_predictor.h"

namespace semsam {

// In place of weights: the baseline alone.
inline constexpr char kNoWeights[] = "none";

struct EvaluateOptions {
  std::string weights;
  std::string data;   // SplitDataSpecs
  std::string out;    // folder; empty: nothing is written
  std::string words;  // file; empty: the names of each source
  std::string device = "cpu";
  SampleChoice choice;
  PictureOptions pictures;
  SegmenterPredictorOptions predictor;
  // Words are read as the model was trained, where its file lists words of its own, else
  // as an ensemble: predictor.text_mode is set once it is loaded.
  bool text_mode_of_model = true;
  InteractiveOptions interactive;
  int networks = 1;         // copies of the network that work side by side
  int network_threads = 0;  // of each; 0: one a core
  bool vocabulary = true;   // text-only segmentation, where the model can
};

// INVALID_ARGUMENT, marked as UsageError, that names the option.
absl::StatusOr<EvaluateOptions> ParseEvaluateOptions(std::span<const std::string> arguments);

// The options, one a line.
std::string EvaluateHelp();

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_EVALUATE_OPTIONS_H_
