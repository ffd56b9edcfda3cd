#include "model/weights/manifest.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/formula.h"
#include "model/weights/mapped_file.h"
#include "model/weights/tensor_view.h"

namespace semsam {
namespace {

using Fields = std::vector<std::string>;

enum Column { kName, kShape, kDType, kNumel, kSeedName, kKind, kOffset, kScale, kSeed, kColumns };
constexpr std::array<const char*, kColumns> kHeader = {
    "name", "shape", "dtype", "numel", "seed_name", "kind", "offset", "scale", "fnv1a64_seed"};

absl::Status Bad(const char* column) {
  return absl::InvalidArgumentError(absl::StrCat("column ", column, " is wrong"));
}

absl::Status CheckHeader(const Fields& fields) {
  for (size_t i = 0; i < kColumns; ++i) {
    if (i >= fields.size() || fields[i] != kHeader[i]) {
      return absl::InvalidArgumentError(absl::StrCat("column ", kHeader[i], " is missing"));
    }
  }
  return absl::OkStatus();
}

absl::Status ParseShape(const std::string& text, std::vector<int64_t>& shape) {
  if (text == "scalar") return absl::OkStatus();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t size = 0;
    if (!absl::SimpleAtoi(part, &size) || size < 0 || shape.size() == kMaxTensorRank) {
      return Bad("shape");
    }
    shape.push_back(size);
  }
  return absl::OkStatus();
}

absl::Status ParseDType(const std::string& text, DType& dtype) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (text == info.name) {
      dtype = info.dtype;
      return absl::OkStatus();
    }
  }
  return Bad("dtype");
}

absl::StatusOr<WeightSpec> ParseRow(const Fields& fields) {
  if (fields.size() < kColumns) return absl::InvalidArgumentError("columns are missing");
  WeightSpec spec{.name = fields[kName], .seed_name = fields[kSeedName], .kind = fields[kKind]};
  if (spec.name.empty()) return Bad("name");
  SEMSAM_RETURN_IF_ERROR(ParseShape(fields[kShape], spec.shape));
  SEMSAM_RETURN_IF_ERROR(ParseDType(fields[kDType], spec.dtype));
  SEMSAM_ASSIGN_OR_RETURN(const int64_t elements, CheckedElements(spec.shape));
  if (fields[kNumel] != absl::StrCat(elements)) return Bad("numel");
  if (!absl::SimpleAtof(fields[kOffset], &spec.offset)) return Bad("offset");
  if (!absl::SimpleAtof(fields[kScale], &spec.scale)) return Bad("scale");
  if (fields[kSeed] != absl::StrFormat("0x%016x", Fnv1a64(spec.seed_name)) &&
      spec.kind != kComputedKind) {
    return Bad("fnv1a64_seed");
  }
  return spec;
}

// Rows of `later` in the place of those they name again, the others at the end.
void Override(std::vector<WeightSpec>& specs, std::vector<WeightSpec> later) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < specs.size(); ++i) places.emplace(specs[i].name, i);
  for (WeightSpec& spec : later) {
    if (const auto place = places.find(spec.name); place != places.end()) {
      specs[place->second] = std::move(spec);
    } else {
      specs.push_back(std::move(spec));
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<WeightSpec>> ParseManifest(std::string_view text) {
  std::vector<WeightSpec> specs;
  int line_number = 0;
  for (size_t at = 0; at < text.size(); ++line_number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const Fields fields = absl::StrSplit(absl::string_view(line.data(), line.size()), '\t');
    absl::Status status;
    if (line_number == 0) {
      status = CheckHeader(fields);
    } else if (absl::StatusOr<WeightSpec> spec = ParseRow(fields); spec.ok()) {
      specs.push_back(*std::move(spec));
    } else {
      status = spec.status();
    }
    SEMSAM_RETURN_IF_ERROR(Annotate(status, absl::StrCat("manifest line ", line_number + 1)));
  }
  if (specs.empty()) return absl::InvalidArgumentError("manifest: it has no rows");
  return specs;
}

absl::StatusOr<std::vector<WeightSpec>> ReadManifests(std::span<const std::string> paths) {
  std::vector<WeightSpec> specs;
  for (const std::string& path : paths) {
    SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()),
                                file->bytes().size());
    absl::StatusOr<std::vector<WeightSpec>> rows = ParseManifest(text);
    if (!rows.ok()) return Annotate(rows.status(), path);
    Override(specs, *std::move(rows));
  }
  return specs;
}

}  // namespace semsam
