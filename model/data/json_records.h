// Large JSON files of the COCO kind, one object with arrays of records
// ("images", "annotations", "categories"), read record by record: such a file has
// up to gigabytes, a tree of it would take ten times that.
//
// A first pass streams through the file and hands out every record with its place;
// afterwards single records are read again from their place. What is held is what
// the caller keeps; the pass itself holds one record and one block of the file.
#ifndef SEMSAM_MODEL_DATA_JSON_RECORDS_H_
#define SEMSAM_MODEL_DATA_JSON_RECORDS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace semsam {

inline constexpr int64_t kMaxRecordBytes = int64_t{64} << 20;

// Where a record stands in its file.
struct RecordPlace {
  int64_t offset = 0;  // bytes
  int32_t length = 0;  // bytes
};

struct JsonRecord {
  std::string_view array;  // the key of the array
  int64_t index = 0;       // in the array, from 0
  std::string_view text;   // the record, an object; valid during the call
  RecordPlace place;
};

class JsonRecordFile {
 public:
  // Opens the file; reads nothing. Errors: NOT_FOUND and what the system says.
  static absl::StatusOr<std::unique_ptr<JsonRecordFile>> Open(const std::string& path);

  ~JsonRecordFile();
  JsonRecordFile(const JsonRecordFile&) = delete;
  JsonRecordFile& operator=(const JsonRecordFile&) = delete;

  // Calls `visit` for every object in every array that is a member of the
  // outermost object, in the order of the file; what else there is, is skipped.
  // The text of a record is balanced in its brackets and strings; whether it is
  // sound JSON shows when it is parsed. Errors: what `visit` returns, and
  // INVALID_ARGUMENT that names file and byte for a file that is cut short, is no
  // such object, or has a record of more than kMaxRecordBytes.
  absl::Status ForEach(const std::function<absl::Status(const JsonRecord&)>& visit) const;

  // A record again. Thread-safe. Errors name the file; UNAVAILABLE where it has
  // become shorter.
  absl::StatusOr<std::string> Read(RecordPlace place) const;

  const std::string& path() const { return path_; }

 private:
  JsonRecordFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  const int fd_;
};

// The integer member `key` of the record `text`, found without parsing the rest;
// nothing where there is none. A whole number written as "7.0" is not one.
std::optional<int64_t> FindInteger(std::string_view text, std::string_view key);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_JSON_RECORDS_H_
