#include "model/tools/eval/evaluate.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/files.h"
#include "model/evaluation/disc_predictor.h"
#include "model/evaluation/report.h"
#include "model/tools/eval/progress_line.h"
#include "model/tools/eval/vocabulary_evaluation.h"

namespace semsam {
namespace {

using nlohmann::json;

absl::Status MakeFolder(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? FileError(path, error.value()) : absl::OkStatus();
}

class Evaluator {
 public:
  Evaluator(const EvaluateOptions& options, const EvaluateStreams& streams)
      : options_(options), streams_(streams) {}

  absl::Status Run(const SegmenterFactory& factory);

 private:
  absl::Status LoadModel(const SegmenterFactory& factory);
  // What the model cannot do is said, and left out.
  void RemarkOnModel();
  absl::Status EvaluateSource(const DataSource& source);
  absl::StatusOr<std::unique_ptr<SegmenterPredictor>> MakePredictor(const LabelWords& words);
  absl::StatusOr<std::unique_ptr<VocabularyEvaluation>> MakeVocabulary(const DataSource& source);
  void AddResults(const DataSource& source, const SamplePictures& pictures,
                  const InteractiveReport& report, const VocabularyEvaluation* vocabulary,
                  double seconds);
  std::string Tables() const;
  json Json() const;
  absl::Status Write() const;

  void Remark(const std::string& text) { streams_.err << "semsam-eval: " << text << "\n"; }
  std::vector<std::string> PredictorNames() const;

  EvaluateOptions options_;
  const EvaluateStreams& streams_;
  std::unique_ptr<SegmenterPool> pool_;  // null: the baseline alone
  bool prompts_ = true;                  // somebody answers clicks
  std::optional<LabelWords> words_;      // in place of the names of sources
  std::optional<InteractiveReport> report_;
  ReportTable segmentation_;
  json sources_ = json::array();
  json segmentation_details_ = json::object();
  int64_t failed_ = 0;
};

absl::Status Evaluator::LoadModel(const SegmenterFactory& factory) {
  if (options_.weights == kNoWeights) return absl::OkStatus();
  std::vector<std::unique_ptr<Segmenter>> segmenters;
  for (int i = 0; i < options_.networks; ++i) {
    SEMSAM_ASSIGN_OR_RETURN(std::unique_ptr<Segmenter> segmenter, factory(options_));
    segmenters.push_back(std::move(segmenter));
  }
  pool_ = std::make_unique<SegmenterPool>(std::move(segmenters));
  if (options_.text_mode_of_model) {
    const ModelVocabulary& own = pool_->info().vocabulary;
    options_.predictor.text_mode = own.empty() ? TextMode::kEnsemble : own.mode;
  }
  return absl::OkStatus();
}

void Evaluator::RemarkOnModel() {
  const ModelInfo& info = pool_->info();
  const Capabilities& able = info.config.capabilities;
  if (!info.trained) Remark("the weights are a formula's, not trained: figures mean nothing");
  if (!able.click_prompts) Remark("the model takes no clicks: words alone are evaluated");
  if (able.click_prompts && !able.box_prompts) Remark("the model takes no boxes");
  if (able.click_prompts && !able.object_labels && !able.part_labels) {
    Remark("the model has no text encoder or no class heads: there is no label accuracy");
  }
  if (options_.vocabulary && !able.vocabulary) {
    Remark("the model cannot segment by words alone: there is no PQ, AP and mIoU");
  }
}

std::vector<std::string> Evaluator::PredictorNames() const {
  std::vector<std::string> names;
  if (pool_ != nullptr) {
    const std::string& name = pool_->info().config.name;
    names.push_back(name.empty() ? "model" : name);
  }
  names.push_back(DiscPredictor().traits().name);
  return names;
}

absl::Status Evaluator::Run(const SegmenterFactory& factory) {
  SEMSAM_RETURN_IF_ERROR(options_.interactive.Validate());
  // What is cheap to check comes before the model is loaded.
  SEMSAM_RETURN_IF_ERROR(MakeFolder(options_.out));
  if (!options_.words.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(words_, ReadLabelWords(options_.words));
  }
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<DataSource> sources,
                          OpenDataSources(options_.data, options_.choice));
  SEMSAM_RETURN_IF_ERROR(LoadModel(factory));
  if (pool_ != nullptr) {
    RemarkOnModel();
    const Capabilities& able = pool_->info().config.capabilities;
    if (words_.has_value() && !able.object_labels && !able.part_labels) {
      return absl::FailedPreconditionError(
          absl::StrCat(options_.weights,
                       ": has no text encoder or no class heads and cannot name "
                       "masks; leave --words out"));
    }
    prompts_ = able.click_prompts;
  }
  report_.emplace(PredictorNames(), options_.interactive.click_kinds);
  for (const DataSource& source : sources) {
    SEMSAM_RETURN_IF_ERROR(EvaluateSource(source));
    SEMSAM_RETURN_IF_ERROR(Write());
  }
  streams_.out << Tables();
  if (failed_ == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(failed_, " samples could not be read and were left out"));
}

absl::StatusOr<std::unique_ptr<SegmenterPredictor>> Evaluator::MakePredictor(
    const LabelWords& words) {
  if (pool_ == nullptr) return nullptr;
  return SegmenterPredictor::Create(*pool_, words, options_.predictor);
}

absl::StatusOr<std::unique_ptr<VocabularyEvaluation>> Evaluator::MakeVocabulary(
    const DataSource& source) {
  if (pool_ == nullptr || !options_.vocabulary ||
      !VocabularyEvaluation::Possible(pool_->info().config, source)) {
    return nullptr;
  }
  return VocabularyEvaluation::Create(*pool_, source, options_.predictor.text_mode);
}

absl::Status Evaluator::EvaluateSource(const DataSource& source) {
  const LabelWords words = words_.value_or(
      LabelWords{.objects = source.vocabulary.objects, .parts = source.vocabulary.parts});
  const auto named = [&source](const absl::Status& status) {
    return Annotate(status, source.name);
  };
  auto predictor = MakePredictor(words);
  if (!predictor.ok()) return named(predictor.status());
  auto vocabulary = MakeVocabulary(source);
  if (!vocabulary.ok()) return named(vocabulary.status());

  PictureOptions picture_options = options_.pictures;
  picture_options.keep_samples = *vocabulary != nullptr;
  if (!prompts_) picture_options.clicks.clear();
  InteractiveOptions interactive = options_.interactive;
  interactive.boxes = interactive.boxes && prompts_;
  SamplePictures pictures(source, words, picture_options);
  DiscPredictor discs;
  std::vector<InteractivePredictor*> predictors;
  if (*predictor != nullptr) predictors.push_back(predictor->get());
  predictors.push_back(&discs);

  PictureHook hook;
  if (*vocabulary != nullptr) {
    hook = [&](const EvaluationPicture& picture, size_t index, PictureSession& session) {
      if (index != 0) return absl::OkStatus();  // the discs
      const auto sample = pictures.TakeSample(picture.name);
      if (!sample.has_value()) return absl::InternalError("two samples have one name");
      // The first predictor is a SegmenterPredictor, whose sessions are such.
      return Annotate(
          (*vocabulary)
              ->Add(sample->index, sample->sample, static_cast<SegmenterSession&>(session)),
          "by words");
    };
  }
  ProgressLine line(streams_.err, streams_.clock, source.name,
                    static_cast<int64_t>(source.samples.size()));
  absl::StatusOr<InteractiveReport> report = EvaluateInteractive(
      pictures, predictors, interactive,
      [&line](const InteractiveProgress& progress) { line.Update(progress); }, hook);
  line.End();
  SEMSAM_RETURN_IF_ERROR(named(report.status()));
  AddResults(source, pictures, *report, vocabulary->get(), line.seconds());
  return absl::OkStatus();
}

void Evaluator::AddResults(const DataSource& source, const SamplePictures& pictures,
                           const InteractiveReport& report, const VocabularyEvaluation* vocabulary,
                           double seconds) {
  report_->Merge(report);
  json failed = json::array();
  for (const FailedSample& sample : pictures.failed()) {
    Remark(absl::StrCat(source.name, ": ", sample.name, ": left out: ", sample.error));
    failed.push_back({{"name", WellFormed(sample.name)}, {"error", WellFormed(sample.error)}});
  }
  failed_ += static_cast<int64_t>(failed.size());
  if (pictures.unknown_names() > 0) {
    Remark(absl::StrCat(source.name, ": ", pictures.unknown_names(),
                        " masks have names that are not among the words; their labels do not "
                        "count"));
  }
  const size_t evaluated = source.samples.size() - pictures.failed().size();
  const DatasetInfo& info = source.dataset->info();
  sources_.push_back(
      {{"name", WellFormed(source.name)},
       {"format", std::string(kDatasetFormatNames[static_cast<size_t>(source.format)])},
       {"licence", WellFormed(info.licence)},
       {"source", WellFormed(info.source)},
       {"samples", source.dataset->size()},
       {"evaluated", evaluated},
       {"object_names", source.vocabulary.objects.size()},
       {"part_names", source.vocabulary.parts.size()},
       {"unknown_names", pictures.unknown_names()},
       {"failed", std::move(failed)},
       {"seconds", seconds}});
  if (vocabulary == nullptr) return;
  ReportTable table = vocabulary->Table(source.name);
  segmentation_.columns = table.columns;
  segmentation_.rows.push_back(std::move(table.rows.front()));
  segmentation_details_[WellFormed(source.name)] = vocabulary->Json();
}

std::string Evaluator::Tables() const {
  std::string text;
  if (prompts_) text = FormatTable(report_->Table());
  if (!segmentation_.rows.empty()) {
    ReportTable table = segmentation_;
    table.title = "Segmentation by words, percent (classes)";
    table.rows_are = "Set";
    absl::StrAppend(&text, text.empty() ? "" : "\n", FormatTable(table));
  }
  return text;
}

json Evaluator::Json() const {
  json model = nullptr;
  if (pool_ != nullptr) {
    const ModelInfo& info = pool_->info();
    const int own = info.config.short_edge_px;
    model = {{"weights", WellFormed(options_.weights)},
             {"name", WellFormed(info.config.name)},
             {"digest", info.digest},
             {"device", info.device},
             {"trained", info.trained},
             {"short_edge_px",
              options_.predictor.short_edge_px == 0 ? own : options_.predictor.short_edge_px}};
  }
  const char* const parts[] = {"held-out", "train", "all"};
  json json = {
      {"model", std::move(model)},
      {"options",
       {{"data", WellFormed(options_.data)},
        {"split", parts[static_cast<size_t>(options_.choice.part)]},
        {"held_out_every", options_.choice.held_out_every},
        {"limit", options_.choice.limit},
        {"seed", options_.pictures.seed},
        {"min_area_px", options_.pictures.min_area_px},
        {"click_radius_px", options_.predictor.click_radius_px},
        {"words", WellFormed(options_.words)},
        {"text_mode", options_.predictor.text_mode == TextMode::kEnsemble ? "ensemble" : "plain"},
        {"match", options_.predictor.published_matching ? "published" : "iou"},
        {"distinct_iou", options_.interactive.distinct_iou}}},
      {"sources", sources_},
      {"interactive", report_->Json()},
      {"segmentation", nullptr}};
  if (!segmentation_.rows.empty()) {
    json["segmentation"] = {{"rows", ToJson(segmentation_)["rows"]},
                            {"details", segmentation_details_}};
  }
  return json;
}

absl::Status Evaluator::Write() const {
  if (options_.out.empty()) return absl::OkStatus();
  SEMSAM_RETURN_IF_ERROR(
      WriteWholeFile(JoinPath(options_.out, "results.json"), Json().dump(1) + "\n"));
  return WriteWholeFile(JoinPath(options_.out, "results.txt"), Tables());
}

}  // namespace

absl::Status Evaluate(const EvaluateOptions& options, const SegmenterFactory& factory,
                      const EvaluateStreams& streams) {
  return Evaluator(options, streams).Run(factory);
}

}  // namespace semsam
