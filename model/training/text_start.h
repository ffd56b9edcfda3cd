// The weights that a text encoder begins with when it is to learn from a teacher.
#ifndef SEMSAM_MODEL_TRAINING_TEXT_START_H_
#define SEMSAM_MODEL_TRAINING_TEXT_START_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "model/base/model_config.h"
#include "model/training/optimizer.h"

namespace semsam {

// The weights of the text encoder alone, by their names in the weight table.
std::vector<std::string> TextWeightNames(const ModelConfig& config);

// Rows [vocabulary, columns] of the pieces of CLIP's vocabulary such that the mean of a
// name's rows comes near the first `columns` of its target: least squares by SIRT
// (Andersen and Kak 1984), damped, so that a piece of one rare name is not bent to it.
// `pieces` are those of each name, `targets` [names, D] float32 with D >= columns; rows
// of pieces in no name are 0. The same on every machine and for any number of threads.
at::Tensor FitPieceRows(absl::Span<const std::vector<int32_t>> pieces, const at::Tensor& targets,
                        int64_t vocabulary, int64_t columns);

// CLIP's initialisation (Radford et al. 2021), but for the table of tokens, which begins
// with FitPieceRows: a name that was never met is then near its kin as far as its pieces
// say. Targets on principal axes make the first columns the best ones. Float32 on the
// CPU.
NamedTensors StartText(const ModelConfig& config, absl::Span<const std::vector<int32_t>> pieces,
                       const at::Tensor& targets, uint64_t seed);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_TEXT_START_H_
