#include "model/weights/npy.h"

#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/atomic_file.h"
#include "model/weights/mapped_file.h"

namespace semsam {
namespace {

constexpr unsigned char kMagic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
constexpr size_t kPrefixBytes = sizeof(kMagic) + 2;
constexpr size_t kAlignment = 64;

absl::Status Bad(const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat("npy: ", message));
}

struct Header {
  std::optional<DType> dtype;
  std::optional<bool> fortran_order;
  std::optional<std::vector<int64_t>> shape;
};

// Reads the header, a Python dictionary of three known entries.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  absl::StatusOr<Header> Parse() {
    Header header;
    if (!Accept('{')) return Damaged();
    while (!Accept('}')) {
      const std::optional<std::string_view> key = String();
      if (!key || !Accept(':')) return Damaged();
      SEMSAM_RETURN_IF_ERROR(Value(*key, header));
      if (!Accept(',') && Peek() != '}') return Damaged();
    }
    if (Peek() != '\0' || !header.dtype || !header.fortran_order || !header.shape) {
      return Damaged();
    }
    return header;
  }

 private:
  static absl::Status Damaged() { return Bad("the header is damaged"); }

  // The next character that is no white space; '\0' at the end.
  char Peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool Accept(char expected) {
    if (Peek() != expected) return false;
    ++at_;
    return true;
  }

  bool AcceptWord(std::string_view word) {
    Peek();
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::optional<std::string_view> String() {
    if (!Accept('\'')) return std::nullopt;
    const size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view value = text_.substr(at_, end - at_);
    at_ = end + 1;
    return value;
  }

  absl::Status Value(std::string_view key, Header& header) {
    if (key == "descr") return DType(header);
    if (key == "shape") return Shape(header);
    if (key != "fortran_order") return Damaged();
    header.fortran_order = AcceptWord("True");
    if (!*header.fortran_order && !AcceptWord("False")) return Damaged();
    return absl::OkStatus();
  }

  absl::Status DType(Header& header) {
    const std::optional<std::string_view> text = String();
    if (!text) return Damaged();
    for (const DTypeInfo& info : AllDTypes()) {
      if (info.npy != nullptr && *text == info.npy) {
        header.dtype = info.dtype;
        return absl::OkStatus();
      }
    }
    return Bad(absl::StrCat("type ", std::string(text->substr(0, 16)), " is not supported"));
  }

  absl::Status Shape(Header& header) {
    if (!Accept('(')) return Damaged();
    std::vector<int64_t>& shape = header.shape.emplace();
    while (!Accept(')')) {
      int64_t size = 0;
      int digits = 0;
      for (Peek(); at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
        if (++digits > 18) return Bad("a size is too large");
        size = size * 10 + (text_[at_] - '0');
      }
      if (digits == 0 || shape.size() == kMaxTensorRank) return Damaged();
      shape.push_back(size);
      if (!Accept(',') && Peek() != ')') return Damaged();
    }
    return absl::OkStatus();
  }

  const std::string_view text_;
  size_t at_ = 0;
};

std::string HeaderText(const TensorView& tensor) {
  std::string shape;
  for (const int64_t size : tensor.shape) absl::StrAppend(&shape, size, ", ");
  // "(3, 4)", but "(3,)": a comma makes a tuple of one.
  if (tensor.shape.size() > 1) shape.resize(shape.size() - 2);
  if (tensor.shape.size() == 1) shape.resize(shape.size() - 1);
  std::string text = absl::StrCat("{'descr': '", Info(tensor.dtype).npy,
                                  "', 'fortran_order': False, 'shape': (", shape, "), }");
  const size_t used = kPrefixBytes + text.size() + 1;
  text.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  return text + "\n";
}

}  // namespace

absl::StatusOr<NpyArray> ParseNpy(std::span<const std::byte> bytes) {
  if (bytes.size() < kPrefixBytes || std::memcmp(bytes.data(), kMagic, sizeof(kMagic)) != 0) {
    return Bad("it is no NumPy file of version 1.0");
  }
  uint16_t length = 0;
  std::memcpy(&length, bytes.data() + sizeof(kMagic), sizeof(length));
  if (length > bytes.size() - kPrefixBytes) return Bad("the header is cut short");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kPrefixBytes, length);
  SEMSAM_ASSIGN_OR_RETURN(Header header, HeaderParser(text).Parse());
  if (*header.fortran_order) return Bad("it is in Fortran order");

  const absl::StatusOr<int64_t> size = CheckedBytes(*header.shape, *header.dtype);
  if (!size.ok()) return Bad(absl::StrCat("an array ", size.status().message()));
  const std::span<const std::byte> data = bytes.subspan(kPrefixBytes + length);
  if (static_cast<uint64_t>(*size) != data.size()) {
    return Bad(absl::StrCat("shape ", ShapeText(*header.shape), " needs ", *size,
                            " bytes, the file has ", data.size()));
  }
  return NpyArray{.dtype = *header.dtype,
                  .shape = *std::move(header.shape),
                  .data = {data.begin(), data.end()}};
}

absl::StatusOr<NpyArray> ReadNpy(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  absl::StatusOr<NpyArray> array = ParseNpy(file->bytes());
  if (!array.ok()) return Annotate(array.status(), path);
  return array;
}

absl::Status WriteNpy(const std::string& path, const TensorView& tensor) {
  SEMSAM_RETURN_IF_ERROR(CheckTensor(tensor));
  if (Info(tensor.dtype).npy == nullptr) {
    return Bad(absl::StrCat("NumPy has no type ", DTypeName(tensor.dtype)));
  }
  const std::string header = HeaderText(tensor);
  const auto length = static_cast<uint16_t>(header.size());  // a few hundred bytes at most
  std::vector<std::byte> data(static_cast<size_t>(SizeBytes(tensor)));
  SEMSAM_RETURN_IF_ERROR(CopyContiguous(tensor, data));

  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(kMagic))));
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(&length, 1))));
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(header))));
  SEMSAM_RETURN_IF_ERROR(file->Write(data));
  return file->Commit();
}

absl::Status WriteNpy(const std::string& path, std::span<const int64_t> shape,
                      std::span<const float> values) {
  return WriteNpy(path, TensorView{.name = path,
                                   .dtype = DType::kFloat32,
                                   .shape = {shape.begin(), shape.end()},
                                   .data = std::as_bytes(values)});
}

}  // namespace semsam
