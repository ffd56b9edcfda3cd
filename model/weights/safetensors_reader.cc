#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/safetensors.h"
#include "model/weights/shown_name.h"
#include "nlohmann/json.hpp"

namespace semsam {
namespace {

constexpr size_t kLengthBytes = 8;
// Tensors, or texts of metadata, in one file: what keeps a hostile header small
// in memory.
constexpr size_t kMaxEntries = 100'000;
constexpr char kMetadataKey[] = "__metadata__";

absl::Status Bad(const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat("safetensors: ", message));
}

uint64_t HeaderLength(std::span<const std::byte> bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  return length;
}

const DTypeInfo* FindDType(const std::string& name) {
  for (const DTypeInfo& info : AllDTypes()) {
    if (name == info.safetensors) return &info;
  }
  return nullptr;
}

// One entry of the header.
struct Entry {
  std::string name;
  std::optional<DType> dtype;
  std::optional<std::vector<int64_t>> shape;
  std::optional<std::vector<int64_t>> offsets;
};

// Takes the header's JSON as a stream of events. Why not a document: a document
// keeps the last of two equal keys without a word, and a header of 100 MB of
// brackets would become gigabytes of it.
class HeaderHandler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Entry> entries;
  Metadata metadata;
  std::string error;  // the first one; empty: none

  bool start_object(size_t) override {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ != 1) return Fail("has an object too deep");
    depth_ = 2;
    in_metadata_ = key_ == kMetadataKey;
    if (!in_metadata_) entries.push_back({.name = key_});
    fields_.clear();
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) {
      const Entry& entry = entries.back();
      if (!entry.dtype || !entry.shape || !entry.offsets) {
        return Fail("needs dtype, shape and data_offsets");
      }
    }
    --depth_;
    return true;
  }

  bool key(string_t& key) override {
    if (depth_ == 1) {
      key_ = key;
      field_.clear();
      if (!names_.insert(key).second) return Fail("appears twice");
      if (names_.size() > kMaxEntries) return Fail("is one too many");
      return true;
    }
    field_ = key;
    if (!fields_.insert(key).second) return Fail("appears twice");
    if (fields_.size() > kMaxEntries) return Fail("is one too many");
    if (in_metadata_ || key == "dtype" || key == "shape" || key == "data_offsets") return true;
    return Fail("is not a field of a tensor");
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      metadata[field_] = value;
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") return Fail("must not be a string");
    const DTypeInfo* info = FindDType(value);
    if (info == nullptr)
      return Fail(absl::StrCat("is ", ShownName(value), ", which is not supported"));
    entries.back().dtype = info->dtype;
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || array_ != nullptr ||
        (field_ != "shape" && field_ != "data_offsets")) {
      return Fail("must not be an array");
    }
    auto& target = field_ == "shape" ? entries.back().shape : entries.back().offsets;
    array_ = &target.emplace();
    return true;
  }

  bool end_array() override {
    if (field_ == "data_offsets" && array_->size() != 2) return Fail("must have two numbers");
    array_ = nullptr;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (array_ == nullptr) return Fail("must not be a number");
    if (value > static_cast<uint64_t>(INT64_MAX)) return Fail("is too large");
    if (array_->size() >= kMaxTensorRank) return Fail("has too many numbers");
    array_->push_back(static_cast<int64_t>(value));
    return true;
  }

  bool number_integer(number_integer_t) override { return Fail("must not be negative"); }
  bool number_float(number_float_t, const string_t&) override {
    return Fail("must be a whole number");
  }
  bool null() override { return Fail("must not be null"); }
  bool boolean(bool) override { return Fail("must not be true or false"); }
  bool binary(binary_t&) override { return Fail("must not be binary"); }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    if (error.empty()) error = absl::StrCat("the header is no JSON at byte ", position);
    return false;
  }

 private:
  bool Fail(const std::string& what) {
    error = absl::StrCat("header entry \"", ShownName(key_), "\" ",
                         field_.empty() ? "" : absl::StrCat("field \"", ShownName(field_), "\" "),
                         what);
    return false;
  }

  int depth_ = 0;  // open objects
  bool in_metadata_ = false;
  std::string key_;    // of the header
  std::string field_;  // of the entry; empty before the first
  std::set<std::string> names_;
  std::set<std::string> fields_;
  std::vector<int64_t>* array_ = nullptr;  // being filled
};

absl::StatusOr<TensorView> MakeTensor(Entry entry, std::span<const std::byte> data) {
  const int64_t begin = (*entry.offsets)[0];
  const int64_t end = (*entry.offsets)[1];
  if (begin > end)
    return Bad(absl::StrCat("tensor ", ShownName(entry.name), " ends before it begins"));
  if (static_cast<uint64_t>(end) > data.size()) {
    return Bad(absl::StrCat("tensor ", ShownName(entry.name), " ends at byte ", end, " of ",
                            data.size(), ": the file is cut short"));
  }
  const absl::StatusOr<int64_t> bytes = CheckedBytes(*entry.shape, *entry.dtype);
  if (!bytes.ok())
    return Bad(absl::StrCat("tensor ", ShownName(entry.name), " ", bytes.status().message()));
  if (*bytes != end - begin) {
    return Bad(absl::StrCat("tensor ", ShownName(entry.name), " of shape ", ShapeText(*entry.shape),
                            " and ", DTypeName(*entry.dtype), " needs ", *bytes,
                            " bytes, its offsets hold ", end - begin));
  }
  return TensorView{.name = std::move(entry.name),
                    .dtype = *entry.dtype,
                    .shape = std::move(*entry.shape),
                    .data = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(*bytes))};
}

// The tensors must cover the data exactly: no overlap, no gap, no rest.
absl::Status CheckCover(std::vector<TensorView>& tensors, std::span<const std::byte> data) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return std::pair(a.data.data(), a.data.size()) < std::pair(b.data.data(), b.data.size());
  });
  const std::byte* end = data.data();
  for (const TensorView& tensor : tensors) {
    if (tensor.data.data() < end) {
      return Bad(absl::StrCat("tensor ", ShownName(tensor.name), " overlaps another one"));
    }
    if (tensor.data.data() > end) {
      return Bad(absl::StrCat("there is a gap before tensor ", ShownName(tensor.name)));
    }
    end = tensor.data.data() + tensor.data.size();
  }
  const size_t used = static_cast<size_t>(end - data.data());
  if (used == data.size()) return absl::OkStatus();
  return Bad(absl::StrCat(data.size() - used, " bytes after the last tensor belong to none"));
}

}  // namespace

bool LooksLikeSafetensors(std::span<const std::byte> bytes) {
  return bytes.size() > kLengthBytes && bytes[kLengthBytes] == std::byte{'{'} &&
         HeaderLength(bytes) <= kMaxSafetensorsHeaderBytes;
}

absl::StatusOr<SafetensorsFile> ParseSafetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) return Bad("the file is shorter than its header length");
  const uint64_t length = HeaderLength(bytes);
  if (length > kMaxSafetensorsHeaderBytes) {
    return Bad(absl::StrCat("the header claims ", length, " bytes; at most ",
                            kMaxSafetensorsHeaderBytes, " are allowed"));
  }
  if (length > bytes.size() - kLengthBytes) {
    return Bad(absl::StrCat("the header claims ", length, " bytes, the file has ",
                            bytes.size() - kLengthBytes, " after its length: it is cut short"));
  }
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + kLengthBytes;
  if (length == 0 || text[0] != '{') return Bad("the header does not start with {");

  HeaderHandler handler;
  if (!nlohmann::json::sax_parse(text, text + length, &handler)) return Bad(handler.error);

  const std::span<const std::byte> data = bytes.subspan(kLengthBytes + length);
  SafetensorsFile file;
  file.metadata = std::move(handler.metadata);
  file.tensors.reserve(handler.entries.size());
  for (Entry& entry : handler.entries) {
    SEMSAM_ASSIGN_OR_RETURN(TensorView tensor, MakeTensor(std::move(entry), data));
    file.tensors.push_back(std::move(tensor));
  }
  SEMSAM_RETURN_IF_ERROR(CheckCover(file.tensors, data));
  return file;
}

}  // namespace semsam
