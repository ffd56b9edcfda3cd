// What keeping embeddings outside the model costs: bytes, time, and masks.
#ifndef SEMSAM_MODEL_TOOLS_BENCH_STORAGE_BENCH_H_
#define SEMSAM_MODEL_TOOLS_BENCH_STORAGE_BENCH_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/segmenter.h"
#include "model/tools/bench/measure.h"

namespace semsam::bench {

struct StorageOptions {
  std::string weights;                // with clicks
  std::vector<std::string> pictures;  // files, at least one
  int points_per_side = 8;            // of the grid of clicks on each; all levels
  int blocks = 5;
};

// Masks of loaded embeddings against those of the original ones, at the size of the
// picture. Two empty masks agree.
struct MaskAgreement {
  int64_t masks = 0;
  double mean_iou = 0;
  double min_iou = 1;
  double unchanged = 0;            // share whose run lengths are the same
  double mean_predicted_diff = 0;  // of predicted IoUs, absolute
  double max_predicted_diff = 0;
};

struct FormatFigures {
  StorageFormat format = StorageFormat::kFp32;
  int64_t bytes = 0;  // mean of an image
  Spread store_ms;    // on one thread
  Spread load_ms;     // on all
  MaskAgreement all;
  // Those that everything-mode would look at further, by their predicted IoU.
  MaskAgreement sure;
};

struct StorageFigures {
  Spread encode_ms;
  Spread copy_ms;  // of the fp32 bytes into memory that is there already, one thread
  std::vector<FormatFigures> formats;
};

// Encodes, stores and loads every picture in each block and each format in turn.
// Errors: NOT_FOUND or INVALID_ARGUMENT that name a picture; INTERNAL where fp32 does not
// give back every mask.
absl::StatusOr<StorageFigures> MeasureStorage(const StorageOptions& options);

void PrintStorage(const StorageFigures& figures);
nlohmann::json ToJson(const StorageFigures& figures);

}  // namespace semsam::bench

#endif  // SEMSAM_MODEL_TOOLS_BENCH_STORAGE_BENCH_H_
