#include "model/tools/bench/side.h"

#include "model/base/status_macros.h"

namespace semsam::bench {

absl::StatusOr<Side> MakeSide(const std::string& weights, int size, ops::Path path) {
  Side side;
  SEMSAM_ASSIGN_OR_RETURN(side.model, LoadModel(weights, at::kCPU, path));
  at::manual_seed(1);
  const at::Tensor pixels = at::randint(0, 256, {1, size, size, 3}).to(at::kByte);
  side.input = side.model.network->Preprocess(
      pixels, PaddedSize(side.model.network->config(), {size, size}));
  side.features = side.model.network->Encode(side.input);
  return side;
}

}  // namespace semsam::bench
