// The numeric reference of the published code, as tensors.
#ifndef SEMSAM_TESTS_SUPPORT_GOLDEN_H_
#define SEMSAM_TESTS_SUPPORT_GOLDEN_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "model/torch/torch.h"
#include "model/weights/npy.h"

namespace semsam::testing {

// Tolerances of an independent float32 implementation (parity notes, section 13).
inline constexpr double kFeatureTolerance = 5e-5;
inline constexpr double kMaskTolerance = 2e-4;
inline constexpr double kIouTolerance = 2e-5;
inline constexpr double kBoxTolerance = 5e-6;

inline bool HaveParity() { return std::filesystem::exists(SEMSAM_PARITY_DIR "/goldens.tsv"); }

#define SEMSAM_SKIP_WITHOUT_PARITY()                                                   \
  if (!::semsam::testing::HaveParity()) {                                              \
    GTEST_SKIP() << "the numeric reference is not here (" << SEMSAM_PARITY_DIR << ")"; \
  }

// A float32, int32 or uint8 array below the parity folder; fails the test if it is
// not there.
inline at::Tensor ReadGolden(const std::string& name) {
  const absl::StatusOr<NpyArray> array = ReadNpy(std::string(SEMSAM_PARITY_DIR "/") + name);
  if (!array.ok()) {
    ADD_FAILURE() << array.status();
    return at::zeros({1});
  }
  const std::map<DType, at::ScalarType> types = {
      {DType::kUInt8, at::kByte}, {DType::kInt32, at::kInt}, {DType::kFloat32, at::kFloat}};
  const auto type = types.find(array->dtype);
  if (type == types.end()) {
    ADD_FAILURE() << name << " is " << DTypeName(array->dtype);
    return at::zeros({1});
  }
  return at::from_blob(const_cast<std::byte*>(array->data.data()), array->shape, type->second)
      .clone();
}

// Every how many elements a golden of the network keeps, by its name in a table of
// the parity folder.
inline int64_t GoldenStride(const std::string& name,
                            const std::string& table_name = "goldens.tsv") {
  static auto* tables = new std::map<std::string, std::map<std::string, int64_t>>();
  const auto [entry, added] = tables->try_emplace(table_name);
  std::map<std::string, int64_t>& strides = entry->second;
  if (added) {
    std::ifstream table(SEMSAM_PARITY_DIR "/" + table_name);
    std::string line;
    std::getline(table, line);
    while (std::getline(table, line)) {
      std::stringstream fields(line);
      std::string file, field;
      std::getline(fields, file, '\t');
      for (int i = 0; i < 3; ++i) std::getline(fields, field, '\t');
      std::getline(fields, field, '\t');
      strides[file] = std::stoll(field);
    }
  }
  const auto it = strides.find(name);
  if (it == strides.end()) {
    ADD_FAILURE() << name << " is not in " << table_name;
    return 1;
  }
  return it->second;
}

// Compares `actual` (the full tensor, any shape of the same order) with a golden
// of the network, sampled as goldens.tsv says. `folder` is "net/" or "" for names
// that carry their folder.
inline void ExpectGolden(const at::Tensor& actual, const std::string& folder,
                         const std::string& name, double tolerance) {
  const at::Tensor golden = ReadGolden(folder + name).reshape({-1});
  const at::Tensor sampled =
      actual.contiguous().view({-1}).slice(0, 0, c10::nullopt, GoldenStride(name));
  ASSERT_EQ(sampled.numel(), golden.numel()) << name;
  const double difference = (sampled - golden).abs().max().item<double>();
  EXPECT_LE(difference, tolerance) << name;
}

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_SUPPORT_GOLDEN_H_
