#include "model/training/text_batches.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <span>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/text/prompt_templates.h"

namespace semsam {
namespace {

constexpr std::string_view kPlace = "{}";
// Batches that are sorted by length together.
constexpr int64_t kPoolBatches = 16;
// Streams of one seed: orders of epochs, and what happens in a pool.
constexpr uint64_t kOrderStream = 0;
constexpr uint64_t kPoolStream = 1;

bool IsShare(double value) { return value >= 0 && value <= 1; }

}  // namespace

absl::Status Validate(const TextBatchOptions& options) {
  if (options.texts < 2) return InvalidField("texts", "must be at least 2");
  if (options.context < 3) return InvalidField("context", "must be at least 3");
  if (!IsShare(options.phrase_share)) return InvalidField("phrase_share", "must lie in 0 to 1");
  if (!IsShare(options.unknown_share)) return InvalidField("unknown_share", "must lie in 0 to 1");
  return absl::OkStatus();
}

absl::StatusOr<TextBatches> TextBatches::Create(absl::Span<const std::string> names,
                                                const TextBatchOptions& options) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  if (names.empty()) return absl::InvalidArgumentError("there are no names to learn");
  SEMSAM_ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::Create());
  std::vector<std::vector<int32_t>> pieces;
  for (const std::string& name : names) {
    absl::StatusOr<std::vector<int32_t>> ids = tokenizer.Encode(name);
    if (!ids.ok()) return Annotate(ids.status(), absl::StrCat("names[", pieces.size(), "]"));
    if (ids->empty()) {
      return InvalidField(absl::StrCat("names[", pieces.size(), "]"), "is blank");
    }
    pieces.push_back(*std::move(ids));
  }
  // A name is a word of its own in every phrase, so that the pieces before and after it
  // are the same whatever it is.
  std::vector<Phrase> phrases;
  for (const std::string_view text : PromptTemplates()) {
    const size_t place = text.find(kPlace);
    SEMSAM_ASSIGN_OR_RETURN(std::vector<int32_t> before, tokenizer.Encode(text.substr(0, place)));
    SEMSAM_ASSIGN_OR_RETURN(std::vector<int32_t> after,
                            tokenizer.Encode(text.substr(place + kPlace.size())));
    phrases.emplace_back(std::move(before), std::move(after));
  }
  return TextBatches(options, std::move(pieces), std::move(phrases));
}

TextBatches::TextBatches(const TextBatchOptions& options, std::vector<std::vector<int32_t>> pieces,
                         std::vector<Phrase> phrases)
    : options_(options), pieces_(std::move(pieces)), phrases_(std::move(phrases)) {
  options_.texts = static_cast<int>(std::min<size_t>(options_.texts, pieces_.size()));
  std::vector<bool> met(Tokenizer::kVocabularySize, false);
  met[Tokenizer::kStart] = met[Tokenizer::kEnd] = true;
  const auto meet = [&](const std::vector<int32_t>& ids) {
    for (const int32_t id : ids) met[id] = true;
  };
  for (const std::vector<int32_t>& ids : pieces_) meet(ids);
  for (const auto& [before, after] : phrases_) {
    meet(before);
    meet(after);
  }
  for (int32_t id = 0; id < Tokenizer::kVocabularySize; ++id) {
    if (!met[id]) unmet_.push_back(id);
  }
}

int64_t TextBatches::size() const { return static_cast<int64_t>(pieces_.size()) / options_.texts; }

std::vector<int32_t> TextBatches::Vary(int64_t name, Random& random) const {
  std::vector<int32_t> inner = pieces_[name];
  if (inner.size() > 1 && !unmet_.empty() && random.Chance(options_.unknown_share)) {
    inner[random.Below(inner.size())] = unmet_.front();
  }
  std::vector<int32_t> ids = {Tokenizer::kStart};
  const auto add = [&](const std::vector<int32_t>& more) {
    const size_t room = options_.context - 1 - ids.size();
    std::copy_n(more.begin(), std::min(room, more.size()), std::back_inserter(ids));
  };
  if (random.Chance(options_.phrase_share)) {
    const Phrase& phrase = phrases_[random.Below(phrases_.size())];
    add(phrase.first);
    add(inner);
    add(phrase.second);
  } else {
    add(inner);
  }
  ids.push_back(Tokenizer::kEnd);
  return ids;
}

void TextBatches::FillPool(int64_t pool) {
  const int64_t pools = (size() + kPoolBatches - 1) / kPoolBatches;  // of an epoch
  if (const int64_t epoch = pool / pools; epoch != epoch_) {
    order_.resize(pieces_.size());
    std::iota(order_.begin(), order_.end(), 0);
    Random::ForStream(options_.seed, 2 * epoch + kOrderStream).Shuffle(std::span(order_));
    epoch_ = epoch;
  }
  Random random = Random::ForStream(options_.seed, 2 * pool + kPoolStream);
  const int64_t first = pool % pools * kPoolBatches;
  const int64_t count = std::min(kPoolBatches, size() - first);
  std::vector<std::pair<std::vector<int32_t>, int64_t>> texts;
  for (int64_t i = first * options_.texts; i < (first + count) * options_.texts; ++i) {
    texts.emplace_back(Vary(order_[i], random), order_[i]);
  }
  std::stable_sort(texts.begin(), texts.end(),
                   [](const auto& a, const auto& b) { return a.first.size() < b.first.size(); });
  batches_.assign(count, {});
  for (size_t i = 0; i < texts.size(); ++i) {
    TextBatch& batch = batches_[i / options_.texts];
    batch.sequences.push_back(std::move(texts[i].first));
    batch.names.push_back(texts[i].second);
  }
  random.Shuffle(std::span(batches_));
  pool_ = pool;
}

const TextBatch& TextBatches::Get(int64_t step) {
  const int64_t pools = (size() + kPoolBatches - 1) / kPoolBatches;
  const int64_t in_epoch = step % size();
  const int64_t pool = step / size() * pools + in_epoch / kPoolBatches;
  if (pool != pool_) FillPool(pool);
  return batches_[in_epoch % kPoolBatches];
}

}  // namespace semsam
