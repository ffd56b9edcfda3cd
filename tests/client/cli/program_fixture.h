// The built program, a server for it to talk to, and a folder for both.
#ifndef SEMSAM_TESTS_CLIENT_CLI_PROGRAM_FIXTURE_H_
#define SEMSAM_TESTS_CLIENT_CLI_PROGRAM_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "opencv2/imgcodecs.hpp"
#include "tests/client/scripted_server.h"

namespace semsam::client {

inline std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ =
        std::filesystem::path(testing::TempDir()) /
        absl::StrCat("semsam_program_",
                     testing::UnitTest::GetInstance()->current_test_info()->name(), "_", getpid());
    std::filesystem::create_directories(dir_);
    image_ = dir_ / "photo.png";
    cv::imwrite(image_.string(), cv::Mat(48, 64, CV_8UC3, cv::Scalar(10, 120, 60)));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  // Runs the built program; arguments must not hold quotes.
  Outcome Run(const std::vector<std::string>& args) {
    std::string command = absl::StrCat("'", SEMSAM_PROGRAM, "'");
    for (const std::string& arg : args) absl::StrAppend(&command, " '", arg, "'");
    absl::StrAppend(&command, " >'", (dir_ / "out").string(), "' 2>'", (dir_ / "err").string(),
                    "'");
    const int status = std::system(command.c_str());
    return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            .out = ReadAll(dir_ / "out"),
            .err = ReadAll(dir_ / "err")};
  }

  Outcome Segment(std::vector<std::string> args) {
    args.insert(args.begin(), {"segment", "--server", server_.address(), "--out-dir",
                               (dir_ / "results").string()});
    return Run(args);
  }

  ScriptedServer server_;
  std::filesystem::path dir_;
  std::filesystem::path image_;
};

}  // namespace semsam::client

#endif  // SEMSAM_TESTS_CLIENT_CLI_PROGRAM_FIXTURE_H_
