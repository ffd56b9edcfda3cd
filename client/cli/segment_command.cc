#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/args.h"
#include "client/cli/commands.h"
#include "client/cli/connection.h"
#include "client/cli/overlay.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"

namespace semsam::client {
namespace {

constexpr char kSegmentHelp[] =
    R"(semsam segment: masks for clicks and boxes, at every granularity level

Usage: semsam segment --image FILE --click X,Y [--click ...] [--box X0,Y0,X1,Y1 ...] [FLAGS]

Writes NAME_overlay.png (one panel a level) and NAME_masks.json (COCO run
lengths), and prints a table.

Examples:
  semsam segment --server localhost:50051 --image photo.jpg --click 320,240
  semsam segment --image photo.jpg --click 0.5,0.4 --normalized --levels 1,3 --min-iou 0.7
  semsam segment --image photo.jpg --box 10,10,300,200 --click 50,60 --out-dir out

Click again without another upload:
  semsam segment --image photo.jpg --click 320,240 --keep
  semsam segment --session ID --image-id ID --image photo.jpg --click 100,80

)";

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 30;  // whatever the server allows

struct SegmentFlags {
  ConnectionFlags connection;
  std::string image_path;
  std::string session_id;
  std::string image_id;
  std::vector<Prompt> prompts;
  bool normalized = false;
  PromptOptions options;
  std::string out_dir = ".";
  bool keep = false;
  bool json = false;
  bool help = false;
};

void AddPromptFlags(ArgParser& parser, SegmentFlags& flags) {
  parser.AddGroup("Prompts");
  parser.AddRepeated("click", "X,Y", "a point inside the region",
                     [&flags](const std::string& text) {
                       const auto n = ParseNumbers(text, 2);
                       if (!n.ok()) return n.status();
                       flags.prompts.push_back({.shape = Click{(*n)[0], (*n)[1]}});
                       return absl::OkStatus();
                     });
  parser.AddRepeated("box", "X0,Y0,X1,Y1", "corners around the region",
                     [&flags](const std::string& text) {
                       const auto n = ParseNumbers(text, 4);
                       if (!n.ok()) return n.status();
                       flags.prompts.push_back({.shape = Box{(*n)[0], (*n)[1], (*n)[2], (*n)[3]}});
                       return absl::OkStatus();
                     });
  parser.AddSwitch("normalized", "coordinates are fractions of width and height, 0 to 1",
                   flags.normalized);
  parser.AddSwitch("joint-attention", "let the prompts influence each other",
                   flags.options.joint_attention);
}

void AddFilterFlags(ArgParser& parser, SegmentFlags& flags) {
  parser.AddGroup("Masks");
  parser.AddValue("levels", "1,2,3", "granularity levels, 1 is the largest region (all)",
                  SetIntList(flags.options.levels));
  parser.AddValue("min-iou", "N", "leave out masks of lower predicted IoU",
                  SetFloat(flags.options.min_predicted_iou));
  parser.AddValue("min-stability", "N", "leave out masks of lower stability, 0 to 1",
                  SetFloat(flags.options.min_stability));
  parser.AddValue("max-duplicate-iou", "N", "leave out near-copies of a better mask, 0 to 1",
                  SetFloat(flags.options.max_duplicate_iou));
  parser.AddValue("min-region-area", "PIXELS", "fill smaller holes and drop smaller islands",
                  SetNonNegativeInt(flags.options.min_region_area_px));
}

// `flags` must outlive `parser`.
void AddSegmentFlags(ArgParser& parser, SegmentFlags& flags) {
  parser.AddGroup("Image");
  parser.AddValue("image", "FILE", "JPEG, PNG, WebP, BMP or TIFF", SetString(flags.image_path));
  parser.AddValue("session", "ID", "use this session instead of a new one",
                  SetString(flags.session_id));
  parser.AddValue("image-id", "ID", "use this image of the session; --image then serves to draw on",
                  SetString(flags.image_id));
  parser.AddSwitch("keep", "keep the new session and print its ids", flags.keep);
  AddPromptFlags(parser, flags);
  AddFilterFlags(parser, flags);
  parser.AddGroup("Output");
  parser.AddValue("out-dir", "DIR", "where to write, created if missing (.)",
                  SetString(flags.out_dir));
  parser.AddSwitch("json", "JSON instead of the table", flags.json);
  parser.AddSwitch("help", "this text", flags.help);
  AddConnectionFlags(parser, flags.connection);
}

absl::Status CheckFlags(SegmentFlags& flags) {
  if (flags.prompts.empty()) {
    return absl::InvalidArgumentError("--click or --box: at least one is needed");
  }
  if (flags.image_id.empty() && flags.image_path.empty()) {
    return absl::InvalidArgumentError("--image: is needed, or --session with --image-id");
  }
  if (!flags.image_id.empty() && flags.session_id.empty()) {
    return absl::InvalidArgumentError("--session: is needed with --image-id");
  }
  if (flags.normalized) {
    for (Prompt& prompt : flags.prompts) prompt.frame = CoordinateFrame::kNormalized;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("--image: ", path, ": ", error.message()));
  }
  if (size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("--image: ", path, " has ", size, " bytes, the limit is ", max_bytes));
  }
  std::string bytes(size, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) {
    return absl::InvalidArgumentError(absl::StrCat("--image: cannot read ", path));
  }
  return bytes;
}

absl::Status WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (file) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("--out-dir: cannot write ", path.string()));
}

// `status` with what was being done in front, its details kept.
absl::Status While(const char* doing, const absl::Status& status) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::StrCat(doing, ": ", status.message()));
  status.ForEachPayload([&result](absl::string_view url, const absl::Cord& payload) {
    result.SetPayload(url, payload);
  });
  return result;
}

// A session to work in: the user's, or a new one that ends with this object
// unless it is to be kept.
class WorkSession {
 public:
  WorkSession(Client& client, std::string id, bool keep)
      : client_(client), id_(std::move(id)), keep_(keep) {}
  ~WorkSession() {
    // The lease ends it anyway; an error here helps nobody.
    if (!keep_) client_.DeleteSession(id_).IgnoreError();
  }
  WorkSession(const WorkSession&) = delete;
  WorkSession& operator=(const WorkSession&) = delete;

  const std::string& id() const { return id_; }

 private:
  Client& client_;
  const std::string id_;
  const bool keep_;
};

absl::StatusOr<std::unique_ptr<WorkSession>> OpenSession(Client& client,
                                                         const SegmentFlags& flags) {
  if (!flags.session_id.empty()) {
    return std::make_unique<WorkSession>(client, flags.session_id, /*keep=*/true);
  }
  const auto session = client.CreateSession();
  if (!session.ok()) return While("opening a session", session.status());
  return std::make_unique<WorkSession>(client, session->session_id, flags.keep);
}

absl::StatusOr<UploadResult> Upload(Client& client, const std::string& session_id,
                                    const std::string& bytes, Progress& progress) {
  auto upload =
      client.UploadImage(session_id, bytes, [&progress](size_t sent_bytes, size_t total_bytes) {
        progress.Bytes("uploading", sent_bytes, total_bytes);
        if (sent_bytes == total_bytes) progress.Stage("the server encodes the image");
      });
  progress.Done();
  if (!upload.ok()) return While("uploading the image", upload.status());
  return upload;
}

// The prompts' masks and summary, into `report`.
absl::Status Segment(Client& client, const SegmentFlags& flags,
                     std::shared_ptr<const std::string> image_bytes, Progress& progress,
                     SegmentReport& report) {
  const SegmentRequest request{.session_id = report.session_id,
                               .image_id = report.image.image_id,
                               .prompts = flags.prompts,
                               .options = flags.options,
                               .recovery_image = std::move(image_bytes)};
  progress.Stage("waiting for masks");
  const absl::Time start = absl::Now();
  auto summary = client.Segment(request, [&](Mask mask) {
    report.masks.push_back({.mask = std::move(mask), .arrival = absl::Now() - start});
    progress.Stage(absl::StrCat("got ", report.masks.size(), " masks"));
    return true;
  });
  progress.Done();
  if (!summary.ok()) return While("asking for masks", summary.status());
  report.summary = *std::move(summary);
  if (!report.summary.recovered_image_id.empty()) {
    report.image.image_id = report.summary.recovered_image_id;
  }
  SortMasks(report.masks);
  return absl::OkStatus();
}

// One panel a level that was asked for or answered.
std::vector<GranularityLevel> PanelLevels(const SegmentFlags& flags, const SegmentReport& report) {
  std::set<int> wanted(flags.options.levels.begin(), flags.options.levels.end());
  if (wanted.empty()) {
    for (const GranularityLevel& level : report.model.levels) wanted.insert(level.level);
  }
  for (const TimedMask& timed : report.masks) wanted.insert(timed.mask.level);
  std::vector<GranularityLevel> levels;
  for (const int level : wanted) {
    if (levels.size() == kMaxPanels) break;
    levels.push_back({.level = level});
    for (const GranularityLevel& known : report.model.levels) {
      if (known.level == level) levels.back().name = known.name;
    }
  }
  return levels;
}

struct OutputFiles {
  std::filesystem::path overlay;
  std::filesystem::path masks;
};

absl::StatusOr<OutputFiles> WriteOutputs(const SegmentFlags& flags, const SegmentReport& report,
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

  OverlayRequest overlay{.image_bytes = image_bytes,
                         .image_size = report.summary.image_size,
                         .levels = PanelLevels(flags, report)};
  for (const Prompt& prompt : flags.prompts) {
    overlay.prompts.push_back(ToPixels(prompt, report.summary.image_size));
  }
  for (const TimedMask& timed : report.masks) overlay.masks.push_back(timed.mask);
  const auto picture = DrawOverlay(overlay);
  if (!picture.ok()) return picture.status();
  if (!picture->has_image) console.err << "note: no image to draw on; the overlay is plain\n";

  if (absl::Status s = WriteFile(files.overlay, picture->png); !s.ok()) return s;
  if (absl::Status s = WriteFile(files.masks, Dump(ToCocoJson(report)) + "\n"); !s.ok()) return s;
  return files;
}

void PrintReport(const SegmentFlags& flags, const SegmentReport& report, const OutputFiles& files,
                 bool kept, Console console) {
  if (flags.json) {
    nlohmann::ordered_json json = ToCocoJson(report);
    json["masks_filtered"] = report.summary.masks_filtered;
    json["timings_ms"] = ToJson(report.summary.timings);
    json["files"] = {{"overlay", files.overlay.string()}, {"masks", files.masks.string()}};
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
  if (kept) {
    console.out << "again    --session " << report.session_id << " --image-id "
                << report.image.image_id << "\n";
  }
}

}  // namespace

absl::Status RunSegment(const std::vector<std::string>& args, Console console) {
  SegmentFlags flags;
  ArgParser parser;
  AddSegmentFlags(parser, flags);
  if (absl::Status status = parser.Parse(args); !status.ok()) return status;
  if (flags.help) {
    console.out << kSegmentHelp << parser.Help();
    return absl::OkStatus();
  }
  if (absl::Status status = CheckFlags(flags); !status.ok()) return status;

  auto client = Client::Connect(ToClientOptions(flags.connection));
  if (!client.ok()) return client.status();
  const auto info = (*client)->GetServerInfo();
  if (!info.ok()) return info.status();
  if (!info->model.trained) {
    console.err << "note: the server runs untrained weights; its masks mean nothing\n";
  }
  std::shared_ptr<const std::string> bytes;
  if (!flags.image_path.empty()) {
    const uint64_t limit = info->limits.max_image_bytes;
    auto read =
        ReadFile(flags.image_path, limit == 0 ? kMaxFileBytes : std::min(limit, kMaxFileBytes));
    if (!read.ok()) return read.status();
    bytes = std::make_shared<const std::string>(*std::move(read));
  }

  const auto session = OpenSession(**client, flags);
  if (!session.ok()) return session.status();
  SegmentReport report;
  report.image_path = flags.image_path;
  report.session_id = (*session)->id();
  report.image.image_id = flags.image_id;
  report.prompts = flags.prompts;
  report.model = info->model;
  Progress progress(console.err, console.err_is_terminal);
  if (flags.image_id.empty()) {
    auto upload = Upload(**client, report.session_id, *bytes, progress);
    if (!upload.ok()) return upload.status();
    report.image = std::move(upload->image);
  }
  if (absl::Status status = Segment(**client, flags, bytes, progress, report); !status.ok()) {
    return status;
  }
  const auto files =
      WriteOutputs(flags, report, bytes == nullptr ? std::string() : *bytes, console);
  if (!files.ok()) return files.status();
  PrintReport(flags, report, *files, flags.keep || !flags.session_id.empty(), console);
  return absl::OkStatus();
}

}  // namespace semsam::client
