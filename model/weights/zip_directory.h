// The directory of a zip archive whose entries are stored, not compressed, as
// PyTorch writes them.
//
// Thread-safety: free function, plain data.
#ifndef SEMSAM_MODEL_WEIGHTS_ZIP_DIRECTORY_H_
#define SEMSAM_MODEL_WEIGHTS_ZIP_DIRECTORY_H_

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace semsam {

// Entry name -> its bytes, inside the archive's bytes.
using ZipEntries = std::map<std::string, std::span<const std::byte>, std::less<>>;

// Reads the central directory, zip64 included. INVALID_ARGUMENT for an archive
// that is cut short, split, encrypted or compressed, whose records point outside
// of it, or that has two entries of one name. Checksums are not compared:
// PyTorch may be told not to write them.
absl::StatusOr<ZipEntries> ReadZipDirectory(std::span<const std::byte> archive);

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_ZIP_DIRECTORY_H_
