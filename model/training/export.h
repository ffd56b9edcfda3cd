// A look at a training that has not ended: the weights of its checkpoint as a model.
#ifndef SEMSAM_MODEL_TRAINING_EXPORT_H_
#define SEMSAM_MODEL_TRAINING_EXPORT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace semsam {

struct ExportedModel {
  std::string name;   // of its configuration
  int64_t steps = 0;  // it has been trained
};

// Writes the averaged weights of the checkpoint at `checkpoint` to `path`, whole or not
// at all, as a finished training writes its result: after the last step the tensors of the
// two files are equal; the list of words is left to `semsam-train vocabulary`, since the data
// may not be at hand. The training may go on meanwhile. Errors: NOT_FOUND, INVALID_ARGUMENT that
// name the checkpoint, or what of it is missing; what the disk says, with `path`.
// Thread-safe.
absl::StatusOr<ExportedModel> ExportCheckpoint(const std::string& checkpoint,
                                               const std::string& path);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_EXPORT_H_
