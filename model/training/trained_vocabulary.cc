#include "model/training/trained_vocabulary.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/data/dataset.h"
#include "model/data/held_out.h"
#include "model/text/prompt_templates.h"
#include "model/training/glob.h"
#include "model/training/training_data.h"

namespace semsam {
namespace {

// Bytes are at least characters, which a server counts (max_word_characters).
constexpr size_t kMaxWordBytes = 64;

// Of a word: in what share of the training's pictures it is.
using Shares = std::map<std::string, double>;

struct AllShares {
  Shares objects;
  Shares parts;
};

void Add(const std::set<std::string>& words, double share, Shares& shares) {
  for (const std::string& word : words) {
    if (!word.empty() && word.size() <= kMaxWordBytes) shares[word] += share;
  }
}

absl::Status AddSource(const SourceRecipe& source, double total_share, AllShares& shares) {
  SEMSAM_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                          OpenTrainingSource(source.source));
  std::vector<size_t> indices(dataset->size());
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = i;
  if (source.hold_out) indices = SplitHeldOut(dataset->size()).train;
  const size_t looked_at = std::min(indices.size(), kMaxVocabularySamples);
  const double share = source.share / total_share / static_cast<double>(looked_at);
  for (size_t i = 0; i < looked_at; ++i) {
    const size_t index = indices[i * indices.size() / looked_at];
    const absl::StatusOr<Sample> sample = dataset->Load(index);
    if (!sample.ok()) continue;  // the training leaves it out, too
    std::set<std::string> objects, parts;
    for (const Annotation& annotation : sample->annotations) {
      objects.insert(PlainTerm(annotation.object_name));
      parts.insert(PlainTerm(annotation.part_name));
    }
    Add(objects, share, shares.objects);
    Add(parts, share, shares.parts);
  }
  return absl::OkStatus();
}

std::vector<std::string> MostSeen(const Shares& shares, int limit,
                                  const std::vector<std::string>& leave_out) {
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [word, share] : shares) {
    const bool wanted = std::none_of(
        leave_out.begin(), leave_out.end(),
        [&, name = word](const std::string& pattern) { return GlobMatches(pattern, name); });
    if (wanted) order.emplace_back(-share, word);
  }
  std::sort(order.begin(), order.end());
  order.resize(std::min(order.size(), static_cast<size_t>(limit)));
  std::vector<std::string> words;
  for (auto& [share, word] : order) words.push_back(std::move(word));
  return words;
}

}  // namespace

absl::StatusOr<ModelVocabulary> TrainedVocabulary(const Recipe& recipe) {
  double total_share = 0;
  for (const SourceRecipe& source : recipe.data) total_share += source.share;
  AllShares shares;
  for (const SourceRecipe& source : recipe.data) {
    const absl::Status status = AddSource(source, total_share, shares);
    if (!status.ok()) return Annotate(status, source.source);
  }
  const ResultRecipe& result = recipe.result;
  return ModelVocabulary{
      .objects = MostSeen(shares.objects, result.vocabulary_objects, result.vocabulary_leave_out),
      .parts = MostSeen(shares.parts, result.vocabulary_parts, result.vocabulary_leave_out),
      .mode = recipe.words.mode};
}

}  // namespace semsam
