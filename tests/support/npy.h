// Reads NumPy's .npy files in tests: little-endian, C order, float32, uint8 or
// int64.
#ifndef SEMSAM_TESTS_SUPPORT_NPY_H_
#define SEMSAM_TESTS_SUPPORT_NPY_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

namespace semsam::testing {

template <typename T>
struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<T> data;  // row-major

  int64_t dim(size_t i) const { return i < shape.size() ? shape[i] : 0; }
};

inline std::vector<uint8_t> ReadFileBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline bool FileExists(const std::string& path) { return std::ifstream(path).good(); }

// A text file as Python's json writes it, as JSON proper: NaN becomes null.
inline std::string ReadPythonJson(const std::string& path) {
  const std::vector<uint8_t> bytes = ReadFileBytes(path);
  std::string text(bytes.begin(), bytes.end());
  for (size_t at = text.find("NaN"); at != std::string::npos; at = text.find("NaN", at)) {
    text.replace(at, 3, "null");
  }
  return text;
}

template <typename T>
constexpr const char* NpyTypeName() {
  if constexpr (std::is_same_v<T, float>) return "<f4";
  if constexpr (std::is_same_v<T, uint8_t>) return "|u1";
  if constexpr (std::is_same_v<T, int64_t>) return "<i8";
  return "";
}

// The array in `path`. Fails the running test and returns an empty array where the
// file is missing, is cut short, or holds something else than T.
template <typename T>
NpyArray<T> ReadNpy(const std::string& path) {
  static_assert(*NpyTypeName<T>() != '\0', "float, uint8_t or int64_t");
  const std::vector<uint8_t> bytes = ReadFileBytes(path);
  const auto fail = [&path](const char* what) {
    ADD_FAILURE() << path << ": " << what;
    return NpyArray<T>{};
  };
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) {
    return fail("not a NumPy file");
  }
  const bool long_header = bytes[6] >= 2;
  const size_t header_at = long_header ? 12 : 10;
  size_t header_size = bytes[8] | bytes[9] << 8;
  if (long_header) header_size |= bytes[10] << 16 | size_t{bytes[11]} << 24;
  if (header_size > bytes.size() - header_at) return fail("the header is cut short");
  const std::string header(bytes.begin() + header_at, bytes.begin() + header_at + header_size);
  if (header.find(std::string("'descr': '") + NpyTypeName<T>() + "'") == std::string::npos) {
    return fail("another type");
  }
  if (header.find("'fortran_order': False") == std::string::npos) return fail("Fortran order");

  NpyArray<T> array;
  const size_t open = header.find('(');
  const size_t close = header.find(')', open);
  if (open == std::string::npos || close == std::string::npos) return fail("no shape");
  int64_t count = 1;
  for (const char* at = header.c_str() + open + 1; at < header.c_str() + close;) {
    char* end = nullptr;
    const int64_t dim = std::strtoll(at, &end, 10);
    if (end == at) {
      ++at;
      continue;
    }
    array.shape.push_back(dim);
    count *= dim;
    at = end;
  }
  const size_t data_at = header_at + header_size;
  if (bytes.size() - data_at != count * sizeof(T)) return fail("the data do not fill the shape");
  array.data.resize(count);
  if (count > 0) std::memcpy(array.data.data(), bytes.data() + data_at, count * sizeof(T));
  return array;
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_SUPPORT_NPY_H_
