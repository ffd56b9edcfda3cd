// Files and folders of data sets. Every error names the file and the system's
// reason ("No space left on device").
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_DATA_FILES_H_
#define SEMSAM_MODEL_DATA_FILES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace semsam {

// The system's word for `error` (an errno), with the file.
absl::Status FileError(std::string_view path, int error);

// Errors: NOT_FOUND, INVALID_ARGUMENT for more than `max_bytes` or no plain file.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, int64_t max_bytes);

// Names (not paths) of the plain files in `folder` whose name ends in one of
// `endings` (".jpg"; case does not matter), sorted by bytes. Errors: NOT_FOUND,
// INVALID_ARGUMENT for more than kMaxFolderEntries.
inline constexpr size_t kMaxFolderEntries = 20'000'000;
absl::StatusOr<std::vector<std::string>> ListFolder(const std::string& folder,
                                                    const std::vector<std::string>& endings);

bool IsFile(const std::string& path);
bool IsFolder(const std::string& path);

// `path` shows either its old content or all of the new one.
absl::Status WriteWholeFile(const std::string& path, std::string_view content);

// `folder` and `name` with one '/' between them; `name` alone where it is absolute
// or `folder` is empty.
std::string JoinPath(std::string_view folder, std::string_view name);

// "a/b.jpg" -> "b.jpg", and -> "a/b".
std::string_view BaseName(std::string_view path);
std::string_view WithoutEnding(std::string_view path);

// Whether a name from a file may be joined to a folder: relative, and without "..".
bool StaysInside(std::string_view name);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_FILES_H_
