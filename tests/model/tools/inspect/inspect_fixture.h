// A folder with an image, for tests of commands that read and write files.
#ifndef SEMSAM_TESTS_MODEL_TOOLS_INSPECT_INSPECT_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_TOOLS_INSPECT_INSPECT_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "model/tools/program/command.h"
#include "model/weights/npy.h"

namespace semsam::testing {

// Holds image.bmp, 60 high and 90 wide.
class InspectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("inspect_") + info->test_suite_name() + "_" + info->name());
    std::filesystem::create_directories(folder_);
    WriteBitmap("image.bmp", 90, 60);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }

  // 24-bit, uncompressed, a colour ramp.
  void WriteBitmap(const std::string& name, int width, int height) {
    const int stride = (width * 3 + 3) / 4 * 4;
    std::string bytes(54 + static_cast<size_t>(stride) * height, '\0');
    const auto put = [&bytes](size_t at, uint32_t value, int count) {
      for (int i = 0; i < count; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
    };
    bytes.replace(0, 2, "BM");
    put(2, static_cast<uint32_t>(bytes.size()), 4);
    put(10, 54, 4);
    put(14, 40, 4);
    put(18, width, 4);
    put(22, height, 4);
    put(26, 1, 2);
    put(28, 24, 2);
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width * 3; ++x) {
        bytes[54 + static_cast<size_t>(y) * stride + x] = static_cast<char>(x * 2 + y * 3);
      }
    }
    Write(name, bytes);
  }

  // The exit status; what went wrong is in `error_`.
  int RunCommand(const Command& command, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), command.name);
    const Command commands[] = {command};
    std::ostringstream out;
    error_.str("");
    return RunProgram("semsam-inspect", commands, arguments, out, error_);
  }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  std::vector<int64_t> Shape(const std::string& name) const {
    const auto array = ReadNpy(Path("out/" + name + ".npy"));
    EXPECT_TRUE(array.ok()) << array.status();
    return array.ok() ? array->shape : std::vector<int64_t>();
  }

  std::filesystem::path folder_;
  std::ostringstream error_;
};

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_TOOLS_INSPECT_INSPECT_FIXTURE_H_
