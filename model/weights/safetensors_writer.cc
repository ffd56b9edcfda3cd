#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/atomic_file.h"
#include "model/weights/safetensors.h"
#include "nlohmann/json.hpp"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

absl::Status CheckNames(std::span<const TensorView> tensors) {
  std::set<std::string> names;
  for (const TensorView& tensor : tensors) {
    SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
    if (tensor.name == "__metadata__" || !names.insert(tensor.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor name \"", tensor.name, "\" is reserved or used twice"));
    }
  }
  return absl::OkStatus();
}

// The header without its length, padded so that the data starts aligned.
absl::StatusOr<std::string> HeaderText(std::span<const TensorView* const> tensors,
                                       const Metadata& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const TensorView* tensor : tensors) {
    const int64_t end = offset + SizeBytes(*tensor);
    header[tensor->name] = {{"dtype", Info(tensor->dtype).safetensors},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    return absl::InvalidArgumentError("a tensor name or a metadata text is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    return absl::InvalidArgumentError("the safetensors header would be too long");
  }
  return text;
}

absl::Status WriteTensor(AtomicFile& file, const TensorView& tensor) {
  const auto size = static_cast<size_t>(SizeBytes(tensor));
  if (IsContiguous(tensor)) return file.Write(tensor.data.first(size));
  std::vector<std::byte> packed(size);
  SEMSAM_RETURN_IF_ERROR(CopyContiguous(tensor, packed));
  return file.Write(packed);
}

}  // namespace

absl::Status WriteSafetensors(const std::string& path, std::span<const TensorView> tensors,
                              const Metadata& metadata) {
  SEMSAM_RETURN_IF_ERROR(CheckNames(tensors));
  std::vector<const TensorView*> ordered;
  for (const TensorView& tensor : tensors) ordered.push_back(&tensor);
  std::stable_sort(ordered.begin(), ordered.end(), [](const TensorView* a, const TensorView* b) {
    return ItemBytes(a->dtype) > ItemBytes(b->dtype);
  });
  SEMSAM_ASSIGN_OR_RETURN(const std::string header, HeaderText(ordered, metadata));

  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  const uint64_t length = header.size();
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(&length, 1))));
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(header))));
  for (const TensorView* tensor : ordered) {
    SEMSAM_RETURN_IF_ERROR(WriteTensor(*file, *tensor));
  }
  return file->Commit();
}

}  // namespace semsam
