// What a training is made of: one JSON file that, with its data, makes the result
// again. Fields and their defaults ("…" stands for what a struct of that name says):
//
//   {
//     "model": "swin-tiny"           a configuration by name (NamedConfig), or the
//                                    object that weight files hold ("semsam.config")
//     "start": ["a.safetensors"],    weight files that the training starts from; of a
//                                    name in several, the last one counts. Files of a
//                                    part of the network will do, and so will
//                                    "imagenet:PATH" (weights_io.h). The rest is drawn by
//                                    `seed` as the published code draws it (initialise.h)
//     "frozen": ["backbone.*"],      what is not trained, by name; '*' stands for any
//                                    text. The text encoder never is
//     "data": [{
//       "source": "folder:images={data}/pets",   as ParseDatasetSpec, or
//                                    "scenes:count=1000,size=320,seed=1"; {data} and
//                                    the like are given on the command line
//       "share": 1,                  of the pictures of an epoch, relative to the others
//       "hold_out": true,            every tenth sample by name is never trained on
//       "min_scale": 0.1, "max_scale": 2.0, "flip": 0.5,         JitterOptions
//       "copy_paste": 0,             chance that objects of another picture are pasted in
//       "min_area_px": 16            smaller masks are left out
//     }, ...],
//     "epoch_pictures": 0,           0: as many as there are
//     "size_px": 1024,               of the square that the network sees
//     "batch": 4, "accumulate": 1,   pictures a process and pass; passes a step
//     "steps": 1000, or "epochs": 3.5,
//     "optimizer": {"learning_rate", "backbone_factor", "weight_decay", "clip_norm",
//                   "beta1", "beta2", "epsilon", "average_decay",     OptimizerOptions
//                   "decay_at": [0.9, 0.95], "decay", "warmup_steps", "warmup_start"},
//     "criterion": {"matching": "many-to-many" | "many-to-one" | "one-to-one",
//                   "sampling": "points" | "cells",
//                   "points", "oversample", "importance", "matcher_points",
//                   "focal_alpha", "focal_gamma", "box_prompt", "denoising", "leftover_iou",
//                   "weights": {"mask_bce", "mask_dice", "iou_score", "box_l1",
//                               "box_giou", "object", "part"}},     CriterionOptions
//     "prompts": {"count", "box_share", "click_targets": "by-data" | "all" | "one",
//                 "click_radius_px", "noise", "point_noise", "max_targets"},
//                                                                   PromptOptions
//     "words": {"max_objects": 256, "max_parts": 128, "mode": "plain" | "ensemble",
//               "embeddings": "words.safetensors", "common_direction": 0},
//                                    of a picture: its own and a random choice of those
//                                    it could have had; mode: TextMode of the text
//                                    encoder; embeddings: a table instead of it
//                                    (word_embeddings.h); common_direction: the share of
//                                    common_direction.h, 0 leaves the encoder as it is
//     "queries": {"count": 0, "denoising_groups": 0, "share": 1},
//                                    generic queries a picture and copies of its boxes
//                                    for denoising; in what share of the pictures
//     "precision": "float32" | "bfloat16",
//     "seed": 1,
//     "checkpoint_every": 500,       steps
//     "metrics_every": 10,           steps
//     "max_bad_samples": 0,          more than that end the training
//     "result": {"dtype": "float32" | "float16", "licence": "", "source": "",
//                "vocabulary": {"objects": 500, "parts": 200, "leave_out": ["group of *"]}}
//                                    so many of the words most seen, but for those that
//                                    fit a pattern, become the model's own
//                                    (trained_vocabulary.h)
//   }
#ifndef SEMSAM_MODEL_TRAINING_RECIPE_H_
#define SEMSAM_MODEL_TRAINING_RECIPE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/model_config.h"
#include "model/base/types.h"
#include "model/data/augment.h"
#include "model/training/criterion.h"
#include "model/training/optimizer.h"
#include "model/training/prompts.h"
#include "model/weights/dtype.h"

namespace semsam {

enum class Precision { kFloat32, kBFloat16 };

struct SourceRecipe {
  std::string source;
  double share = 1;
  bool hold_out = true;
  JitterOptions jitter = {.min_area_px = 16};  // size_px is the recipe's
  double copy_paste = 0;
};

struct WordRecipe {
  int max_objects = 256;
  int max_parts = 128;
  TextMode mode = TextMode::kPlain;
  std::string embeddings;  // empty: the model's own text encoder
  // Share of AddCommonDirection, applied to the weights that a training starts with.
  double common_direction = 0;
};

struct QueryRecipe {
  int count = 0;  // 0: generic queries are not trained
  int denoising_groups = 0;
  double share = 1;
};

struct ResultRecipe {
  DType dtype = DType::kFloat32;
  std::string licence;
  std::string source;
  int vocabulary_objects = 500;
  int vocabulary_parts = 200;
  std::vector<std::string> vocabulary_leave_out;  // '*' stands for any text
};

struct Recipe {
  ModelConfig model;
  std::vector<std::string> start;
  std::vector<std::string> frozen;
  std::vector<SourceRecipe> data;
  int64_t epoch_pictures = 0;
  int size_px = 1024;
  int batch = 4;
  int accumulate = 1;
  int64_t steps = 0;  // 0: by `epochs`
  double epochs = 0;
  OptimizerOptions optimizer;  // schedule.total_steps is not set
  CriterionOptions criterion;
  PromptOptions prompts;
  WordRecipe words;
  QueryRecipe queries;
  Precision precision = Precision::kFloat32;
  uint64_t seed = 1;
  int64_t checkpoint_every = 500;
  int64_t metrics_every = 10;
  int64_t max_bad_samples = 0;
  ResultRecipe result;

  // The file as it was read: a checkpoint holds it.
  std::string text;
};

// What {NAME} in the paths of a recipe stands for.
using RecipeFolders = std::map<std::string, std::string>;

// "data=/a,packs=/b" -> folders. Errors: INVALID_ARGUMENT.
absl::StatusOr<RecipeFolders> ParseFolders(std::string_view text);

// Errors: INVALID_ARGUMENT that names the field which is unknown, of a wrong type, out
// of range, or has a {NAME} that `folders` does not know.
absl::StatusOr<Recipe> ParseRecipe(const std::string& text, const RecipeFolders& folders);

// The same with the paths as they are written: for what opens none of them.
absl::StatusOr<Recipe> ParseRecipe(const std::string& text);

// The same of a file, whose name errors begin with.
absl::StatusOr<Recipe> ReadRecipe(const std::string& path, const RecipeFolders& folders);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_RECIPE_H_
