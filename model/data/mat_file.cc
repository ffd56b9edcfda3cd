#include "model/data/mat_file.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

constexpr size_t kHeaderBytes = 128;
constexpr int kMaxDepth = 16;
constexpr size_t kMaxFieldName = 64;

// Type codes of elements.
constexpr uint32_t kInt32 = 5;
constexpr uint32_t kUint32 = 6;
constexpr uint32_t kMatrix = 14;
constexpr uint32_t kCompressed = 15;

// Bytes of a number by its type code; 0: not a type of numbers.
constexpr std::array<int, 19> kTypeBytes = {0, 1, 1, 2, 2, 4, 4, 4, 0, 8,
                                            0, 0, 8, 8, 0, 0, 1, 2, 4};

// Classes of arrays.
constexpr int kCellClass = 1;
constexpr int kStructClass = 2;
constexpr int kCharClass = 4;
constexpr int kFirstNumberClass = 6;
constexpr int kLastNumberClass = 15;
constexpr uint32_t kComplexFlag = 0x0800;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("MAT-file: ", what));
}

template <typename T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

struct Element {
  uint32_t type = 0;
  std::string_view data;
};

// Takes the next element from the front of `rest`.
absl::StatusOr<Element> TakeElement(std::string_view& rest) {
  if (rest.size() < 8) return Bad("cut short");
  const uint32_t first = Load<uint32_t>(rest.data());
  if (first >> 16 != 0) {  // up to four bytes, in the tag itself
    const uint32_t bytes = first >> 16;
    if (bytes > 4) return Bad("a small element of more than 4 bytes");
    const Element element = {.type = first & 0xFFFF, .data = rest.substr(4, bytes)};
    rest.remove_prefix(8);
    return element;
  }
  const size_t bytes = Load<uint32_t>(rest.data() + 4);
  rest.remove_prefix(8);
  if (bytes > rest.size()) return Bad("cut short");
  const Element element = {.type = first, .data = rest.substr(0, bytes)};
  // Compressed elements are not padded, and the last one may lack its padding.
  const size_t padded = first == kCompressed ? bytes : (bytes + 7) / 8 * 8;
  rest.remove_prefix(std::min(padded, rest.size()));
  return element;
}

absl::StatusOr<std::vector<int64_t>> ReadShape(std::string_view& rest) {
  SEMSAM_ASSIGN_OR_RETURN(const Element element, TakeElement(rest));
  const size_t count = element.data.size() / 4;
  if (element.type != kInt32 || count < 2 || count > 8) return Bad("no dimensions");
  std::vector<int64_t> shape;
  int64_t size = 1;
  for (size_t i = 0; i < count; ++i) {
    shape.push_back(Load<int32_t>(element.data.data() + 4 * i));
    if (shape.back() < 0) return Bad("a negative dimension");
    if (shape.back() > 0 && size > kMaxMatBytes / shape.back()) return Bad("too many elements");
    size *= shape.back();
  }
  return shape;
}

absl::StatusOr<MatArray> ReadMatrix(std::string_view body, int depth);

// `count` arrays that follow each other.
absl::Status ReadElements(std::string_view& rest, int64_t count, int depth, MatArray& array) {
  // Each takes eight bytes at least.
  if (count > static_cast<int64_t>(rest.size() / 8)) return Bad("cut short");
  for (int64_t i = 0; i < count; ++i) {
    SEMSAM_ASSIGN_OR_RETURN(const Element element, TakeElement(rest));
    if (element.type != kMatrix) return Bad("an element is no array");
    SEMSAM_ASSIGN_OR_RETURN(MatArray inner, ReadMatrix(element.data, depth + 1));
    array.elements.push_back(std::move(inner));
  }
  return absl::OkStatus();
}

absl::Status ReadFieldNames(std::string_view& rest, MatArray& array) {
  SEMSAM_ASSIGN_OR_RETURN(const Element length, TakeElement(rest));
  SEMSAM_ASSIGN_OR_RETURN(const Element names, TakeElement(rest));
  if (length.type != kInt32 || length.data.size() < 4) return Bad("no length of field names");
  const int32_t bytes = Load<int32_t>(length.data.data());
  if (bytes < 1 || bytes > static_cast<int32_t>(kMaxFieldName)) {
    return Bad("a strange length of field names");
  }
  for (size_t at = 0; at + bytes <= names.data.size(); at += bytes) {
    const std::string_view name = names.data.substr(at, bytes);
    array.fields.emplace_back(name.substr(0, name.find('\0')));
  }
  return absl::OkStatus();
}

absl::Status ReadNumbers(std::string_view& rest, MatArray& array) {
  SEMSAM_ASSIGN_OR_RETURN(const Element element, TakeElement(rest));
  const int bytes = element.type < kTypeBytes.size() ? kTypeBytes[element.type] : 0;
  if (bytes == 0) return Bad("numbers of an unknown type");
  // Text in UTF-8 has fewer letters than bytes; shorter than stated is an error.
  if (static_cast<int64_t>(element.data.size()) / bytes < array.size()) return Bad("cut short");
  array.data = element.data;
  array.storage = static_cast<int>(element.type);
  return absl::OkStatus();
}

absl::StatusOr<MatArray> ReadMatrix(std::string_view body, int depth) {
  if (depth > kMaxDepth) return Bad("nested too deep");
  MatArray array;
  if (body.empty()) {  // how an empty field is stored
    array.shape = {0, 0};
    return array;
  }
  SEMSAM_ASSIGN_OR_RETURN(const Element flags, TakeElement(body));
  if (flags.type != kUint32 || flags.data.size() < 8) return Bad("no array flags");
  const uint32_t word = Load<uint32_t>(flags.data.data());
  SEMSAM_ASSIGN_OR_RETURN(array.shape, ReadShape(body));
  SEMSAM_ASSIGN_OR_RETURN(const Element name, TakeElement(body));
  array.name = std::string(name.data);
  const int array_class = static_cast<int>(word & 0xFF);
  if (array_class == kStructClass) {
    array.kind = MatArray::Kind::kStruct;
    SEMSAM_RETURN_IF_ERROR(ReadFieldNames(body, array));
    const int64_t count = array.size() * static_cast<int64_t>(array.fields.size());
    SEMSAM_RETURN_IF_ERROR(ReadElements(body, count, depth, array));
    return array;
  }
  if (array_class == kCellClass) {
    array.kind = MatArray::Kind::kCell;
    SEMSAM_RETURN_IF_ERROR(ReadElements(body, array.size(), depth, array));
    return array;
  }
  const bool is_number = array_class >= kFirstNumberClass && array_class <= kLastNumberClass;
  if ((array_class != kCharClass && !is_number) || (word & kComplexFlag) != 0) {
    return Bad("an array of a class that annotations do not have");
  }
  array.kind = is_number ? MatArray::Kind::kNumbers : MatArray::Kind::kText;
  if (array.size() > 0) SEMSAM_RETURN_IF_ERROR(ReadNumbers(body, array));
  return array;
}

absl::StatusOr<std::vector<char>> Inflate(std::string_view compressed, int64_t max_bytes) {
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return absl::ResourceExhaustedError("MAT-file: zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::vector<char> out;
  int result = Z_OK;
  while (result == Z_OK) {
    const size_t before = out.size();
    const size_t block = std::max<size_t>(1 << 16, before);
    if (static_cast<int64_t>(before + block) > 2 * max_bytes) break;
    out.resize(before + block);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = static_cast<uInt>(block);
    result = inflate(&stream, Z_NO_FLUSH);
    out.resize(before + block - stream.avail_out);
  }
  inflateEnd(&stream);
  if (static_cast<int64_t>(out.size()) > max_bytes || result == Z_OK) return Bad("too large");
  if (result != Z_STREAM_END) return Bad("the compressed data are broken");
  return out;
}

}  // namespace

int64_t MatArray::size() const {
  int64_t size = 1;
  for (const int64_t side : shape) size *= side;
  return size;
}

double MatArray::number(int64_t index) const {
  const char* at = data.data() + index * kTypeBytes[storage];
  switch (storage) {
    case 1:
      return Load<int8_t>(at);
    case 2:
    case 16:
      return Load<uint8_t>(at);
    case 3:
      return Load<int16_t>(at);
    case 4:
    case 17:
      return Load<uint16_t>(at);
    case 5:
      return Load<int32_t>(at);
    case 6:
    case 18:
      return Load<uint32_t>(at);
    case 7:
      return Load<float>(at);
    case 9:
      return Load<double>(at);
    case 12:
      return static_cast<double>(Load<int64_t>(at));
    case 13:
      return static_cast<double>(Load<uint64_t>(at));
    default:
      return 0;
  }
}

std::string MatArray::text() const {
  std::string letters;
  if (kind != Kind::kText) return letters;
  for (int64_t i = 0; i < size(); ++i) letters.push_back(static_cast<char>(number(i)));
  return letters;
}

const MatArray* MatArray::field(int64_t index, std::string_view name) const {
  if (kind != Kind::kStruct || index < 0 || index >= size()) return nullptr;
  const auto found = std::find(fields.begin(), fields.end(), name);
  if (found == fields.end()) return nullptr;
  return &elements[index * fields.size() + (found - fields.begin())];
}

absl::StatusOr<MatFile> MatFile::Parse(std::string bytes) {
  MatFile file;
  file.buffers_.emplace_back(bytes.begin(), bytes.end());
  std::string_view rest(file.buffers_[0].data(), file.buffers_[0].size());
  if (rest.size() < kHeaderBytes || rest.substr(126, 2) != "IM" || rest[125] != 1) {
    return Bad("not a little-endian file of level 5");
  }
  rest.remove_prefix(kHeaderBytes);
  int64_t budget = kMaxMatBytes;
  while (!rest.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(Element element, TakeElement(rest));
    if (element.type == kCompressed) {
      SEMSAM_ASSIGN_OR_RETURN(std::vector<char> inflated, Inflate(element.data, budget));
      budget -= static_cast<int64_t>(inflated.size());
      file.buffers_.push_back(std::move(inflated));
      std::string_view inner(file.buffers_.back().data(), file.buffers_.back().size());
      SEMSAM_ASSIGN_OR_RETURN(element, TakeElement(inner));
    }
    if (element.type != kMatrix) continue;
    SEMSAM_ASSIGN_OR_RETURN(MatArray variable, ReadMatrix(element.data, 0));
    file.variables_.push_back(std::move(variable));
  }
  return file;
}

const MatArray* MatFile::variable(std::string_view name) const {
  for (const MatArray& variable : variables_) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

}  // namespace semsam
