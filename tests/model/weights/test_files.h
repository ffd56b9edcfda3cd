// Files for the tests of model/weights: the parity folder, a folder of one's
// own, bytes.
#ifndef SEMSAM_TESTS_MODEL_WEIGHTS_TEST_FILES_H_
#define SEMSAM_TESTS_MODEL_WEIGHTS_TEST_FILES_H_

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "model/weights/tensor_view.h"
#include "tests/fakes/temp_dir.h"

namespace semsam {

inline std::string ParityPath(const std::string& name) {
  return std::string(SEMSAM_PARITY_DIR) + "/" + name;
}

inline bool HasParity() { return std::filesystem::exists(ParityPath("NOTES.md")); }

#define SEMSAM_SKIP_WITHOUT_PARITY()                                         \
  if (!HasParity()) {                                                        \
    GTEST_SKIP() << "the numeric reference is not at " << SEMSAM_PARITY_DIR; \
  }                                                                          \
  static_assert(true)

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::vector<std::vector<std::string>> ReadTsv(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
      if (c == '\t') {
        fields.emplace_back();
      } else {
        fields.back() += c;
      }
    }
    rows.push_back(std::move(fields));
  }
  return rows;
}

inline std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

template <typename T>
TensorView ViewOf(const std::string& name, DType dtype, std::vector<int64_t> shape,
                  const std::vector<T>& values) {
  return {.name = name,
          .dtype = dtype,
          .shape = std::move(shape),
          .data = std::as_bytes(std::span(values))};
}

inline std::vector<float> Floats(const TensorView& tensor) {
  std::vector<float> values(static_cast<size_t>(Elements(tensor)));
  const absl::Status status = CopyToFloat32(tensor, std::span<float>(values));
  EXPECT_TRUE(status.ok()) << status;
  return values;
}

inline bool Contains(const absl::Status& status, const std::string& text) {
  return status.message().find(text) != absl::string_view::npos;
}

}  // namespace semsam

#endif  // SEMSAM_TESTS_MODEL_WEIGHTS_TEST_FILES_H_
