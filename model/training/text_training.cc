#include "model/training/text_training.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"

namespace semsam {
namespace {

using Json = nlohmann::ordered_json;

// One training on its way.
class Run {
 public:
  Run(const TextTrainingOptions& options, TextDistillation& distillation, const Clock& clock,
      std::ostream& out)
      : options_(options),
        distillation_(distillation),
        clock_(clock),
        out_(out),
        started_(clock.Now()),
        reported_(started_),
        reported_step_(distillation.steps()) {}

  absl::Status Go() {
    const int64_t total = options_.distillation.optimizer.schedule.total_steps;
    while (distillation_.steps() < total && clock_.Now() - started_ < options_.time_limit) {
      SEMSAM_ASSIGN_OR_RETURN(const TextStep step, distillation_.Step());
      if (step.step % options_.report_every == 0) SEMSAM_RETURN_IF_ERROR(Report(step));
      if (step.step % options_.score_every == 0 && step.step < total) {
        SEMSAM_RETURN_IF_ERROR(Pause());
      }
    }
    return Pause();
  }

 private:
  // What has been learnt so far, measured and safe.
  absl::Status Pause() {
    if (options_.distillation.hold_out) SEMSAM_RETURN_IF_ERROR(Measure());
    if (!options_.checkpoint.empty()) {
      SEMSAM_RETURN_IF_ERROR(SaveCheckpoint(options_.checkpoint, distillation_.Save()));
    }
    return WriteTextWeights(options_.out, distillation_.config(), distillation_.Weights(),
                            options_.dtype);
  }

  absl::Status Measure() {
    SEMSAM_ASSIGN_OR_RETURN(const TextScore score, distillation_.Score(options_.score_names));
    if (score.names == 0) return absl::OkStatus();
    return Write({{"step", distillation_.steps()},
                  {"held_out_names", score.names},
                  {"held_out_cosine", score.cosine},
                  {"held_out_neighbours", score.neighbours}});
  }

  absl::Status Report(const TextStep& step) {
    const absl::Time now = clock_.Now();
    const double seconds = absl::ToDoubleSeconds(now - reported_);
    const int64_t batch =
        std::min<int64_t>(options_.distillation.batches.texts, distillation_.names());
    const auto names = static_cast<double>((step.step - reported_step_) * batch);
    reported_ = now;
    reported_step_ = step.step;
    return Write({{"step", step.step},
                  {"distance", step.distance},
                  {"relation", step.relation},
                  {"gradient_norm", step.optimizer.gradient_norm},
                  {"learning_rate", step.optimizer.learning_rate},
                  {"names_per_second", seconds > 0 ? names / seconds : 0}});
  }

  absl::Status Write(const Json& line) {
    const std::string text = line.dump();
    out_ << text << std::endl;
    if (options_.metrics.empty()) return absl::OkStatus();
    // Opened for each line: whoever looks on sees it, and a full disk is noticed here.
    std::ofstream file(options_.metrics, std::ios::app);
    file << text << '\n';
    file.close();
    if (!file) {
      return absl::UnavailableError(absl::StrCat(options_.metrics, ": ", std::strerror(errno)));
    }
    return absl::OkStatus();
  }

  const TextTrainingOptions& options_;
  TextDistillation& distillation_;
  const Clock& clock_;
  std::ostream& out_;
  const absl::Time started_;
  absl::Time reported_;
  int64_t reported_step_;
};

absl::Status ResumeFrom(const std::string& path, TextDistillation& distillation) {
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return absl::OkStatus();
  SEMSAM_ASSIGN_OR_RETURN(const Checkpoint checkpoint, LoadCheckpoint(path));
  if (const absl::Status status = distillation.Resume(checkpoint); !status.ok()) {
    return Annotate(status, path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const TextTrainingOptions& options) {
  if (options.targets.empty()) return InvalidField("targets", "is missing");
  if (options.out.empty()) return InvalidField("out", "is missing");
  if (!IsFloat(options.dtype)) return InvalidField("dtype", "must be a float type");
  if (options.time_limit <= absl::ZeroDuration()) {
    return InvalidField("time_limit", "must be more than 0");
  }
  for (const auto& [name, value] : {std::pair("report_every", options.report_every),
                                    std::pair("score_every", options.score_every),
                                    std::pair("score_names", options.score_names)}) {
    if (value < 1) return InvalidField(name, "must be at least 1");
  }
  return Validate(options.distillation);
}

absl::Status TrainText(const TextTrainingOptions& options, const Clock& clock, std::ostream& out) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  SEMSAM_ASSIGN_OR_RETURN(TextTargets targets, ReadTextTargets(options.targets));
  NamedTensors start;
  if (!options.start.empty()) {
    const ModelConfig config =
        TextModelConfig(options.distillation.text, static_cast<int>(targets.rows.size(1)));
    SEMSAM_ASSIGN_OR_RETURN(start, ReadTextWeights(options.start, config));
  }
  SEMSAM_ASSIGN_OR_RETURN(
      const std::unique_ptr<TextDistillation> distillation,
      TextDistillation::Create(std::move(targets), options.distillation, std::move(start)));
  SEMSAM_RETURN_IF_ERROR(ResumeFrom(options.checkpoint, *distillation));
  out << distillation->names() << " names to learn, " << distillation->unmet_pieces()
      << " of CLIP's pieces are in none of them; from step " << distillation->steps() << " on"
      << std::endl;
  return Run(options, *distillation, clock, out).Go();
}

}  // namespace semsam
