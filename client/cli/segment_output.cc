#include "client/cli/segment_output.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/cli/overlay.h"
#include "client/cli/panels.h"

namespace semsam::client {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;  // whatever the server allows

absl::Status WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("--out-dir: cannot write ", path.string()));
}

}  // namespace

absl::StatusOr<std::string> ReadImageFile(const std::string& path, uint64_t max_bytes) {
  const uint64_t limit = max_bytes == 0 ? kMaxFileBytes : std::min(max_bytes, kMaxFileBytes);
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("--image: ", path, ": ", error.message()));
  }
  if (size > limit) {
    return absl::InvalidArgumentError(
        absl::StrCat("--image: ", path, " has ", size, " bytes, the limit is ", limit));
  }
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) {
    return absl::InvalidArgumentError(absl::StrCat("--image: cannot read ", path));
  }
  return bytes;
}

absl::StatusOr<OutputFiles> WriteOutputs(const SegmentFlags& flags, SegmentReport& report,
                                         const std::string& image_bytes, Console console) {
  std::error_code error;
  std::filesystem::create_directories(flags.out_dir, error);
  if (error) {
    return absl::PermissionDeniedError(
        absl::StrCat("--out-dir: ", flags.out_dir, ": ", error.message()));
  }
  const std::string stem =
      flags.image_path.empty() ? "image" : std::filesystem::path(flags.image_path).stem().string();
  const std::filesystem::path dir(flags.out_dir);
  OutputFiles files{.overlay = dir / (stem + "_overlay.png"),
                    .masks = dir / (stem + "_masks.json")};

  const auto picture = DrawOverlay(MakeOverlay(report, flags.levels, image_bytes));
  if (!picture.ok()) return picture.status();
  if (!picture->has_image) console.err << "note: no image to draw on; the overlay is plain\n";
  if (absl::Status s = WriteFile(files.overlay, picture->png); !s.ok()) return s;
  if (report.panoptic.has_value()) {
    files.panoptic = dir / (stem + "_panoptic.png");
    report.panoptic_file = files.panoptic.filename().string();
    if (absl::Status s = WriteFile(files.panoptic, report.panoptic->png); !s.ok()) return s;
  }
  if (absl::Status s = WriteFile(files.masks, Dump(ToCocoJson(report)) + "\n"); !s.ok()) return s;
  return files;
}

void PrintReport(const SegmentFlags& flags, const SegmentReport& report, const OutputFiles& files,
                 Console console) {
  const bool kept = flags.keep || !flags.session_id.empty();
  if (flags.json) {
    nlohmann::ordered_json json = ToCocoJson(report);
    json["masks_filtered"] = report.summary.masks_filtered;
    json["timings_ms"] = ToJson(report.summary.timings);
    json["files"] = {{"overlay", files.overlay.string()}, {"masks", files.masks.string()}};
    if (!files.panoptic.empty()) json["files"]["panoptic"] = files.panoptic.string();
    if (kept) {
      json["session_id"] = report.session_id;
      json["image_id"] = report.image.image_id;
    }
    console.out << Dump(json) << "\n";
    return;
  }
  console.out << ToTable(report);
  if (report.summary.masks_filtered > 0) {
    console.out << report.summary.masks_filtered << " more were filtered out\n";
  }
  console.out << "picture  " << files.overlay.string() << "\nmasks    " << files.masks.string()
              << "\n";
  if (!files.panoptic.empty()) console.out << "map      " << files.panoptic.string() << "\n";
  if (kept) {
    console.out << "again    --session " << report.session_id << " --image-id "
                << report.image.image_id << "\n";
  }
}

}  // namespace semsam::client
