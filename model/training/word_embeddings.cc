#include "model/training/word_embeddings.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/net/text_embedder.h"
#include "model/torch/catch.h"
#include "model/weights/mapped_file.h"
#include "model/weights/safetensors.h"

namespace semsam {
namespace {

// Of the cache; all vocabularies of the readers together have fewer words.
constexpr size_t kMaxWords = 200'000;

using Table = std::unordered_map<std::string, std::vector<float>>;

absl::StatusOr<Table> ParseTable(std::span<const std::byte> bytes, int64_t width) {
  SEMSAM_ASSIGN_OR_RETURN(const SafetensorsFile file, ParseSafetensors(bytes));
  const auto text = file.metadata.find("words");
  const nlohmann::json words =
      text == file.metadata.end()
          ? nlohmann::json()
          : nlohmann::json::parse(text->second, nullptr, /*allow_exceptions=*/false);
  if (!words.is_array()) return absl::InvalidArgumentError("no list of words in its metadata");
  const auto tensor = std::find_if(file.tensors.begin(), file.tensors.end(),
                                   [](const TensorView& t) { return t.name == "embeddings"; });
  const std::vector<int64_t> shape = {static_cast<int64_t>(words.size()), width};
  if (tensor == file.tensors.end() || tensor->shape != shape) {
    return absl::InvalidArgumentError(
        absl::StrCat("no tensor \"embeddings\" of shape ", ShapeText(shape)));
  }
  std::vector<float> rows(static_cast<size_t>(Elements(*tensor)));
  SEMSAM_RETURN_IF_ERROR(CopyToFloat32(*tensor, rows));
  NormaliseTexts(absl::MakeSpan(rows), width);
  Table table;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!words[i].is_string()) return absl::InvalidArgumentError("a word is no text");
    const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(i * width);
    table.emplace(words[i].get<std::string>(), std::vector<float>(begin, begin + width));
  }
  return table;
}

}  // namespace

absl::StatusOr<at::Tensor> WordEmbeddings::Rows(absl::Span<const std::string> words) {
  std::vector<std::string> fresh;
  for (const std::string& word : words) {
    if (!known_.contains(word)) fresh.push_back(word);
  }
  if (!fresh.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(const std::vector<float> rows, embed_(fresh));
    if (rows.size() != fresh.size() * static_cast<size_t>(width_)) {
      return absl::InternalError("the text encoder gave rows of another width");
    }
    if (known_.size() + fresh.size() > kMaxWords)
      return absl::ResourceExhaustedError(
          absl::StrCat("the data has more than ", kMaxWords, " words"));
    for (size_t i = 0; i < fresh.size(); ++i) {
      const auto begin = rows.begin() + static_cast<std::ptrdiff_t>(i * width_);
      known_.emplace(fresh[i], std::vector<float>(begin, begin + width_));
    }
  }
  return CatchTorch([&] {
    at::Tensor result = at::empty({static_cast<int64_t>(words.size()), width_}, at::kFloat);
    float* out = result.mutable_data_ptr<float>();
    for (const std::string& word : words) {
      std::memcpy(out, known_.at(word).data(), static_cast<size_t>(width_) * sizeof(float));
      out += width_;
    }
    return result;
  });
}

absl::StatusOr<std::unique_ptr<WordEmbeddings>> ReadWordTable(const std::string& path,
                                                              int64_t width) {
  SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
  absl::StatusOr<Table> parsed = ParseTable(file->bytes(), width);
  if (!parsed.ok()) return Annotate(parsed.status(), path);
  const auto table = std::make_shared<const Table>(*std::move(parsed));
  const auto embed =
      [table, path](absl::Span<const std::string> words) -> absl::StatusOr<std::vector<float>> {
    std::vector<float> rows;
    for (const std::string& word : words) {
      const auto found = table->find(word);
      if (found == table->end()) {
        return absl::InvalidArgumentError(absl::StrCat(path, " has no word \"", word, "\""));
      }
      rows.insert(rows.end(), found->second.begin(), found->second.end());
    }
    return rows;
  };
  return std::make_unique<WordEmbeddings>(width, embed);
}

}  // namespace semsam
