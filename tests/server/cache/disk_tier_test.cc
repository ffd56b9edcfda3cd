#include "server/cache/disk_tier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/base/errors.h"
#include "server/cache/tier_file.h"
#include "tests/fakes/temp_dir.h"
#include "tests/server/cache/stored_embeddings.h"

namespace semsam {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class DiskTierTest : public ::testing::Test {
 protected:
  void Open(int64_t budget_bytes = int64_t{1} << 20, const std::string& model = kStoredModel) {
    tier_.reset();  // the directory is one server's at a time
    auto tier = DiskTier::Open(
        {.directory = dir_.path(), .budget_bytes = budget_bytes, .model_digest = model});
    ASSERT_TRUE(tier.ok()) << tier.status();
    tier_ = *std::move(tier);
  }

  std::string PathOf(const EmbeddingKey& key) const {
    return dir_.File(TierFileName(key) + ".embedding");
  }

  // Names of all files but the lock.
  std::set<std::string> Files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(dir_.path())) {
      names.insert(entry.path().filename().string());
    }
    names.erase(".semsam-lock");
    return names;
  }

  int64_t BytesOnDisk() const {
    int64_t bytes = 0;
    for (const std::string& name : Files()) {
      bytes += static_cast<int64_t>(fs::file_size(dir_.File(name)));
    }
    return bytes;
  }

  void Put(const std::string& image, const std::string& bytes) {
    const absl::Status status = tier_->Put(StoredKey(image), Stored(bytes));
    EXPECT_TRUE(status.ok()) << status;
  }

  // The file of an entry counts as having been used so long ago.
  void Age(const std::string& image, std::chrono::hours hours) {
    fs::last_write_time(PathOf(StoredKey(image)), fs::file_time_type::clock::now() - hours);
  }

  const TempDir dir_;
  std::unique_ptr<DiskTier> tier_;
};

TEST_F(DiskTierTest, FindsWhatWasPutInUnderExactlyItsKey) {
  Open();
  Put("a", "bytes of a");
  const auto found = tier_->Find(StoredKey("a"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->bytes, "bytes of a");
  EXPECT_EQ((*found)->format, StorageFormat::kFp16);
  EXPECT_EQ((*found)->model_digest, kStoredModel);
  EXPECT_EQ((*found)->network_size, kStoredSize);
  EmbeddingKey other = StoredKey("a");
  other.network_size = {.height = 640, .width = 480};
  EXPECT_EQ(BytesIn(*tier_, other), "NOT_FOUND");
  other = StoredKey("a");
  other.preprocessing = "another";
  EXPECT_EQ(BytesIn(*tier_, other), "NOT_FOUND");
  EXPECT_TRUE(tier_->outlives_process());
}

TEST_F(DiskTierTest, TenantsNeverShareAFile) {
  Open();
  ASSERT_TRUE(tier_->Put(StoredKey("a", "one"), Stored("of one")).ok());
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a", "two")), "NOT_FOUND");
  EXPECT_FALSE(tier_->Touch(StoredKey("a", "two")));
  ASSERT_TRUE(tier_->Put(StoredKey("a", "two"), Stored("of two")).ok());
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a", "one")), "of one");
  // Fields that run into each other make no two keys one.
  EXPECT_NE(TierFileName(StoredKey("a", "ab")), TierFileName(StoredKey("ba", "a")));
  // Somebody swaps their files: what is in a file counts, not its name.
  fs::copy_file(PathOf(StoredKey("a", "one")), PathOf(StoredKey("a", "two")),
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a", "two")), "DATA_LOSS");
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a", "two")), "NOT_FOUND");
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a", "one")), "of one");
}

TEST_F(DiskTierTest, FilesAreTheirOwnersAndTellNothingByTheirName) {
  Open();
  Put("sha of a secret", "x");
  struct stat info = {};
  ASSERT_EQ(stat(PathOf(StoredKey("sha of a secret")).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(DiskTierTest, TheLeastRecentlyUsedMakesRoom) {
  Open();
  Put("a", std::string(1000, 'a'));
  const int64_t each = tier_->stats().bytes;
  Open(3 * each);
  for (const char* name : {"b", "c"}) Put(name, std::string(1000, *name));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), std::string(1000, 'a'));
  EXPECT_TRUE(tier_->Touch(StoredKey("b")));
  Put("d", std::string(1000, 'd'));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("c")), "NOT_FOUND");
  EXPECT_FALSE(fs::exists(PathOf(StoredKey("c"))));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("b")), std::string(1000, 'b'));
  EXPECT_EQ(tier_->stats().evicted, 1);
  EXPECT_EQ(tier_->stats().entries, 3);
  EXPECT_EQ(tier_->stats().bytes, 3 * each);
  EXPECT_EQ(BytesOnDisk(), 3 * each);
}

TEST_F(DiskTierTest, ReplacingAndRemovingKeepTheSumExact) {
  Open();
  Put("a", std::string(100, 'x'));
  Put("a", std::string(2500, 'y'));
  Put("b", std::string(10, 'z'));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), std::string(2500, 'y'));
  EXPECT_EQ(tier_->stats().bytes, BytesOnDisk());
  tier_->Remove(StoredKey("a"));
  tier_->Remove(StoredKey("never there"));
  EXPECT_EQ(tier_->stats().bytes, BytesOnDisk());
  EXPECT_EQ(tier_->stats().entries, 1);
}

TEST_F(DiskTierTest, TheNextProcessFindsItAllInTheOrderOfUse) {
  Open();
  for (const char* name : {"a", "b", "c"}) Put(name, std::string(1000, *name));
  const int64_t each = tier_->stats().bytes / 3;
  Age("a", std::chrono::hours(1));
  Age("b", std::chrono::hours(3));
  Age("c", std::chrono::hours(2));
  Open(3 * each);
  EXPECT_EQ(tier_->stats().bytes, 3 * each);
  EXPECT_EQ(tier_->stats().entries, 3);
  Put("d", std::string(1000, 'd'));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("b")), "NOT_FOUND") << "unused for the longest time";
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), std::string(1000, 'a'));
}

TEST_F(DiskTierTest, UseIsRememberedFromOneProcessToTheNext) {
  Open();
  for (const char* name : {"a", "b", "c"}) Put(name, std::string(1000, *name));
  const int64_t each = tier_->stats().bytes / 3;
  for (const char* name : {"a", "b", "c"}) Age(name, std::chrono::hours(5));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), std::string(1000, 'a'));
  EXPECT_TRUE(tier_->Touch(StoredKey("b")));
  Open(2 * each);
  EXPECT_EQ(BytesIn(*tier_, StoredKey("c")), "NOT_FOUND");
  EXPECT_TRUE(tier_->Touch(StoredKey("a")));
  EXPECT_TRUE(tier_->Touch(StoredKey("b")));
}

TEST_F(DiskTierTest, ASmallerBudgetHoldsFromTheStart) {
  Open();
  for (const char* name : {"a", "b", "c"}) Put(name, std::string(1000, *name));
  const int64_t each = tier_->stats().bytes / 3;
  Open(each);
  EXPECT_EQ(tier_->stats().entries, 1);
  EXPECT_EQ(BytesOnDisk(), each);
}

TEST_F(DiskTierTest, WhatACrashLeftGoesAndForeignFilesStay) {
  Open();
  Put("a", "bytes");
  const std::string part = TierFileName(StoredKey("b")) + ".embedding.part";
  WriteFile(dir_.File(part), "half of");
  const std::string digits(64, '0');
  const std::vector<std::string> foreign = {"notes.txt",
                                            "short.embedding",
                                            digits + ".embedding.bak",
                                            std::string(64, 'Z') + ".embedding",
                                            digits + "0.embedding",
                                            "something.part"};
  for (const std::string& name : foreign) WriteFile(dir_.File(name), "not ours");
  fs::create_directory(dir_.File(std::string(64, '1') + ".embedding"));
  fs::create_symlink(dir_.File("notes.txt"), dir_.File(std::string(64, '2') + ".embedding"));
  Open();
  EXPECT_EQ(tier_->stats().entries, 1);
  std::set<std::string> expected(foreign.begin(), foreign.end());
  expected.insert(TierFileName(StoredKey("a")) + ".embedding");
  expected.insert(std::string(64, '1') + ".embedding");
  expected.insert(std::string(64, '2') + ".embedding");
  EXPECT_EQ(Files(), expected);
  EXPECT_EQ(ReadFile(dir_.File("notes.txt")), "not ours");
}

TEST_F(DiskTierTest, TheFilesOfAnotherModelGo) {
  Open();
  Put("a", "bytes");
  Open(int64_t{1} << 20, "another model");
  EXPECT_EQ(tier_->stats().entries, 0);
  EXPECT_THAT(Files(), ::testing::IsEmpty());
  const absl::Status status = tier_->Put(StoredKey("a"), std::make_shared<const StoredEmbedding>());
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << "not of its key's model";
}

// Each breaks the whole file of an entry.
struct Damage {
  const char* name;
  std::function<std::string(std::string)> apply;
};

TEST_F(DiskTierTest, ABrokenFileIsAMissAndIsRemoved) {
  const auto flip = [](size_t from_end) {
    return [from_end](std::string file) {
      file[from_end == 0 ? 0 : file.size() - from_end] ^= 1;
      return file;
    };
  };
  const Damage damages[] = {
      {"empty", [](const std::string&) { return std::string(); }},
      {"cut in the prefix", [](const std::string& file) { return file.substr(0, 9); }},
      {"cut in the header", [](const std::string& file) { return file.substr(0, 40); }},
      {"without its bytes",
       [](const std::string& file) { return file.substr(0, file.size() - 500); }},
      {"a byte short", [](const std::string& file) { return file.substr(0, file.size() - 1); }},
      {"a byte long", [](const std::string& file) { return file + "x"; }},
      {"another magic number", flip(0)},
      {"a bit of the bytes", flip(1)},
      {"a bit of the header", flip(520)},
      {"a header longer than any",
       [](std::string file) {
         for (size_t i = 8; i < 12; ++i) file[i] = '\xff';
         return file;
       }},
      {"zeros", [](const std::string& file) { return std::string(file.size(), '\0'); }},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.name);
    Open();
    Put("good", "good bytes");
    Put("a", std::string(500, 'a'));
    const std::string path = PathOf(StoredKey("a"));
    WriteFile(path, damage.apply(ReadFile(path)));
    EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), "DATA_LOSS");
    EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), "NOT_FOUND") << "removed";
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(tier_->stats().bytes, BytesOnDisk());
    EXPECT_EQ(BytesIn(*tier_, StoredKey("good")), "good bytes");

    // The same, found by the next process: at its start, or when it reads it.
    Put("a", std::string(500, 'a'));
    WriteFile(path, damage.apply(ReadFile(path)));
    Open();
    EXPECT_THAT(BytesIn(*tier_, StoredKey("a")), ::testing::AnyOf("NOT_FOUND", "DATA_LOSS"));
    EXPECT_FALSE(fs::exists(path));
    EXPECT_EQ(tier_->stats().entries, 1);
    EXPECT_EQ(tier_->stats().bytes, BytesOnDisk());
  }
}

TEST_F(DiskTierTest, AFileThatSomebodyTookAwayIsAMiss) {
  Open();
  Put("a", "bytes");
  fs::remove(PathOf(StoredKey("a")));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), "NOT_FOUND");
  EXPECT_EQ(tier_->stats().entries, 0);
  Put("a", "bytes");
  fs::remove(PathOf(StoredKey("a")));
  EXPECT_FALSE(tier_->Touch(StoredKey("a")));
  EXPECT_EQ(tier_->stats().bytes, 0);
}

TEST_F(DiskTierTest, AFullDiskFailsThePutAndLeavesNothingOfIt) {
  Open(int64_t{8} << 20);
  Put("a", "bytes of a");
  const int64_t before = tier_->stats().bytes;
  // A limit on the size of files stands in for a full disk.
  rlimit old_limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {.rlim_cur = 1 << 16, .rlim_max = old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const absl::Status status = tier_->Put(StoredKey("b"), Stored(std::string(1 << 20, 'b')));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("File too large"));
  EXPECT_EQ(Files().size(), 1);
  EXPECT_EQ(tier_->stats().bytes, before);
  EXPECT_EQ(BytesIn(*tier_, StoredKey("b")), "NOT_FOUND");
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), "bytes of a");
}

TEST_F(DiskTierTest, ADirectoryThatGoesAwayFailsThePutAlone) {
  Open();
  Put("a", "bytes of a");
  fs::remove_all(dir_.path());
  EXPECT_TRUE(absl::IsUnavailable(tier_->Put(StoredKey("b"), Stored("bytes"))));
  EXPECT_EQ(BytesIn(*tier_, StoredKey("a")), "NOT_FOUND");
  EXPECT_EQ(tier_->stats().bytes, 0);
}

TEST_F(DiskTierTest, WhatIsAboveTheBudgetIsRefusedAndTakesNothingWithIt) {
  Open(1000);
  Put("a", std::string(100, 'a'));
  EXPECT_TRUE(
      absl::IsResourceExhausted(tier_->Put(StoredKey("b"), Stored(std::string(1001, 'b')))));
  EXPECT_TRUE(tier_->Touch(StoredKey("a")));
}

TEST_F(DiskTierTest, ADirectoryThatCannotBeUsedIsNamedAtTheStart) {
  WriteFile(dir_.File("file"), "not a directory");
  for (const std::string& bad : {dir_.File("file"), dir_.File("no/parent"), std::string("/proc")}) {
    const absl::Status status =
        DiskTier::Open({.directory = bad, .budget_bytes = 1000, .model_digest = "m"}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(ErrorField(status), "disk_cache_dir");
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad));
  }
}

TEST_F(DiskTierTest, ADirectoryIsMadeAndIsOneServersAlone) {
  const DiskTierOptions options{
      .directory = dir_.File("new"), .budget_bytes = 1000, .model_digest = "m"};
  auto first = DiskTier::Open(options);
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = DiskTier::Open(options).status();
  EXPECT_EQ(ErrorField(second), "disk_cache_dir");
  EXPECT_THAT(std::string(second.message()), HasSubstr("another server uses it"));
  first->reset();
  EXPECT_TRUE(DiskTier::Open(options).ok());
}

}  // namespace
}  // namespace semsam
