#include "model/training/step_sums.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/torch/catch.h"

namespace semsam {
namespace {

// The gradients of all parameters in a row, each with a 1 behind it, or zeros where it
// has none.
at::Tensor Flattened(const NamedTensors& parameters) {
  std::vector<at::Tensor> parts;
  for (const auto& [name, parameter] : parameters) {
    const at::Tensor& gradient = parameter.grad();
    const bool has = gradient.defined();
    parts.push_back(has ? gradient.flatten() : at::zeros_like(parameter).flatten());
    parts.push_back(at::full({1}, has ? 1.0 : 0.0, parameter.options()));
  }
  return at::cat(parts);
}

// Undoes Flattened.
void SetGradients(const at::Tensor& flat, const NamedTensors& parameters) {
  int64_t begin = 0;
  const at::Tensor on_cpu = flat.to(at::kCPU);
  for (const auto& [name, parameter] : parameters) {
    const int64_t end = begin + parameter.numel();
    if (on_cpu.const_data_ptr<float>()[end] > 0) {
      at::Tensor(parameter).mutable_grad() =
          flat.slice(0, begin, end).view(parameter.sizes()).clone();
    }
    begin = end + 1;
  }
}

// The rest of a longer message is cut off.
constexpr int64_t kMaxMessageBytes = 2000;

// The error of the first process that has one. A sum of numbers carries it: every
// process has a row of its own, of the code and the bytes of the message.
absl::Status FirstError(Processes& processes, const absl::Status& own) {
  at::Tensor rows = at::zeros({processes.count(), 1 + kMaxMessageBytes}, at::kFloat);
  if (!own.ok()) {
    float* row = rows[processes.rank()].mutable_data_ptr<float>();
    const absl::string_view message = own.message().substr(0, kMaxMessageBytes);
    row[0] = static_cast<float>(own.code());
    std::transform(message.begin(), message.end(), row + 1,
                   [](char byte) { return static_cast<float>(static_cast<uint8_t>(byte)); });
  }
  SEMSAM_RETURN_IF_ERROR(processes.Sum(rows));
  for (int rank = 0; rank < processes.count(); ++rank) {
    const float* row = rows[rank].const_data_ptr<float>();
    if (row[0] == 0) continue;
    std::string message;
    for (int64_t i = 1; i <= kMaxMessageBytes && row[i] != 0; ++i) {
      message.push_back(static_cast<char>(static_cast<uint8_t>(row[i])));
    }
    const absl::Status error(static_cast<absl::StatusCode>(static_cast<int>(row[0])), message);
    return Annotate(error, absl::StrCat("process ", rank));
  }
  return absl::InternalError("no process tells its error");
}

}  // namespace

absl::Status SumOverProcesses(Processes& processes, const absl::Status& own, StepSums& sums) {
  if (processes.count() == 1) return own;
  double failed = own.ok() ? 0 : 1;
  std::vector<double*> values = {&sums.loss,     &sums.pairs,       &sums.prompt_pairs,
                                 &sums.pictures, &sums.bad_samples, &sums.stop,
                                 &failed};
  for (double& term : sums.terms) values.push_back(&term);
  return CatchTorch([&]() -> absl::Status {
    at::Tensor flat = at::empty({static_cast<int64_t>(values.size())}, at::kDouble);
    double* out = flat.mutable_data_ptr<double>();
    for (size_t i = 0; i < values.size(); ++i) out[i] = *values[i];
    SEMSAM_RETURN_IF_ERROR(processes.Sum(flat));
    for (size_t i = 0; i < values.size(); ++i) *values[i] = out[i];
    return failed > 0 ? FirstError(processes, own) : absl::OkStatus();
  });
}

absl::Status SumGradients(Processes& processes, const NamedTensors& parameters, double pairs) {
  return CatchTorch([&]() -> absl::Status {
    const c10::NoGradGuard no_grad;
    if (processes.count() > 1) {
      at::Tensor flat = Flattened(parameters);
      SEMSAM_RETURN_IF_ERROR(processes.Sum(flat));
      SetGradients(flat, parameters);
    }
    for (const auto& [name, parameter] : parameters) {
      if (parameter.grad().defined()) at::Tensor(parameter).mutable_grad().div_(pairs);
    }
    return absl::OkStatus();
  });
}

}  // namespace semsam
