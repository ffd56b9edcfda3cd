#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/args.h"
#include "client/cli/commands.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/segment_flags.h"
#include "client/cli/segment_output.h"

namespace semsam::client {
namespace {

constexpr char kSegmentHelp[] =
    R"(semsam segment: masks for clicks and boxes, for words, or of everything

Usage: semsam segment --image FILE --click X,Y [--click ...] [--box X0,Y0,X1,Y1 ...] [FLAGS]
       semsam segment --image FILE --text WORDS [--stuff WORDS] [--parts WORDS] [FLAGS]
       semsam segment --image FILE --everything [FLAGS]

Writes NAME_overlay.png (masks, names, and a legend where there are words) and
NAME_masks.json (COCO run lengths), and prints a table.

Clicks and boxes give one mask a granularity level; --objects and --parts name
them. --text and --stuff find what they name, without clicks; naming one of
--instances, --semantic and --panoptic drops the defaults. Words need a model
with text: `semsam info` says what the server's can do. The published SA-1B
checkpoints have none, and the server then refuses with FAILED_PRECONDITION.

Examples:
  semsam segment --server localhost:50051 --image photo.jpg --click 320,240
  semsam segment --image photo.jpg --click 0.5,0.4 --normalized --levels 1,3 --min-iou 0.7
  semsam segment --image photo.jpg --box 10,10,300,200 --objects "dog,cat" --parts "head,leg"
  semsam segment --image photo.jpg --text "dog,polar bear" --stuff "sky,grass" --panoptic
  semsam segment --image photo.jpg --everything --objects @model --parts @model
  semsam segment --image photo.jpg --everything --objects @words.txt --points-per-side 16

Click again without another upload:
  semsam segment --image photo.jpg --click 320,240 --keep
  semsam segment --session ID --image-id ID --image photo.jpg --click 100,80

)";

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
                                    const std::string& bytes, ProgressLine& progress) {
  auto upload =
      client.UploadImage(session_id, bytes, [&progress](size_t sent_bytes, size_t total_bytes) {
        progress.Bytes("uploading", sent_bytes, total_bytes);
        if (sent_bytes == total_bytes) progress.Stage("the server encodes the image");
      });
  progress.Done();
  if (!upload.ok()) return While("uploading the image", upload.status());
  return upload;
}

// Tells `progress` how far the server is.
ProgressCallback ShowOn(ProgressLine& progress) {
  return [&progress](const Progress& heard) {
    const bool words = heard.stage == Progress::Stage::kWords;
    progress.Count(words ? "reading words" : "decoding points", heard.done, heard.total);
  };
}

// Keeps masks with the time of their arrival, and says how many there are.
class MaskKeeper {
 public:
  MaskKeeper(ProgressLine& progress, SegmentReport& report)
      : progress_(progress), report_(report) {}

  bool Take(Mask mask) {
    report_.masks.push_back({.mask = std::move(mask), .arrival = absl::Now() - start_});
    progress_.Stage(absl::StrCat("got ", report_.masks.size(), " masks"));
    return true;
  }
  bool Take(VocabularySegment segment) {
    report_.segments.push_back({.segment = std::move(segment), .arrival = absl::Now() - start_});
    progress_.Stage(absl::StrCat("got ", report_.segments.size(), " regions"));
    return true;
  }

 private:
  ProgressLine& progress_;
  SegmentReport& report_;
  const absl::Time start_ = absl::Now();
};

// What each task asks the server for, into `report`.
struct TaskRunner {
  Client& client;
  const SegmentFlags& flags;
  std::shared_ptr<const std::string> image_bytes;
  ProgressLine& progress;
  SegmentReport& report;

  absl::Status RunPrompts() {
    report.prompts = flags.prompts;
    MaskKeeper keeper(progress, report);
    auto summary = client.Segment({.session_id = report.session_id,
                                   .image_id = report.image.image_id,
                                   .prompts = flags.prompts,
                                   .options = flags.ToPromptOptions(),
                                   .labels = flags.labels,
                                   .recovery_image = image_bytes},
                                  [&keeper](Mask mask) { return keeper.Take(std::move(mask)); },
                                  {.on_progress = ShowOn(progress)});
    if (!summary.ok()) return summary.status();
    report.summary = *std::move(summary);
    SortMasks(report.masks);
    return absl::OkStatus();
  }

  absl::Status RunWords() {
    MaskKeeper keeper(progress, report);
    auto result = client.SegmentVocabulary(
        {.session_id = report.session_id,
         .image_id = report.image.image_id,
         .things = flags.things,
         .stuff = {.words = flags.stuff, .mode = flags.text_mode},
         .parts = flags.labels.parts,
         .options = flags.ToVocabularyOptions(),
         .recovery_image = image_bytes},
        [&keeper](VocabularySegment segment) { return keeper.Take(std::move(segment)); },
        {.on_progress = ShowOn(progress)});
    if (!result.ok()) return result.status();
    report.panoptic = std::move(result->panoptic);
    report.summary = {.timings = result->timings,
                      .image_size = result->image_size,
                      .recovered_image_id = result->recovered_image_id};
    return absl::OkStatus();
  }

  absl::Status RunEverything() {
    const GenerateMasksOptions options = flags.ToGenerateMasksOptions();
    MaskKeeper keeper(progress, report);
    auto result =
        client.GenerateMasks({.session_id = report.session_id,
                              .image_id = report.image.image_id,
                              .options = options,
                              .labels = flags.labels,
                              .recovery_image = image_bytes},
                             [&keeper](Mask mask) { return keeper.Take(std::move(mask)); },
                             {.on_progress = ShowOn(progress)});
    if (!result.ok()) return result.status();
    report.parents = std::move(result->parents);
    report.points_per_side =
        options.points_per_side > 0 ? options.points_per_side : kDefaultPointsPerSide;
    report.summary = {.masks_sent = result->masks_sent,
                      .masks_filtered = result->masks_filtered,
                      .timings = result->timings,
                      .image_size = result->image_size,
                      .recovered_image_id = result->recovered_image_id};
    return absl::OkStatus();
  }

  absl::Status Run() {
    switch (flags.task) {
      case Task::kPrompts:
        progress.Stage("waiting for masks");
        return RunPrompts();
      case Task::kWords:
        progress.Stage("waiting for regions");
        return RunWords();
      case Task::kEverything:
        break;
    }
    progress.Stage("waiting for masks");
    return RunEverything();
  }
};

Legend MakeLegend(const SegmentFlags& flags, const ModelInfo& model) {
  const auto words = [](const WordList& list, const std::vector<std::string>& own) {
    return list.model_vocabulary ? own : list.words;
  };
  const std::vector<std::string> parts = words(flags.labels.parts, model.part_words);
  if (flags.task == Task::kWords) {
    return Legend::Of({{kThingsList, words(flags.things, model.object_words)},
                       {kStuffList, flags.stuff},
                       {kPartsList, parts}});
  }
  return Legend::Of(
      {{kObjectsList, words(flags.labels.objects, model.object_words)}, {kPartsList, parts}});
}

// Uploads if need be, asks, and fills `report`.
absl::Status FillReport(Client& client, const SegmentFlags& flags,
                        const std::shared_ptr<const std::string>& bytes, Console console,
                        SegmentReport& report) {
  report.task = flags.task;
  report.image_path = flags.image_path;
  report.image.image_id = flags.image_id;
  report.legend = MakeLegend(flags, report.model);
  ProgressLine progress(console.err, console.err_is_terminal);
  if (flags.image_id.empty()) {
    auto upload = Upload(client, report.session_id, *bytes, progress);
    if (!upload.ok()) return upload.status();
    report.image = std::move(upload->image);
  }
  TaskRunner runner{client, flags, bytes, progress, report};
  absl::Status status = runner.Run();
  progress.Done();
  if (!status.ok()) return While("asking for masks", status);
  if (!report.summary.recovered_image_id.empty()) {
    report.image.image_id = report.summary.recovered_image_id;
  }
  CountRegions(report);
  return absl::OkStatus();
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
  if (absl::Status status = CheckSegmentFlags(parser, flags); !status.ok()) return status;

  auto client = Client::Connect(ToClientOptions(flags.connection));
  if (!client.ok()) return client.status();
  const auto info = (*client)->GetServerInfo();
  if (!info.ok()) return info.status();
  if (!info->model.trained) {
    console.err << "note: the server runs untrained weights; its masks mean nothing\n";
  }
  std::shared_ptr<const std::string> bytes;
  if (!flags.image_path.empty()) {
    auto read = ReadImageFile(flags.image_path, info->limits.max_image_bytes);
    if (!read.ok()) return read.status();
    bytes = std::make_shared<const std::string>(*std::move(read));
  }

  const auto session = OpenSession(**client, flags);
  if (!session.ok()) return session.status();
  SegmentReport report;
  report.session_id = (*session)->id();
  report.model = info->model;
  absl::Status status = FillReport(**client, flags, bytes, console, report);
  if (!status.ok()) return status;
  const auto files =
      WriteOutputs(flags, report, bytes == nullptr ? std::string() : *bytes, console);
  if (!files.ok()) return files.status();
  PrintReport(flags, report, *files, console);
  return absl::OkStatus();
}

}  // namespace semsam::client
