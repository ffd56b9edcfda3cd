#include "model/tools/bench/storage_bench.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/decode_image.h"
#include "model/image/mask_generator.h"
#include "model/image/mask_tail.h"
#include "model/image/resize.h"
#include "model/image/run_lengths.h"
#include "model/net/torch_segmenter.h"

namespace semsam::bench {
namespace {

constexpr std::array<StorageFormat, 3> kFormats = {StorageFormat::kFp32, StorageFormat::kFp16,
                                                   StorageFormat::kInt8};
constexpr int64_t kMaxNetworkPixels = int64_t{4096} * 4096;

const char* NameOf(StorageFormat format) {
  switch (format) {
    case StorageFormat::kFp32:
      return "fp32";
    case StorageFormat::kFp16:
      return "fp16";
    case StorageFormat::kInt8:
      return "int8";
  }
  return "?";
}

struct Picture {
  Rgb8Image pixels;  // network frame
  ImageGeometry geometry;
};

absl::StatusOr<Picture> ReadPicture(const std::string& path, const ModelConfig& config) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  absl::StatusOr<Rgb8Image> image = DecodeImage(std::string_view(bytes), DecodeLimits());
  if (!image.ok()) return Annotate(image.status(), absl::StrCat(path, ": "));
  SEMSAM_ASSIGN_OR_RETURN(const ImageSize network,
                          CheckedNetworkSize(image->size, config.short_edge_px, kMaxNetworkPixels));
  return Picture{.pixels = ResizeBicubic(*image, network),
                 .geometry = {image->size, network, PaddedSize(config, network)}};
}

struct Answer {
  std::vector<RunLengths> masks;
  std::vector<float> predicted_ious;
};

absl::StatusOr<Answer> Click(Segmenter& segmenter, const std::shared_ptr<const Embedding>& image,
                             const std::vector<Prompt>& points, const ImageGeometry& geometry) {
  DecodeRequest request{.embedding = image, .prompts = points};
  for (int level = 1; level <= segmenter.info().config.levels(); ++level) {
    request.levels.push_back(level);
  }
  SEMSAM_ASSIGN_OR_RETURN(const DecodeResult result, segmenter.Decode({&request, 1})[0]);
  Answer answer;
  for (size_t i = 0; i < result.scores.size(); ++i) {
    answer.masks.push_back(
        LogitsToRunLengths(result.mask_logits(i), geometry, MaskResolution::kOriginal));
    answer.predicted_ious.push_back(result.scores[i].predicted_iou);
  }
  return answer;
}

// Sums; Finish makes means of them.
void AddMask(const Answer& ours, const Answer& original, size_t i, MaskAgreement& agreement) {
  const bool same = ours.masks[i] == original.masks[i];
  const double iou = same ? 1 : MaskIou(ours.masks[i], original.masks[i]);
  const double diff = std::abs(double{ours.predicted_ious[i]} - original.predicted_ious[i]);
  ++agreement.masks;
  agreement.mean_iou += iou;
  agreement.min_iou = std::min(agreement.min_iou, iou);
  agreement.unchanged += same ? 1 : 0;
  agreement.mean_predicted_diff += diff;
  agreement.max_predicted_diff = std::max(agreement.max_predicted_diff, diff);
}

void Finish(MaskAgreement& agreement) {
  const auto count = static_cast<double>(std::max<int64_t>(1, agreement.masks));
  agreement.mean_iou /= count;
  agreement.unchanged /= count;
  agreement.mean_predicted_diff /= count;
}

// What one format is measured by, while pictures go by.
struct Tally {
  FormatFigures figures;
  std::vector<double> store_ms;
  std::vector<double> load_ms;
};

class StorageRun {
 public:
  StorageRun(Segmenter& segmenter, const StorageOptions& options)
      : segmenter_(segmenter),
        options_(options),
        points_(PointGrid(options.points_per_side, segmenter.info().config.click_size)) {
    for (size_t i = 0; i < kFormats.size(); ++i) tallies_[i].figures.format = kFormats[i];
  }

  absl::Status Add(const Picture& picture) {
    const Rgb8Image* images[] = {&picture.pixels};
    std::shared_ptr<const Embedding> embedding;
    // The first round is not counted: it meets memory that nobody has touched.
    for (int block = -1; block < options_.blocks; ++block) {
      const double ms = Timed([&] { encoded_ = segmenter_.Encode(images); });
      SEMSAM_ASSIGN_OR_RETURN(embedding, encoded_[0]);
      if (block >= 0) encode_ms_.push_back(ms);
      for (Tally& tally : tallies_) SEMSAM_RETURN_IF_ERROR(Time(*embedding, block >= 0, tally));
    }
    SEMSAM_ASSIGN_OR_RETURN(const Answer original,
                            Click(segmenter_, embedding, points_, picture.geometry));
    for (Tally& tally : tallies_) {
      SEMSAM_RETURN_IF_ERROR(Judge(*embedding, original, picture.geometry, tally.figures));
    }
    ++pictures_;
    return absl::OkStatus();
  }

  StorageFigures Finished() {
    StorageFigures figures{.encode_ms = SpreadOf(encode_ms_), .copy_ms = SpreadOf(copy_ms_)};
    for (Tally& tally : tallies_) {
      tally.figures.bytes /= pictures_;
      tally.figures.store_ms = SpreadOf(tally.store_ms);
      tally.figures.load_ms = SpreadOf(tally.load_ms);
      Finish(tally.figures.all);
      Finish(tally.figures.sure);
      figures.formats.push_back(tally.figures);
    }
    return figures;
  }

 private:
  template <typename Work>
  static double Timed(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

  absl::Status Time(const Embedding& embedding, bool count, Tally& tally) {
    absl::StatusOr<StoredEmbedding> stored;
    const double store_ms =
        Timed([&] { stored = segmenter_.Store(embedding, tally.figures.format); });
    SEMSAM_RETURN_IF_ERROR(stored.status());
    absl::StatusOr<std::shared_ptr<const Embedding>> loaded;
    const double load_ms = Timed([&] { loaded = segmenter_.Load(*stored); });
    SEMSAM_RETURN_IF_ERROR(loaded.status());
    if (count) {
      tally.store_ms.push_back(store_ms);
      tally.load_ms.push_back(load_ms);
    }
    if (stored->format == StorageFormat::kFp32) {
      copy_.resize(std::max(copy_.size(), stored->bytes.size()));
      const double copy_ms =
          Timed([&] { std::memcpy(copy_.data(), stored->bytes.data(), stored->bytes.size()); });
      if (count) copy_ms_.push_back(copy_ms);
    }
    return absl::OkStatus();
  }

  absl::Status Judge(const Embedding& embedding, const Answer& original,
                     const ImageGeometry& geometry, FormatFigures& figures) {
    SEMSAM_ASSIGN_OR_RETURN(const StoredEmbedding stored,
                            segmenter_.Store(embedding, figures.format));
    SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const Embedding> loaded, segmenter_.Load(stored));
    SEMSAM_ASSIGN_OR_RETURN(const Answer answer, Click(segmenter_, loaded, points_, geometry));
    const float sure = MaskGeneratorOptions().pred_iou_thresh;
    for (size_t i = 0; i < original.masks.size(); ++i) {
      AddMask(answer, original, i, figures.all);
      if (original.predicted_ious[i] > sure) AddMask(answer, original, i, figures.sure);
    }
    figures.bytes += static_cast<int64_t>(stored.bytes.size());
    return absl::OkStatus();
  }

  Segmenter& segmenter_;
  const StorageOptions& options_;
  const std::vector<Prompt> points_;
  std::array<Tally, kFormats.size()> tallies_;
  std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> encoded_;
  std::vector<char> copy_;
  std::vector<double> encode_ms_;
  std::vector<double> copy_ms_;
  int64_t pictures_ = 0;
};

double SessionsAGigabyte(const FormatFigures& figures) {
  return 1e9 / static_cast<double>(figures.bytes);
}

nlohmann::json ToJson(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

nlohmann::json ToJson(const MaskAgreement& agreement) {
  return {{"masks", agreement.masks},
          {"mean_iou", agreement.mean_iou},
          {"min_iou", agreement.min_iou},
          {"unchanged", agreement.unchanged},
          {"mean_predicted_iou_difference", agreement.mean_predicted_diff},
          {"max_predicted_iou_difference", agreement.max_predicted_diff}};
}

void PrintAgreement(const char* format, const char* which, const MaskAgreement& agreement) {
  std::printf("%-6s %-5s %8lld %10.5f %9.5f %9.1f %% %10.1e %9.1e\n", format, which,
              static_cast<long long>(agreement.masks), agreement.mean_iou, agreement.min_iou,
              agreement.unchanged * 100, agreement.mean_predicted_diff,
              agreement.max_predicted_diff);
}

}  // namespace

absl::StatusOr<StorageFigures> MeasureStorage(const StorageOptions& options) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Segmenter> segmenter,
                          CreateTorchSegmenter({.weights = options.weights}));
  StorageRun run(*segmenter, options);
  for (const std::string& path : options.pictures) {
    SEMSAM_ASSIGN_OR_RETURN(const Picture picture, ReadPicture(path, segmenter->info().config));
    SEMSAM_RETURN_IF_ERROR(run.Add(picture));
  }
  StorageFigures figures = run.Finished();
  if (figures.formats[0].all.unchanged != 1 || figures.formats[0].all.max_predicted_diff != 0) {
    return absl::InternalError("masks of what was stored as fp32 are not those of the original");
  }
  return figures;
}

void PrintStorage(const StorageFigures& figures) {
  std::printf("encode %.1f ms (%.1f-%.1f), plain copy of the fp32 bytes %.2f ms\n\n",
              figures.encode_ms.median, figures.encode_ms.min, figures.encode_ms.max,
              figures.copy_ms.median);
  std::printf("%-6s %12s %12s %9s %9s %14s\n", "", "bytes/image", "sessions/GB", "store ms",
              "load ms", "load / encode");
  for (const FormatFigures& row : figures.formats) {
    std::printf("%-6s %12lld %12.1f %9.2f %9.2f %14.4f\n", NameOf(row.format),
                static_cast<long long>(row.bytes), SessionsAGigabyte(row), row.store_ms.median,
                row.load_ms.median, row.load_ms.median / figures.encode_ms.median);
  }
  std::printf("\n%-6s %-5s %8s %10s %9s %11s %10s %9s\n", "", "", "masks", "mean IoU", "lowest",
              "unchanged", "pred. IoU", "most");
  for (const FormatFigures& row : figures.formats) {
    PrintAgreement(NameOf(row.format), "all", row.all);
    PrintAgreement("", "sure", row.sure);
  }
}

nlohmann::json ToJson(const StorageFigures& figures) {
  nlohmann::json document = {{"encode_ms", ToJson(figures.encode_ms)},
                             {"copy_ms", ToJson(figures.copy_ms)}};
  for (const FormatFigures& row : figures.formats) {
    document["formats"].push_back({{"name", NameOf(row.format)},
                                   {"bytes", row.bytes},
                                   {"sessions_per_gb", SessionsAGigabyte(row)},
                                   {"store_ms", ToJson(row.store_ms)},
                                   {"load_ms", ToJson(row.load_ms)},
                                   {"all_masks", ToJson(row.all)},
                                   {"sure_masks", ToJson(row.sure)}});
  }
  return document;
}

}  // namespace semsam::bench
