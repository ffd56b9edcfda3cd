#include "model/base/memory_use.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/fakes/temp_dir.h"

namespace semsam {
namespace {

class MemoryUseTest : public testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }

  const TempDir dir_;
  const MemoryFiles files_{.root = dir_.path()};
  const int64_t page_ = sysconf(_SC_PAGESIZE);
};

TEST_F(MemoryUseTest, WhatThisProcessTakesIsSeen) {
  const auto before = ProcessMemory();
  ASSERT_TRUE(before.ok()) << before.status();
  const std::vector<char> more(size_t{64} << 20, 'x');
  const auto after = ProcessMemory();
  ASSERT_TRUE(after.ok());
  EXPECT_GE(after->used_bytes, before->used_bytes + (int64_t{48} << 20)) << more.back();
  EXPECT_LE(after->used_bytes, after->total_bytes);
}

TEST_F(MemoryUseTest, TheResidentPagesCountAndTheTightestLimit) {
  Write(files_.process(), "1000 30 7 1 0 500 0\n");
  EXPECT_EQ(ProcessMemory(files_)->used_bytes, 30 * page_);
  const int64_t machine = ProcessMemory(files_)->total_bytes;
  Write(files_.group(), "max\n");
  EXPECT_EQ(ProcessMemory(files_)->total_bytes, machine);
  Write(files_.old_group(), "9223372036854771712\n");
  EXPECT_EQ(ProcessMemory(files_)->total_bytes, machine);
  Write(files_.group(), "1048576\n");
  EXPECT_EQ(ProcessMemory(files_)->total_bytes, 1048576);
  Write(files_.old_group(), "65536\n");
  EXPECT_EQ(ProcessMemory(files_)->total_bytes, 65536);
}

TEST_F(MemoryUseTest, WhereTheSystemDoesNotTellNothingIsInvented) {
  EXPECT_EQ(ProcessMemory(files_).status().code(), absl::StatusCode::kUnimplemented);
  Write(files_.process(), "1000");
  EXPECT_EQ(ProcessMemory(files_).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace semsam
