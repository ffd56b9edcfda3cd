// Tensors as NumPy files of one folder.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_ARRAY_WRITER_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_ARRAY_WRITER_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "model/torch/torch.h"

namespace semsam {

// Lists on `out` what it wrote. Not thread-safe; `out` outlives it.
class ArrayWriter {
 public:
  // `folder` is there.
  ArrayWriter(std::string folder, std::ostream& out) : folder_(std::move(folder)), out_(out) {}

  // FOLDER/NAME.npy; int32 and uint8 stay, int64 becomes int32, all else float32.
  absl::Status Write(const std::string& name, const at::Tensor& tensor);

  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
  std::ostream& out_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_ARRAY_WRITER_H_
