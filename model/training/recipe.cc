#include "model/training/recipe.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/model_vocabulary.h"
#include "model/base/status_macros.h"
#include "model/training/json_object.h"
#include "model/weights/config_json.h"
#include "model/weights/mapped_file.h"
#include "model/weights/model_file.h"

namespace semsam {
namespace {

using nlohmann::json;

constexpr int kMaxBatch = 4096;
constexpr int kMaxSize = 4096;  // px
constexpr int kMaxCount = 100'000;

// `text` with every {NAME} replaced.
absl::StatusOr<std::string> FillFolders(const std::string& text, const RecipeFolders& folders) {
  std::string filled;
  size_t at = 0;
  while (at < text.size()) {
    const size_t open = text.find('{', at);
    const size_t close = open == std::string::npos ? open : text.find('}', open);
    if (close == std::string::npos) break;
    const std::string name = text.substr(open + 1, close - open - 1);
    const auto folder = folders.find(name);
    if (folder == folders.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("nothing says what {", name, "} is (--folders ", name, "=PATH)"));
    }
    absl::StrAppend(&filled, text.substr(at, open - at), folder->second);
    at = close + 1;
  }
  return filled + text.substr(at);
}

// Without `folders` the text stays as it is.
void Fill(JsonObject& object, const char* key, const RecipeFolders* folders, std::string& text) {
  if (folders == nullptr) return;
  absl::StatusOr<std::string> filled = FillFolders(text, *folders);
  if (!filled.ok()) return object.Fail(key, std::string(filled.status().message()));
  text = *std::move(filled);
}

void ReadModel(JsonObject& root, ModelConfig& model) {
  const json* member = root.Raw("model");
  if (member == nullptr) return root.Fail("model", "is missing");
  absl::StatusOr<ModelConfig> config =
      member->is_string() ? NamedConfig(member->get<std::string>())
                          : ConfigFromJson(member->dump(-1, ' ', /*ensure_ascii=*/true,
                                                        json::error_handler_t::replace));
  if (!config.ok()) return root.Fail("model", std::string(config.status().message()));
  model = *std::move(config);
}

void ReadSource(JsonObject source, const RecipeFolders* folders, SourceRecipe& recipe) {
  source.Get("source", recipe.source);
  if (recipe.source.empty()) source.Fail("source", "is missing");
  Fill(source, "source", folders, recipe.source);
  source.Get("share", recipe.share);
  source.Get("hold_out", recipe.hold_out);
  source.Get("min_scale", recipe.jitter.min_scale);
  source.Get("max_scale", recipe.jitter.max_scale);
  source.Get("flip", recipe.jitter.flip);
  source.Get("min_area_px", recipe.jitter.min_area_px);
  source.Get("copy_paste", recipe.copy_paste);
  if (!(recipe.share > 0) || std::isinf(recipe.share)) source.Fail("share", "must be above 0");
  if (!(recipe.copy_paste >= 0 && recipe.copy_paste <= 1)) {
    source.Fail("copy_paste", "must lie in 0 to 1");
  }
  const absl::Status jitter = Validate(recipe.jitter);
  if (!jitter.ok()) source.Fail(ErrorField(jitter).value_or(""), std::string(jitter.message()));
  source.Done();
}

void ReadData(JsonObject& root, const RecipeFolders* folders, absl::Status& status,
              Recipe& recipe) {
  const json* data = root.Raw("data");
  if (data == nullptr || !data->is_array() || data->empty()) {
    return root.Fail("data", "must be an array of at least one source");
  }
  for (size_t i = 0; i < data->size(); ++i) {
    SourceRecipe source;
    source.jitter.size_px = recipe.size_px;
    ReadSource(JsonObject((*data)[i], absl::StrCat("data[", i, "]"), status), folders, source);
    recipe.data.push_back(std::move(source));
  }
}

void ReadOptimizer(JsonObject object, OptimizerOptions& options) {
  object.Get("learning_rate", options.learning_rate);
  object.Get("backbone_factor", options.backbone_factor);
  object.Get("weight_decay", options.weight_decay);
  object.Get("clip_norm", options.clip_norm);
  object.Get("beta1", options.beta1);
  object.Get("beta2", options.beta2);
  object.Get("epsilon", options.epsilon);
  object.Get("average_decay", options.average_decay);
  object.Get("decay_at", options.schedule.decay_at);
  object.Get("decay", options.schedule.decay);
  object.Get("warmup_steps", options.schedule.warmup_steps);
  object.Get("warmup_start", options.schedule.warmup_start);
  object.Done();
}

void ReadCriterion(JsonObject object, CriterionOptions& options) {
  object.Get<PromptMatching>("matching",
                             {{"many-to-many", PromptMatching::kManyToMany},
                              {"many-to-one", PromptMatching::kManyToOne},
                              {"one-to-one", PromptMatching::kOneToOne}},
                             options.matching);
  object.Get<MaskSampling>("sampling",
                           {{"points", MaskSampling::kPoints}, {"cells", MaskSampling::kCells}},
                           options.sampling);
  object.Get("points", options.points.count);
  object.Get("oversample", options.points.oversample);
  object.Get("importance", options.points.importance);
  object.Get("matcher_points", options.matcher.points);
  object.Get("focal_alpha", options.focal.alpha);
  object.Get("focal_gamma", options.focal.gamma);
  object.Get("box_prompt", options.box_prompt);
  object.Get("denoising", options.denoising);
  object.Get("leftover_iou", options.leftover_iou);
  JsonObject weights = object.Object("weights");
  weights.Get("mask_bce", options.weights.mask_bce);
  weights.Get("mask_dice", options.weights.mask_dice);
  weights.Get("iou_score", options.weights.iou_score);
  weights.Get("box_l1", options.weights.box_l1);
  weights.Get("box_giou", options.weights.box_giou);
  weights.Get("object", options.weights.object);
  weights.Get("part", options.weights.part);
  weights.Done();
  object.Done();
}

void ReadPrompts(JsonObject object, const ModelConfig& model, PromptOptions& options) {
  object.Get("count", options.count);
  object.Get("box_share", options.box_share);
  object.Get<ClickTargets>("click_targets",
                           {{"by-data", ClickTargets::kByData},
                            {"all", ClickTargets::kAll},
                            {"one", ClickTargets::kOne}},
                           options.click_targets);
  object.Get("click_radius_px", options.click_radius_px);
  object.Get("noise", options.noise.scale);
  object.Get("point_noise", options.noise.point_scale);
  object.Get("max_targets", options.max_targets);
  if (options.count > kMaxCount) object.Fail("count", absl::StrCat("must be at most ", kMaxCount));
  object.Done();
  options.tokens = model.decoder.tokens;
  options.click_row = model.click_point_or_box;
  options.box_row = model.box_point_or_box;
}

void ReadWords(JsonObject object, const RecipeFolders* folders, WordRecipe& words) {
  object.Get("max_objects", words.max_objects);
  object.Get("max_parts", words.max_parts);
  object.Get<TextMode>("mode", {{"plain", TextMode::kPlain}, {"ensemble", TextMode::kEnsemble}},
                       words.mode);
  object.Get("embeddings", words.embeddings);
  Fill(object, "embeddings", folders, words.embeddings);
  object.Get("common_direction", words.common_direction);
  if (!(words.common_direction >= 0 && words.common_direction < 1)) {
    object.Fail("common_direction", "must be at least 0 and below 1");
  }
  if (words.max_objects < 1) object.Fail("max_objects", "must be at least 1");
  if (words.max_parts < 1) object.Fail("max_parts", "must be at least 1");
  object.Done();
}

void ReadQueries(JsonObject object, const ModelConfig& model, QueryRecipe& queries) {
  object.Get("count", queries.count);
  object.Get("denoising_groups", queries.denoising_groups);
  object.Get("share", queries.share);
  if (queries.count < 0 || queries.count > kMaxCount) {
    object.Fail("count", absl::StrCat("must lie in 0 to ", kMaxCount));
  }
  if (queries.count > 0 && !model.vocabulary) {
    object.Fail("count", "the model has no generic queries (no vocabulary)");
  }
  if (queries.denoising_groups < 0 || queries.denoising_groups > 100) {
    object.Fail("denoising_groups", "must lie in 0 to 100");
  }
  if (!(queries.share >= 0 && queries.share <= 1)) object.Fail("share", "must lie in 0 to 1");
  object.Done();
}

void ReadResult(JsonObject object, ResultRecipe& result) {
  object.Get<DType>("dtype", {{"float32", DType::kFloat32}, {"float16", DType::kFloat16}},
                    result.dtype);
  object.Get("licence", result.licence);
  object.Get("source", result.source);
  JsonObject words = object.Object("vocabulary");
  for (const auto& [name, count] : {std::pair{"objects", &result.vocabulary_objects},
                                    std::pair{"parts", &result.vocabulary_parts}}) {
    words.Get(name, *count);
    if (*count < 0 || static_cast<size_t>(*count) > kMaxVocabularyWords) {
      words.Fail(name, absl::StrCat("must lie in 0 to ", kMaxVocabularyWords));
    }
  }
  words.Get("leave_out", result.vocabulary_leave_out);
  words.Done();
  object.Done();
}

void ReadCounts(JsonObject& root, Recipe& recipe) {
  root.Get("size_px", recipe.size_px);
  root.Get("batch", recipe.batch);
  root.Get("accumulate", recipe.accumulate);
  root.Get("steps", recipe.steps);
  root.Get("epochs", recipe.epochs);
  root.Get("epoch_pictures", recipe.epoch_pictures);
  root.Get("seed", recipe.seed);
  root.Get("checkpoint_every", recipe.checkpoint_every);
  root.Get("metrics_every", recipe.metrics_every);
  root.Get("max_bad_samples", recipe.max_bad_samples);
  root.Get<Precision>("precision",
                      {{"float32", Precision::kFloat32}, {"bfloat16", Precision::kBFloat16}},
                      recipe.precision);
  const auto check = [&](const char* key, bool good, const std::string& message) {
    if (!good) root.Fail(key, message);
  };
  const int divisor = recipe.model.size_divisor;
  check("size_px",
        recipe.size_px >= 32 && recipe.size_px <= kMaxSize && recipe.size_px % divisor == 0,
        absl::StrCat("must be a multiple of ", divisor, " from 32 to ", kMaxSize));
  check("batch", recipe.batch >= 1 && recipe.batch <= kMaxBatch,
        absl::StrCat("must lie in 1 to ", kMaxBatch));
  check("accumulate", recipe.accumulate >= 1 && recipe.accumulate <= kMaxBatch,
        absl::StrCat("must lie in 1 to ", kMaxBatch));
  check("steps", recipe.steps >= 0, "must be 0 or more");
  check("epochs", recipe.epochs >= 0 && recipe.epochs < 1e9, "must be 0 or more");
  check("steps", (recipe.steps > 0) != (recipe.epochs > 0), "give either steps or epochs");
  check("epoch_pictures", recipe.epoch_pictures >= 0 && recipe.epoch_pictures <= 1'000'000'000,
        "must lie in 0 to 1000000000");
  check("checkpoint_every", recipe.checkpoint_every >= 1, "must be at least 1");
  check("metrics_every", recipe.metrics_every >= 1, "must be at least 1");
  check("max_bad_samples", recipe.max_bad_samples >= 0, "must be 0 or more");
}

// What no single field can tell.
absl::Status CheckOptions(const Recipe& recipe) {
  OptimizerOptions optimizer = recipe.optimizer;
  optimizer.schedule.total_steps = 1;
  SEMSAM_RETURN_IF_ERROR(PrependField(Validate(optimizer), "optimizer"));
  SEMSAM_RETURN_IF_ERROR(PrependField(Validate(recipe.criterion), "criterion"));
  if (recipe.model.decoder.tokens == 0) {
    if (recipe.queries.count > 0) return absl::OkStatus();
    return InvalidField("queries.count", "a model without prompts learns by generic queries alone");
  }
  return PrependField(Validate(recipe.prompts), "prompts");
}

absl::StatusOr<Recipe> Parse(const std::string& text, const RecipeFolders* folders) {
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false,
                                    /*ignore_comments=*/true);
  if (document.is_discarded()) return absl::InvalidArgumentError("it is no JSON");
  absl::Status status;
  Recipe recipe;
  recipe.text = text;
  JsonObject root(document, "", status);
  ReadModel(root, recipe.model);
  ReadCounts(root, recipe);
  root.Get("start", recipe.start);
  for (std::string& file : recipe.start) Fill(root, "start", folders, file);
  root.Get("frozen", recipe.frozen);
  ReadData(root, folders, status, recipe);
  ReadOptimizer(root.Object("optimizer"), recipe.optimizer);
  ReadCriterion(root.Object("criterion"), recipe.criterion);
  ReadPrompts(root.Object("prompts"), recipe.model, recipe.prompts);
  ReadWords(root.Object("words"), folders, recipe.words);
  ReadQueries(root.Object("queries"), recipe.model, recipe.queries);
  ReadResult(root.Object("result"), recipe.result);
  root.Done();
  SEMSAM_RETURN_IF_ERROR(status);
  SEMSAM_RETURN_IF_ERROR(CheckOptions(recipe));
  return recipe;
}

}  // namespace

absl::StatusOr<RecipeFolders> ParseFolders(std::string_view text) {
  RecipeFolders folders;
  for (const absl::string_view entry :
       absl::StrSplit(absl::string_view(text.data(), text.size()), ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    if (parts.first.empty() || parts.second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("folders: \"", entry, "\" does not read NAME=PATH"));
    }
    folders[parts.first] = parts.second;
  }
  return folders;
}

absl::StatusOr<Recipe> ParseRecipe(const std::string& text, const RecipeFolders& folders) {
  return Parse(text, &folders);
}

absl::StatusOr<Recipe> ParseRecipe(const std::string& text) { return Parse(text, nullptr); }

absl::StatusOr<Recipe> ReadRecipe(const std::string& path, const RecipeFolders& folders) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  const std::string text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  absl::StatusOr<Recipe> recipe = ParseRecipe(text, folders);
  if (!recipe.ok()) return Annotate(recipe.status(), path);
  return recipe;
}

}  // namespace semsam
