// What --data names: data sets of any format that model/data reads, and which samples
// of each are evaluated.
//
// Thread-safe: free functions without state.
#ifndef SEMSAM_MODEL_TOOLS_EVAL_DATA_SOURCE_H_
#define SEMSAM_MODEL_TOOLS_EVAL_DATA_SOURCE_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/data/dataset.h"
#include "model/data/held_out.h"

namespace semsam {

struct SampleChoice {
  enum class Part { kHeldOut, kTrain, kAll };

  Part part = Part::kHeldOut;
  size_t held_out_every = kHeldOutEvery;  // model/data/held_out.h
  size_t limit = 0;                       // samples of a source, evenly spread; 0: all
};

struct DataSource {
  std::string name;  // in reports
  DatasetFormat format = DatasetFormat::kFolder;
  std::shared_ptr<const Dataset> dataset;
  std::vector<size_t> samples;  // those to evaluate: indices of `dataset`, rising
  // All names that samples may have: the union where they have vocabularies of their
  // own.
  Vocabulary vocabulary;
  // Every pixel belongs to one segment or to none, so that a whole map can be judged.
  bool panoptic = false;
  std::set<std::string> stuff;  // object names of `vocabulary` that are not countable
  // Unknown pixels are the borders of masks, and may belong to any of them; elsewhere
  // they are what nobody looked at.
  bool unsure_borders = false;
};

// Data sets as --data lists them, with commas between and, as ParseDatasetSpec has it,
// within them: an item that begins with "FORMAT:" or has no '=' begins the next.
std::vector<std::string> SplitDataSpecs(std::string_view list);

// One of them: what ParseDatasetSpec reads; "scenes:count=N,seed=N,side=PX" for
// generated scenes; or a path alone, which is a folder of the catalogue by its name,
// else a folder of our own form. Errors name the spec or the file.
absl::StatusOr<DataSource> OpenDataSource(const std::string& spec, const SampleChoice& choice);

// All of a list; a path to a folder of catalogue folders stands for each of them.
// INVALID_ARGUMENT where the list is empty, two have one name, or one
// has no sample in the chosen part.
absl::StatusOr<std::vector<DataSource>> OpenDataSources(std::string_view list,
                                                        const SampleChoice& choice);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_EVAL_DATA_SOURCE_H_
