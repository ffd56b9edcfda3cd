// The weights of one model as tensors, by their canonical names.
#ifndef SEMSAM_MODEL_NET_TENSOR_MAP_H_
#define SEMSAM_MODEL_NET_TENSOR_MAP_H_

#include <map>
#include <string>
#include <utility>

#include "model/torch/torch.h"

namespace semsam {

// Immutable once filled, safe to share between threads. Tensors may be views of
// a mapped file: whoever made the map keeps the file open.
class TensorMap {
 public:
  TensorMap() = default;
  explicit TensorMap(std::map<std::string, at::Tensor> tensors) : tensors_(std::move(tensors)) {}

  // Throws c10::Error that names a missing tensor. The weight table has been
  // checked against the file before, so a miss is a mistake in the code.
  const at::Tensor& Get(const std::string& name) const {
    const auto it = tensors_.find(name);
    TORCH_CHECK(it != tensors_.end(), "no weight is named ", name);
    return it->second;
  }

  bool Has(const std::string& name) const { return tensors_.contains(name); }

 private:
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_NET_TENSOR_MAP_H_
