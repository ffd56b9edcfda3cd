// The pictures that a load test uploads, in memory: files, or drawn ones.
#ifndef SEMSAM_CLIENT_LOAD_PICTURES_H_
#define SEMSAM_CLIENT_LOAD_PICTURES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace semsam::load {

struct PictureOptions {
  std::vector<std::string> files;  // encoded pictures; without any they are drawn
  int width_px = 640;              // of a drawn picture
  int height_px = 480;
  // Different pictures (by their bytes) before they repeat; 0: none is like another.
  // Not of files, which are as many as they are.
  int distinct = 64;
  uint64_t seed = 1;

  // OK, or INVALID_ARGUMENT that names the member.
  absl::Status Validate() const;
};

// Thread-safe.
class PictureSet {
 public:
  // INVALID_ARGUMENT for bad options; NOT_FOUND or INVALID_ARGUMENT that name a
  // file which cannot be used. Bounded: 1 GiB of files.
  static absl::StatusOr<PictureSet> Create(const PictureOptions& options);

  // The encoded bytes of the n-th upload; the same for the same set and index.
  std::shared_ptr<const std::string> Get(size_t index) const;

 private:
  PictureSet(PictureOptions options, std::vector<std::shared_ptr<const std::string>> encoded)
      : options_(std::move(options)), encoded_(std::move(encoded)) {}

  PictureOptions options_;
  std::vector<std::shared_ptr<const std::string>> encoded_;
};

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_PICTURES_H_
