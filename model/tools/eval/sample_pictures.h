// The samples of a data source as pictures of the evaluation protocol: which masks are
// asked for, where they are clicked, and which labels are right.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_SAMPLE_PICTURES_H_
#define SEMSAM_MODEL_TOOLS_EVAL_SAMPLE_PICTURES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/base/mutex.h"
#include "model/data/random.h"
#include "model/data/sample.h"
#include "model/evaluation/protocol.h"
#include "model/tools/eval/data_source.h"

namespace semsam {

// The names that a model chooses from; labels are indices.
struct LabelWords {
  std::vector<std::string> objects;
  std::vector<std::string> parts;
};

// From a file: JSON {"objects": [..], "parts": [..]}, or text with the name of an
// object a line. Errors name the file: NOT_FOUND, INVALID_ARGUMENT for broken JSON, a
// name that occurs twice, or no name at all.
absl::StatusOr<LabelWords> ReadLabelWords(const std::string& path);

enum class ClickRule {
  kDeepest,  // the pixel deepest inside the mask, as the published evaluation
  kRandom,   // any pixel of the mask, all equally likely
};
// As reports call it.
std::string_view ClickRuleName(ClickRule rule);

struct PictureOptions {
  std::vector<ClickRule> clicks = {ClickRule::kDeepest, ClickRule::kRandom};  // may be empty
  uint64_t seed = 1;        // of random clicks; with the sample's name decides them
  int64_t min_area_px = 1;  // smaller masks are not asked for
  bool keep_going = false;  // a sample that cannot be loaded is left out, and told
  bool keep_samples = false;
};

struct FailedSample {
  std::string name;
  std::string error;
};

// One sample is in memory for each picture in work, and, with `keep_samples`, until
// TakeSample.
class SamplePictures : public PictureSource {
 public:
  // Both outlive this. Names that are not in `words` are not known: their masks are
  // clicked, but not scored by label.
  SamplePictures(const DataSource& source, const LabelWords& words, PictureOptions options);

  absl::StatusOr<std::optional<EvaluationPicture>> Next() override;

  // The annotations behind a picture that Next gave, once. Thread-safe.
  struct KeptSample {
    int64_t index = 0;  // in the data set
    Sample sample;
  };
  std::optional<KeptSample> TakeSample(const std::string& picture);

  // After the last picture.
  const std::vector<FailedSample>& failed() const { return failed_; }
  int64_t unknown_names() const { return unknown_names_; }

 private:
  EvaluationPicture MakePicture(LoadedSample& loaded);
  EvaluationTarget MakeTarget(const Sample& sample, const Annotation& annotation, Random& random);
  std::vector<int> LabelsOf(const std::string& name, const std::map<std::string, int>& labels);

  const DataSource& source_;
  const PictureOptions options_;
  std::map<std::string, int> object_labels_;
  std::map<std::string, int> part_labels_;
  size_t next_ = 0;
  std::vector<FailedSample> failed_;
  int64_t unknown_names_ = 0;  // targets with a name that is not in the words

  Mutex mutex_;
  std::map<std::string, KeptSample> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_SAMPLE_PICTURES_H_
