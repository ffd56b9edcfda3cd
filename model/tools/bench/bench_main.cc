// semsam-bench: encode and click against the plain LibTorch reference, in one
// interleaved run on one machine with the same weights, image and clicks.
//
// Baselines (performance notes): B1 is the published algorithm with cached
// features, every operator LibTorch's own, masks computed after each of the nine
// layers as the published code does; B0 also encodes the image again.
#include <c10/core/InferenceMode.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/status_macros.h"
#include "model/ops/cpu/kernels.h"
#include "model/tools/bench/everything.h"
#include "model/tools/bench/flop.h"
#include "model/tools/bench/measure.h"
#include "model/tools/bench/side.h"
#include "model/tools/bench/storage_bench.h"
#include "model/tools/bench/words_bench.h"
#include "model/torch/catch.h"
#include "model/torch/runtime.h"

ABSL_FLAG(std::string, weights, "formula:swin-t", "what semsam-server --weights takes");
ABSL_FLAG(int, size, 640, "side of the square image, pixels");
ABSL_FLAG(std::vector<std::string>, clicks, std::vector<std::string>({"1", "8", "32"}),
          "batch sizes of the click comparison");
ABSL_FLAG(int, everything, 0,
          "points on a side of the grid of the everything-mode comparison, run in place of the "
          "others; the published default is 32");
ABSL_FLAG(int, blocks, 5, "interleaved blocks; at least 5 for figures that are reported");
ABSL_FLAG(int, threads, 0, "threads of one operator; 0 takes one a core");
ABSL_FLAG(int, words, 0,
          "instead: relabel 64 masks with this many known words, and encode words; needs weights "
          "with text, e.g. default");
ABSL_FLAG(int, encode_words, 4, "with --words: how many words are encoded, 81 phrases each");
ABSL_FLAG(std::vector<std::string>, storage, {},
          "instead: store and load the embeddings of these pictures in every format, and compare "
          "the masks of a grid of clicks");
ABSL_FLAG(int, storage_points, 8, "with --storage: points on a side of the grid");
ABSL_FLAG(std::string, json, "", "also write the figures here");

namespace semsam::bench {
namespace {

struct Options {
  std::string weights;
  int size = 640;
  std::vector<int> clicks;
  int everything = 0;
  int blocks = 5;
  int words = 0;
  int encode_words = 4;
  std::vector<std::string> storage;
  int storage_points = 8;
  std::string json;
};

absl::StatusOr<Options> ReadFlags() {
  Options options{.weights = absl::GetFlag(FLAGS_weights),
                  .size = absl::GetFlag(FLAGS_size),
                  .everything = absl::GetFlag(FLAGS_everything),
                  .blocks = absl::GetFlag(FLAGS_blocks),
                  .words = absl::GetFlag(FLAGS_words),
                  .encode_words = absl::GetFlag(FLAGS_encode_words),
                  .storage = absl::GetFlag(FLAGS_storage),
                  .storage_points = absl::GetFlag(FLAGS_storage_points),
                  .json = absl::GetFlag(FLAGS_json)};
  if (options.size < 64 || options.size > 2048) {
    return absl::InvalidArgumentError("--size must be 64 to 2048");
  }
  if (options.everything < 0 || options.everything > 64) {
    return absl::InvalidArgumentError("--everything must be 0 to 64");
  }
  if (options.words < 0 || options.words > 2000 || options.encode_words < 1 ||
      options.encode_words > 2000) {
    return absl::InvalidArgumentError("--words and --encode_words must be at most 2000");
  }
  if (options.storage_points < 1 || options.storage_points > 64) {
    return absl::InvalidArgumentError("--storage_points must be 1 to 64");
  }
  if (options.blocks < 1) return absl::InvalidArgumentError("--blocks must be positive");
  for (const std::string& text : absl::GetFlag(FLAGS_clicks)) {
    int count = 0;
    if (!absl::SimpleAtoi(text, &count) || count < 1 || count > 1024) {
      return absl::InvalidArgumentError("--clicks must be numbers from 1 to 1024");
    }
    options.clicks.push_back(count);
  }
  return options;
}

DecoderInput MakeClicks(const std::vector<ops::PyramidMemory>& images, int count) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(0.05f, 0.95f);
  std::vector<float> boxes;
  for (int i = 0; i < count; ++i) {
    const float x = uniform(engine);
    boxes.insert(boxes.end(), {x, uniform(engine), 0.005f, 0.005f});
  }
  return {.images = images,
          .image_of_prompt = std::vector<int>(count, 0),
          .boxes = at::tensor(boxes).view({count, 4}),
          .point_or_box = at::zeros({count}, at::kLong)};
}

struct Masks {
  at::Tensor logits;  // [N, grid]
  at::Tensor ious;    // [N]
};

Masks Click(const Side& side, int count, bool every_layer) {
  const std::vector<ops::PyramidMemory> memories = {side.features.front().memory};
  const SemanticSam& network = *side.model.network;
  const DecoderInput input = MakeClicks(memories, count);
  const DecoderOutput output = network.decoder().Forward(input, every_layer);
  const auto heads = [&](const at::Tensor& queries) -> Masks {
    const ImageFeatures& image = side.features.front();
    const at::Tensor logits = network.PredictMasks(queries, image, input.boxes.slice(1, 0, 2));
    return {logits, network.decoder().PredictIous(network.LabelQueries(queries, logits, image))};
  };
  // As published: masks and scores after every layer, all but the last dropped.
  for (size_t i = 0; i + 1 < output.layers.size(); ++i) heads(output.layers[i].twice);
  return heads(output.queries);
}

struct Fidelity {
  double identical_masks = 0;  // share of masks equal in every pixel
  double lowest_iou = 1;       // of the others
  double predicted_iou = 0;    // largest difference
};

Fidelity CompareMasks(const Masks& ours, const Masks& baseline) {
  const at::Tensor a = ours.logits > 0;
  const at::Tensor b = baseline.logits > 0;
  Fidelity result;
  const int64_t count = a.size(0);
  for (int64_t i = 0; i < count; ++i) {
    const double both = a[i].logical_and(b[i]).sum().item<double>();
    const double any = a[i].logical_or(b[i]).sum().item<double>();
    if (both == any) {
      result.identical_masks += 1.0 / static_cast<double>(count);
    } else {
      result.lowest_iou = std::min(result.lowest_iou, both / any);
    }
  }
  result.predicted_iou = (ours.ious - baseline.ious).abs().max().item<double>();
  return result;
}

void PrintMachine(const Peaks& peaks) {
  const TorchRuntimeInfo torch = DescribeTorch();
  std::printf("BLAS      %s\n", torch.blas.c_str());
  std::printf("ISA       LibTorch %s, own kernels %s\n", torch.isa.c_str(),
              ops::cpu::BestKernels().isa);
  std::printf("threads   %d\n", torch.threads);
  std::printf(
      "peak      %.0f GFLOP/s multiply-adds, %.0f GFLOP/s 2048^3 product, %.1f GB/s copy\n\n",
      peaks.fma_gflops, peaks.product_gflops, peaks.copy_gb_s);
}

void PrintHeader() {
  std::printf("%-24s %9s %11s %8s  %-13s %9s %6s\n", "", "ours ms", "baseline ms", "ratio",
              "min-max", "floor ms", "share");
}

void PrintRow(const Comparison& row, const Peaks& peaks) {
  const double floor_ms = row.gflop / peaks.fma_gflops * 1e3;
  std::printf("%-24s %9.2f %11.2f %8.2f  %6.2f-%-6.2f %9.2f %6.2f\n", row.name.c_str(),
              row.ours_ms.median, row.baseline_ms.median, row.ratio.median, row.ratio.min,
              row.ratio.max, floor_ms, floor_ms / row.ours_ms.median);
}

nlohmann::json ToJson(const Comparison& row) {
  return {{"name", row.name},
          {"ours_ms", row.ours_ms.median},
          {"baseline_ms", row.baseline_ms.median},
          {"ratio", {{"median", row.ratio.median}, {"min", row.ratio.min}, {"max", row.ratio.max}}},
          {"gflop", row.gflop},
          {"ours_peak_mb", row.ours_peak_mb},
          {"baseline_peak_mb", row.baseline_peak_mb}};
}

absl::StatusOr<std::vector<Comparison>> RunComparisons(const Options& options, const Peaks& peaks,
                                                       std::vector<Fidelity>& fidelity) {
  SEMSAM_ASSIGN_OR_RETURN(Side ours, MakeSide(options.weights, options.size, ops::Path::kNative));
  SEMSAM_ASSIGN_OR_RETURN(Side baseline,
                          MakeSide(options.weights, options.size, ops::Path::kReference));
  const ModelConfig& config = ours.model.network->config();
  const auto encode = [](Side& side) { side.features = side.model.network->Encode(side.input); };
  std::vector<Comparison> rows;
  const auto add = [&](Comparison row, double gflop) {
    row.gflop = gflop;
    PrintRow(row, peaks);
    rows.push_back(std::move(row));
  };
  const double encode_gflop = EncodeGflop(config, options.size, options.size);
  const double grid = static_cast<double>(ours.features.front().grid.area());
  PrintHeader();
  add(Compare(
          "encode", {.blocks = options.blocks, .ours_runs = 1, .baseline_runs = 1},
          [&] { encode(ours); }, [&] { encode(baseline); }),
      encode_gflop);
  for (int count : options.clicks) {
    const BlockOptions runs = {.blocks = options.blocks, .ours_runs = 15, .baseline_runs = 3};
    add(Compare(
            absl::StrCat("click x", count, " vs B1"), runs,
            [&] { Click(ours, count, /*every_layer=*/false); },
            [&] { Click(baseline, count, /*every_layer=*/true); }),
        ClickGflop(config, grid, count));
    fidelity.push_back(CompareMasks(Click(ours, count, false), Click(baseline, count, false)));
  }
  add(Compare(
          "click vs B0", {.blocks = options.blocks, .ours_runs = 15, .baseline_runs = 1},
          [&] { Click(ours, 1, /*every_layer=*/false); },
          [&] {
            encode(baseline);
            Click(baseline, 1, /*every_layer=*/true);
          }),
      ClickGflop(config, grid, 1));
  return rows;
}

// What every run says of itself.
nlohmann::json Circumstances(const Options& options, const Peaks& peaks) {
  const TorchRuntimeInfo torch = DescribeTorch();
  return {{"weights", options.weights},
          {"size", options.size},
          {"blas", torch.blas},
          {"isa", torch.isa},
          {"kernels", ops::cpu::BestKernels().isa},
          {"threads", torch.threads},
          {"fma_gflops", peaks.fma_gflops},
          {"product_gflops", peaks.product_gflops},
          {"copy_gb_s", peaks.copy_gb_s}};
}

absl::Status WriteFile(const std::string& path, const nlohmann::json& document) {
  std::ofstream file(path);
  file << document.dump(2) << "\n";
  return file.good() ? absl::OkStatus() : absl::UnavailableError("cannot write " + path);
}

absl::Status WriteJson(const std::string& path, const Options& options, const Peaks& peaks,
                       const std::vector<Comparison>& rows) {
  nlohmann::json document = Circumstances(options, peaks);
  for (const Comparison& row : rows) document["rows"].push_back(ToJson(row));
  return WriteFile(path, document);
}

// Relabelling must cost less than this share of decoding the masks again.
constexpr double kRelabelShare = 1.0 / 50;

absl::Status RunWords(const Options& options, const Peaks& peaks) {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<Comparison> rows,
                          CompareWords({.weights = options.weights,
                                        .size = options.size,
                                        .words = options.words,
                                        .encoded_words = options.encode_words,
                                        .blocks = options.blocks}));
  std::printf("%-20s %9s %11s %8s  %s\n", "", "ours ms", "baseline ms", "ratio", "min-max");
  bool slow = false;
  for (const Comparison& row : rows) {
    std::printf("%-20s %9.2f %11.2f %8.2f  %.2f-%.2f\n", row.name.c_str(), row.ours_ms.median,
                row.baseline_ms.median, row.ratio.median, row.ratio.min, row.ratio.max);
    slow |= row.name.starts_with("relabel") && row.ratio.median * kRelabelShare < 1;
  }
  if (!options.json.empty()) SEMSAM_RETURN_IF_ERROR(WriteJson(options.json, options, peaks, rows));
  return slow ? absl::InternalError("relabelling takes more than a fiftieth of decoding again")
              : absl::OkStatus();
}

absl::Status RunStorage(const Options& options, const Peaks& peaks) {
  SEMSAM_ASSIGN_OR_RETURN(const StorageFigures figures,
                          MeasureStorage({.weights = options.weights,
                                          .pictures = options.storage,
                                          .points_per_side = options.storage_points,
                                          .blocks = options.blocks}));
  PrintStorage(figures);
  if (options.json.empty()) return absl::OkStatus();
  nlohmann::json document = Circumstances(options, peaks);
  document.erase("size");  // pictures have their own
  document["pictures"] = options.storage;
  document["storage"] = ToJson(figures);
  return WriteFile(options.json, document);
}

absl::Status Run() {
  SEMSAM_ASSIGN_OR_RETURN(const Options options, ReadFlags());
  ConfigureTorch({.threads = absl::GetFlag(FLAGS_threads)});
  c10::InferenceMode inference;
  const Peaks peaks = MeasurePeaks();
  const std::string images = options.storage.empty()
                                 ? absl::StrCat(options.size, " x ", options.size)
                                 : absl::StrCat(options.storage.size(), " pictures");
  std::printf("model     %s, %s, %d blocks\n", options.weights.c_str(), images.c_str(),
              options.blocks);
  PrintMachine(peaks);
  // Without a baseline.
  if (!options.storage.empty()) return RunStorage(options, peaks);
  // A crippled BLAS makes any baseline look slow.
  if (peaks.product_gflops < 0.4 * peaks.fma_gflops) {
    return absl::FailedPreconditionError(
        "void: the BLAS reaches less than 40 % of the multiply-add peak of this run");
  }
  if (options.everything > 0) {
    PrintHeader();
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<Comparison> rows,
                            RunEverything({.weights = options.weights,
                                           .size = options.size,
                                           .points_per_side = options.everything,
                                           .blocks = options.blocks},
                                          [&](const Comparison& row) { PrintRow(row, peaks); }));
    return options.json.empty() ? absl::OkStatus() : WriteJson(options.json, options, peaks, rows);
  }
  if (options.words > 0) return RunWords(options, peaks);
  std::vector<Fidelity> fidelity;
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<Comparison> rows,
                          RunComparisons(options, peaks, fidelity));
  std::printf("\n");
  for (size_t i = 0; i < fidelity.size(); ++i) {
    std::printf(
        "fidelity x%-3d %.1f %% of masks identical, lowest IoU %.5f, predicted IoU within %.1e\n",
        options.clicks[i], fidelity[i].identical_masks * 100, fidelity[i].lowest_iou,
        fidelity[i].predicted_iou);
    if (fidelity[i].lowest_iou < 0.999 || !(fidelity[i].predicted_iou < 1e-4)) {
      return absl::InternalError("the two sides do not compute the same masks");
    }
  }
  if (!options.json.empty()) return WriteJson(options.json, options, peaks, rows);
  return absl::OkStatus();
}

}  // namespace
}  // namespace semsam::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "times encode and click against the plain LibTorch reference, interleaved.\n"
      "  semsam-bench --weights formula:swin-t --size 640\n"
      "  semsam-bench --weights default\n"
      "  semsam-bench --everything 32 --blocks 3\n"
      "  semsam-bench --weights formula:swin-t-joint --words 200\n"
      "  semsam-bench --weights default --storage a.jpg,b.png");
  absl::ParseCommandLine(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // figures as they come, into a file too
  const absl::Status status = semsam::CatchTorch([] { return semsam::bench::Run(); });
  if (!status.ok()) {
    std::cerr << "semsam-bench: " << status.message() << "\n";
    return 1;
  }
  return 0;
}
