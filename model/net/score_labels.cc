#include "model/net/score_labels.h"

#include <c10/core/InferenceMode.h>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"

namespace semsam {
namespace {

absl::Status CheckRows(const char* field, absl::Span<const float> values, int64_t width) {
  if (values.size() % width == 0) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("must be rows of ", width));
}

at::Tensor AsRows(absl::Span<const float> values, int64_t width) {
  return at::from_blob(const_cast<float*>(values.data()),
                       {static_cast<int64_t>(values.size()) / width, width}, at::kFloat);
}

}  // namespace

absl::StatusOr<std::vector<float>> ScoreLabels(const SemanticSam& network, LabelHead head,
                                               absl::Span<const float> query_embeddings,
                                               absl::Span<const float> text_embeddings) {
  const ModelConfig& config = network.config();
  if (!network.class_heads().Has(head)) {
    return ErrorWithReason(absl::StatusCode::kFailedPrecondition, reason::kCapabilityMissing,
                           head == LabelHead::kObject ? "the model has no object labels"
                                                      : "the model has no part labels");
  }
  const int64_t width = config.pixel_decoder.hidden_dim;
  const int64_t text_dim = config.decoder.text_dim;
  SEMSAM_RETURN_IF_ERROR(CheckRows("query_embeddings", query_embeddings, width));
  SEMSAM_RETURN_IF_ERROR(CheckRows("text_embeddings", text_embeddings, text_dim));
  if (query_embeddings.empty() || text_embeddings.empty()) return std::vector<float>();
  return CatchTorch([&] {
    c10::InferenceMode inference;
    const at::Device device = network.pixel_decoder().mask_projection().weight.device();
    const at::Tensor logits = network.class_heads()
                                  .Logits(head, AsRows(query_embeddings, width).to(device),
                                          AsRows(text_embeddings, text_dim).to(device))
                                  .cpu()
                                  .contiguous();
    const float* values = logits.const_data_ptr<float>();
    return std::vector<float>(values, values + logits.numel());
  });
}

}  // namespace semsam
