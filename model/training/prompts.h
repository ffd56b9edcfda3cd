// From a sample to prompts for the decoder and to what they shall give (paper,
// section 3.2 and Table 2; parity notes, section 7).
//
// The picture of the sample already has the size that the network sees; masks and
// boxes of the targets are those of the padded picture.
// Thread-safe: free functions without state but the generator they are given.
#ifndef SEMSAM_MODEL_TRAINING_PROMPTS_H_
#define SEMSAM_MODEL_TRAINING_PROMPTS_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/base/types.h"
#include "model/data/clicks.h"
#include "model/data/random.h"
#include "model/data/sample.h"
#include "model/training/matcher.h"
#include "model/training/targets.h"

namespace semsam {

// The words of a training step, in the order of the text embeddings that the class
// heads meet: of several data sets at once, each word once.
class WordList {
 public:
  WordList() = default;
  explicit WordList(std::vector<std::string> words);

  const std::vector<std::string>& words() const { return words_; }
  int64_t size() const { return static_cast<int64_t>(words_.size()); }
  // kUnknownLabel for a word that is not in the list.
  int64_t IndexOf(std::string_view word) const;

 private:
  std::vector<std::string> words_;  // without doubles
  std::map<std::string, int64_t, std::less<>> index_;
};

struct StepWords {
  WordList objects;
  WordList parts;
};

// Which masks a click stands for.
enum class ClickTargets {
  kByData,  // Table 2: all where no annotation has a name, the clicked one elsewhere
  kAll,     // all that contain the click
  kOne,     // the clicked one
};

struct PromptOptions {
  int count = 60;  // a picture; the published MAX_NUM_INSTANCE
  // Of boxes among them: what the published code announces ("about 1/4 boxes"). Its
  // own switch never lets a box through; 0 trains as it does.
  double box_share = 0.25;
  ClickTargets click_targets = ClickTargets::kByData;
  int tokens = 6;              // a click stands for so many masks at most
  double click_radius_px = 3;  // published
  BoxNoise noise;              // published
  // Rows of the point-or-box embedding. The released models answer clicks with row 0
  // (ModelConfig::click_point_or_box), so that is what is trained.
  int click_row = 0;
  int box_row = 0;
  int max_targets = 512;  // of more annotations a random choice is used
};
absl::Status Validate(const PromptOptions& options);

struct TrainingPrompts {
  std::vector<Prompt> prompts;  // relative to the unpadded picture, as at inference
  ImageTargets targets;         // on the CPU; targets.prompts goes with `prompts`
};

// Prompts are drawn from random permutations of the annotations, repeated until there
// are enough; none where the picture has no annotation. Crowds are never a target,
// and their region counts as unknown. Annotations without a mask get box prompts.
// Memory: a byte a pixel of `padded` and annotation.
// Errors: INVALID_ARGUMENT for options, or a picture larger than `padded`.
absl::StatusOr<TrainingPrompts> MakeTrainingPrompts(const Sample& sample, ImageSize padded,
                                                    const StepWords& words,
                                                    const PromptOptions& options, Random& random);

// Boxes of `targets`, made inexact, as denoising queries for generic segmentation
// (Mask DINO): `groups` copies of all, each with its own noise.
struct DenoisingBoxes {
  at::Tensor boxes;  // [groups * G, 4], relative to the padded picture
  Pairs pairs;       // which target each came from
};
DenoisingBoxes MakeDenoisingBoxes(const ImageTargets& targets, int groups, const BoxNoise& noise,
                                  Random& random);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TRAINING_PROMPTS_H_
