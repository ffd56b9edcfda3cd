#include "model/tools/inspect/text_lines.h"

#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

constexpr size_t kMaxBytes = 64 << 20;

absl::StatusOr<std::vector<std::string>> ReadStream(std::istream& in, const std::string& path) {
  std::vector<std::string> lines;
  size_t bytes = 0;
  for (std::string line; std::getline(in, line);) {
    bytes += line.size() + 1;
    if (bytes > kMaxBytes) return absl::ResourceExhaustedError(path + ": more than 64 MiB of text");
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
  }
  if (in.bad()) return absl::UnavailableError("cannot read " + path);
  return lines;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  if (path == "-") return ReadStream(std::cin, "the standard input");
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("cannot open " + path);
  return ReadStream(file, path);
}

absl::StatusOr<std::vector<std::string>> ReadNames(const std::string& path) {
  SEMSAM_ASSIGN_OR_RETURN(std::vector<std::string> names, ReadLines(path));
  std::erase(names, "");
  if (names.empty()) return absl::InvalidArgumentError(path + ": holds no names");
  return names;
}

}  // namespace semsam
