// The files of `semsam segment`, and what it prints.
//
// Errors name the flag that the file came from.
#ifndef SEMSAM_CLIENT_CLI_SEGMENT_OUTPUT_H_
#define SEMSAM_CLIENT_CLI_SEGMENT_OUTPUT_H_

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/segment_flags.h"

namespace semsam::client {

// All bytes of a file of at most `max_bytes`, and 1 GiB; 0: no limit is known.
absl::StatusOr<std::string> ReadImageFile(const std::string& path, uint64_t max_bytes);

struct OutputFiles {
  std::filesystem::path overlay;
  std::filesystem::path masks;
  std::filesystem::path panoptic;  // empty: no map was asked for
};

// Writes the picture, the document and the panoptic map. Sets the map's name in
// `report`.
absl::StatusOr<OutputFiles> WriteOutputs(const SegmentFlags& flags, SegmentReport& report,
                                         const std::string& image_bytes, Console console);

// The table, or with --json everything as JSON, to `console.out`.
void PrintReport(const SegmentFlags& flags, const SegmentReport& report, const OutputFiles& files,
                 Console console);

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_SEGMENT_OUTPUT_H_
