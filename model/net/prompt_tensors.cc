#include "model/net/prompt_tensors.h"

namespace semsam {

at::Tensor PromptBoxes(absl::Span<const Prompt> prompts, ImageSize network, ImageSize padded) {
  at::Tensor boxes = at::empty({static_cast<int64_t>(prompts.size()), 4}, at::kFloat);
  float* out = boxes.mutable_data_ptr<float>();
  const auto scale = [](float value, int from, int to) {
    return value * static_cast<float>(from) / static_cast<float>(to);
  };
  for (const Prompt& prompt : prompts) {
    *out++ = scale(prompt.cx, network.width, padded.width);
    *out++ = scale(prompt.cy, network.height, padded.height);
    *out++ = scale(prompt.w, network.width, padded.width);
    *out++ = scale(prompt.h, network.height, padded.height);
  }
  return boxes;
}

at::Tensor PromptRows(absl::Span<const Prompt> prompts) {
  at::Tensor rows = at::empty({static_cast<int64_t>(prompts.size())}, at::kLong);
  int64_t* out = rows.mutable_data_ptr<int64_t>();
  for (const Prompt& prompt : prompts) *out++ = prompt.point_or_box;
  return rows;
}

}  // namespace semsam
