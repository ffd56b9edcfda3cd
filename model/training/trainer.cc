#include "model/training/trainer.h"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/net/load_model.h"
#include "model/net/text_embedder.h"
#include "model/text/prompt_templates.h"
#include "model/torch/catch.h"
#include "model/training/trained_vocabulary.h"
#include "model/training/weights_io.h"
#include "model/weights/atomic_file.h"

namespace semsam {
namespace {

constexpr char kCheckpointFile[] = "checkpoint.safetensors";
constexpr char kMetricsFile[] = "metrics.jsonl";
constexpr char kCurvesFile[] = "curves.svg";
constexpr char kRecipeFile[] = "recipe.json";
constexpr char kWeightsFile[] = "weights.safetensors";
constexpr char kLangMapper[] = "sem_seg_head.predictor.lang_mapper";

absl::Status WriteText(const std::string& path, const std::string& text) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  SEMSAM_RETURN_IF_ERROR(file->Write(std::as_bytes(std::span(text))));
  return file->Commit();
}

// Every CPU with AMX has the instructions of AVX-512 too.
bool HasBFloat16(at::Device device) {
#if defined(__x86_64__)
  return device.is_cuda() || __builtin_cpu_supports("avx512bf16") != 0;
#else
  return device.is_cuda();
#endif
}

// What cannot be looked at is not there: opening it tells why.
bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

absl::StatusOr<int64_t> Counter(const Checkpoint& checkpoint, const char* name) {
  const auto found = checkpoint.counters.find(name);
  if (found == checkpoint.counters.end() || found->second < 0) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint: no counter ", name));
  }
  return found->second;
}

}  // namespace

absl::Status Validate(const TrainerOptions& options) {
  if (options.output.empty()) return InvalidField("output", "names no folder");
  SEMSAM_RETURN_IF_ERROR(PrependField(Validate(options.loader), "loader"));
  return PrependField(Validate(options.processes), "processes");
}

std::string Trainer::Path(const char* file) const {
  return (std::filesystem::path(options_.output) / file).string();
}

int64_t Trainer::PicturesAStep() const {
  return int64_t{recipe_.batch} * recipe_.accumulate * processes_->count();
}

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const Recipe& recipe,
                                                         const TrainerOptions& options,
                                                         const Clock& clock,
                                                         std::ostream& progress) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  SEMSAM_ASSIGN_OR_RETURN(Criterion criterion, Criterion::Create(recipe.criterion));
  std::unique_ptr<Trainer> trainer(
      new Trainer(recipe, options, clock, progress, std::move(criterion)));
  SEMSAM_RETURN_IF_ERROR(trainer->SetUp());
  return trainer;
}

absl::Status Trainer::SetUp() {
  SEMSAM_ASSIGN_OR_RETURN(device_, ParseDevice(options_.device));
  precision_ = recipe_.precision;
  if (precision_ == Precision::kBFloat16 && !HasBFloat16(device_)) {
    progress_ << "this CPU has no bfloat16: training in float32\n";
    precision_ = Precision::kFloat32;
  }
  SEMSAM_RETURN_IF_ERROR(CheckFolder());
  SEMSAM_ASSIGN_OR_RETURN(data_, TrainingData::Create(recipe_));
  ProcessOptions processes = options_.processes;
  processes.device = device_;
  SEMSAM_ASSIGN_OR_RETURN(processes_, Processes::Join(processes));
  const double pictures = recipe_.epochs * static_cast<double>(data_->epoch_pictures());
  total_steps_ = recipe_.steps > 0
                     ? recipe_.steps
                     : std::llround(std::ceil(pictures / static_cast<double>(PicturesAStep())));
  SEMSAM_RETURN_IF_ERROR(MakeWeights());
  const std::string checkpoint = Path(kCheckpointFile);
  if (options_.resume && Exists(checkpoint)) {
    SEMSAM_ASSIGN_OR_RETURN(const Checkpoint loaded, LoadCheckpoint(checkpoint));
    const absl::Status resumed = Resume(loaded);
    if (!resumed.ok()) return Annotate(resumed, checkpoint);
    progress_ << "goes on after step " << steps() << " of " << total_steps_ << "\n";
  }
  SEMSAM_RETURN_IF_ERROR(MakeWords());
  if (processes_->rank() == 0) {
    SEMSAM_ASSIGN_OR_RETURN(lines_, ReadMetrics(Path(kMetricsFile), steps()));
    SEMSAM_RETURN_IF_ERROR(WriteMetrics(Path(kMetricsFile), lines_));
    SEMSAM_RETURN_IF_ERROR(WriteText(Path(kRecipeFile), recipe_.text));
  }
  StartLoader();
  sums_.since = clock_.Now();
  return absl::OkStatus();
}

absl::Status Trainer::CheckFolder() {
  std::error_code error;
  std::filesystem::create_directories(options_.output, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot make ", options_.output));
  }
  if (options_.resume || options_.processes.rank != 0) return absl::OkStatus();
  for (const char* file : {kCheckpointFile, kMetricsFile, kWeightsFile}) {
    if (Exists(Path(file))) {
      return absl::AlreadyExistsError(absl::StrCat(
          Path(file), " is there already: resume that training or name another folder"));
    }
  }
  return absl::OkStatus();
}

absl::Status Trainer::MakeWeights() {
  SEMSAM_ASSIGN_OR_RETURN(weights_, StartWeights(recipe_));
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, TrainedNames(recipe_, weights_));
  return CatchTorch([&]() -> absl::Status {
    NamedTensors trained;
    for (auto& [name, tensor] : weights_) tensor = tensor.to(device_);
    for (const std::string& name : names) {
      trained[name] = weights_.at(name).requires_grad_(true);
    }
    OptimizerOptions options = recipe_.optimizer;
    options.schedule.total_steps = total_steps_;
    SEMSAM_ASSIGN_OR_RETURN(optimizer_,
                            Optimizer::Create(recipe_.model, std::move(trained), options));
    return absl::OkStatus();
  });
}

absl::Status Trainer::Resume(const Checkpoint& checkpoint) {
  if (checkpoint.recipe != recipe_.text) {
    return absl::InvalidArgumentError("it was made by another recipe");
  }
  SEMSAM_ASSIGN_OR_RETURN(const int64_t steps, Counter(checkpoint, "steps"));
  SEMSAM_ASSIGN_OR_RETURN(position_, Counter(checkpoint, "position"));
  SEMSAM_ASSIGN_OR_RETURN(bad_samples_, Counter(checkpoint, "bad_samples"));
  SEMSAM_ASSIGN_OR_RETURN(skipped_steps_, Counter(checkpoint, "skipped_steps"));
  NamedTensors state;
  SEMSAM_RETURN_IF_ERROR(CatchTorch([&]() -> absl::Status {
    const c10::NoGradGuard no_grad;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      absl::string_view key = name;
      if (!absl::ConsumePrefix(&key, kFrozenPrefix)) {
        state[name] = tensor;
        continue;
      }
      const auto weight = weights_.find(std::string(key));
      if (weight == weights_.end() || weight->second.sizes() != tensor.sizes()) {
        return absl::InvalidArgumentError(absl::StrCat(name, " is not of this model"));
      }
      weight->second.copy_(tensor);
    }
    return absl::OkStatus();
  }));
  return optimizer_->Restore(state, steps);
}

absl::Status Trainer::MakeWords() {
  const ModelConfig& model = recipe_.model;
  if (!model.text) return absl::OkStatus();
  if (!recipe_.words.embeddings.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(words_,
                            ReadWordTable(recipe_.words.embeddings, model.decoder.text_dim));
    return absl::OkStatus();
  }
  return CatchTorch([&]() -> absl::Status {
    const c10::NoGradGuard no_grad;
    NamedTensors copies;
    for (const auto& [name, tensor] : weights_) copies[name] = tensor.detach().to(at::kCPU);
    SEMSAM_ASSIGN_OR_RETURN(
        std::shared_ptr<const TextEmbedder> embedder,
        TextEmbedder::Create(*model.text, TensorMap(std::move(copies)), ops::Path::kNative));
    words_ = std::make_unique<WordEmbeddings>(
        model.decoder.text_dim,
        [embedder, mode = recipe_.words.mode](absl::Span<const std::string> words) {
          return CatchTorch([&] {
            const c10::NoGradGuard guard;
            std::vector<std::string> terms;
            terms.reserve(words.size());
            for (const std::string& word : words) terms.push_back(PlainTerm(word));
            return embedder->Embed(terms, mode);
          });
        });
    return absl::OkStatus();
  });
}

void Trainer::StartLoader() {
  const int64_t own = int64_t{recipe_.batch} * recipe_.accumulate;
  const int64_t first = position_ + own * processes_->rank();
  const int64_t stride = PicturesAStep();
  LoaderOptions options = options_.loader;
  options.max_items = std::max(options.max_items, options.threads);
  loader_ = std::make_unique<OrderedLoader<TrainingSample>>(
      options,
      [data = data_.get(), own, first, stride](int64_t ordinal) {
        return data->Load(first + ordinal / own * stride + ordinal % own);
      },
      [](const TrainingSample& sample) { return sample.size_bytes(); });
}

absl::StatusOr<std::vector<TrainingSample>> Trainer::NextSamples(StepSums& result) {
  std::vector<TrainingSample> samples;
  const absl::Time begin = clock_.Now();
  for (int i = 0; i < recipe_.batch; ++i) {
    TrainingSample sample = loader_->Next();
    if (sample.status.ok()) {
      samples.push_back(std::move(sample));
      continue;
    }
    result.bad_samples += 1;
    progress_ << "left out: " << sample.status.message() << "\n";
    if (bad_samples_ + static_cast<int64_t>(result.bad_samples) > recipe_.max_bad_samples) {
      return sample.status;
    }
  }
  sums_.waited += clock_.Now() - begin;
  result.pictures += static_cast<double>(samples.size());
  return samples;
}

absl::Status Trainer::RunPasses(StepSums& result) {
  const PassOptions options = {.queries = recipe_.queries.count, .precision = precision_};
  const auto mapper = weights_.find(kLangMapper);
  for (int i = 0; i < recipe_.accumulate; ++i) {
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<TrainingSample> samples, NextSamples(result));
    SEMSAM_RETURN_IF_ERROR(CatchTorch([&]() -> absl::Status {
      const SemanticSam network(recipe_.model, TensorMap(weights_), ops::Path::kTraining);
      SEMSAM_ASSIGN_OR_RETURN(
          const PassLosses losses,
          RunPass(network, samples, criterion_, words_.get(),
                  mapper == weights_.end() ? at::Tensor() : mapper->second, options));
      if (losses.sum.requires_grad()) losses.sum.backward();
      result.loss += losses.sum.item<double>();
      result.pairs += static_cast<double>(losses.pairs);
      result.prompt_pairs += static_cast<double>(losses.prompt_pairs);
      for (int term = 0; term < LossTerms::kCount; ++term) {
        result.terms[term] += losses.terms[term];
      }
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

absl::Status Trainer::Step() {
  StepSums result = {.stop = stop_wanted_ ? 1.0 : 0.0};
  // The others hear of an error too: they would wait for this process.
  const absl::Status passes = RunPasses(result);
  SEMSAM_RETURN_IF_ERROR(SumOverProcesses(*processes_, passes, result));
  SEMSAM_RETURN_IF_ERROR(
      SumGradients(*processes_, optimizer_->parameters(), std::max(1.0, result.pairs)));
  SEMSAM_ASSIGN_OR_RETURN(const StepReport report, optimizer_->Step());
  position_ += PicturesAStep();
  bad_samples_ += static_cast<int64_t>(result.bad_samples);
  if (!report.applied) ++skipped_steps_;
  stopping_ = result.stop > 0;
  return AddMetrics(result, report);
}

absl::Status Trainer::AddMetrics(const StepSums& result, const StepReport& report) {
  Metrics& sums = sums_.sums;
  sums.loss += result.loss / std::max(1.0, result.pairs);
  for (int i = 0; i < LossTerms::kCount; ++i) {
    sums.terms[i] += result.terms[i] / std::max(1.0, result.prompt_pairs);
  }
  sums.pairs += result.pairs;
  sums.gradient_norm += report.gradient_norm;
  sums.learning_rate = report.learning_rate;
  sums_.pictures += result.pictures;
  ++sums_.steps;
  return steps() % recipe_.metrics_every == 0 || steps() == total_steps_ ? WriteLine()
                                                                         : absl::OkStatus();
}

absl::Status Trainer::WriteLine() {
  const absl::Time now = clock_.Now();
  const double seconds = std::max(1e-9, absl::ToDoubleSeconds(now - sums_.since));
  const auto count = static_cast<double>(sums_.steps);
  Metrics line = sums_.sums;
  line.step = steps();
  line.epoch = static_cast<double>(position_) / static_cast<double>(data_->epoch_pictures());
  for (double* mean : {&line.loss, &line.pairs, &line.gradient_norm}) *mean /= count;
  for (double& term : line.terms) term /= count;
  line.pictures_per_s = sums_.pictures / seconds;
  line.loader_share = std::min(1.0, absl::ToDoubleSeconds(sums_.waited) / seconds);
  line.skipped_steps = skipped_steps_;
  line.bad_samples = bad_samples_;
  sums_ = {.since = now};
  lines_.push_back(line);
  if (processes_->rank() != 0) return absl::OkStatus();
  const double left = seconds / count * static_cast<double>(total_steps_ - steps());
  progress_ << ProgressLine(line, total_steps_, left) << std::endl;
  return AppendMetrics(Path(kMetricsFile), line);
}

absl::Status Trainer::SaveCheckpoint() const {
  if (processes_->rank() != 0) return absl::OkStatus();
  Checkpoint checkpoint = {.tensors = optimizer_->State(),
                           .counters = {{"steps", steps()},
                                        {"position", position_},
                                        {"bad_samples", bad_samples_},
                                        {"skipped_steps", skipped_steps_}},
                           // Whatever is drawn follows from the seed and the position.
                           .random = {{"seed", recipe_.seed}},
                           .recipe = recipe_.text};
  for (const auto& [name, tensor] : weights_) {
    if (!optimizer_->parameters().contains(name)) checkpoint.tensors[kFrozenPrefix + name] = tensor;
  }
  SEMSAM_RETURN_IF_ERROR(semsam::SaveCheckpoint(Path(kCheckpointFile), checkpoint));
  return WriteText(Path(kCurvesFile), DrawCurves(lines_, recipe_.model.name));
}

absl::Status Trainer::Finish() {
  if (processes_->rank() != 0) return absl::OkStatus();
  NamedTensors result = weights_;
  for (const auto& [name, average] : optimizer_->averages()) result[name] = average;
  ModelVocabulary vocabulary;
  if (recipe_.model.text.has_value()) {
    absl::StatusOr<ModelVocabulary> trained = TrainedVocabulary(recipe_);
    // `semsam-train vocabulary` writes it later: the weights come first.
    if (!trained.ok()) progress_ << "no vocabulary: " << trained.status().message() << "\n";
    if (trained.ok()) vocabulary = *std::move(trained);
  }
  return WriteResult(Path(kWeightsFile), recipe_, result, vocabulary);
}

absl::StatusOr<TrainingEnd> Trainer::Run(const std::atomic<bool>& stop) {
  while (steps() < total_steps_ && !stopping_) {
    stop_wanted_ = stop.load();
    SEMSAM_RETURN_IF_ERROR(Step());
    const bool last = steps() == total_steps_ || stopping_;
    if (last || steps() % recipe_.checkpoint_every == 0) {
      SEMSAM_RETURN_IF_ERROR(SaveCheckpoint());
    }
  }
  TrainingEnd end = {.steps = steps(), .finished = steps() == total_steps_};
  if (end.finished) SEMSAM_RETURN_IF_ERROR(Finish());
  if (!lines_.empty()) end.last = lines_.back();
  return end;
}

}  // namespace semsam
