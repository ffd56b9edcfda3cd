#include "model/tools/inspect/dump_words.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/tools/inspect/text_lines.h"

namespace semsam {
namespace {

constexpr char kEnsemble[] = "ensemble";
constexpr char kPlain[] = "plain";

absl::StatusOr<at::Tensor> EncodeNames(const LoadedModel& model, LabelHead head,
                                       const std::string& path, const std::string& mode) {
  if (model.text == nullptr || !model.network->class_heads().Has(head)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the model has no ", head == LabelHead::kObject ? "object" : "part",
                     " labels: give weights with a text encoder"));
  }
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadNames(path));
  const absl::StatusOr<std::vector<float>> rows =
      model.text->Embed(names, mode == kPlain ? TextMode::kPlain : TextMode::kEnsemble);
  if (!rows.ok()) return Annotate(rows.status(), path);
  return at::tensor(*rows).view({static_cast<int64_t>(names.size()), -1});
}

}  // namespace

void AddWordOptions(WordOptions& options, CommandLine& line) {
  using Need = CommandLine::Need;
  line.AddText("objects", "FILE",
               "names, one a line: also objects_text (their embeddings) and NAME_logits_whole",
               &options.objects, Need::kOptional);
  line.AddText("object-mode", "M", "ensemble (81 phrases a name; default) or plain",
               &options.object_mode, Need::kOptional);
  line.AddText("parts", "FILE", "names, one a line: also parts_text and NAME_logits_part",
               &options.parts, Need::kOptional);
  line.AddText("part-mode", "M", "ensemble (default) or plain", &options.part_mode,
               Need::kOptional);
}

absl::Status CheckWordOptions(const WordOptions& options) {
  for (const std::string& mode : {options.object_mode, options.part_mode}) {
    if (mode != kEnsemble && mode != kPlain) {
      return absl::InvalidArgumentError("--object-mode and --part-mode must be ensemble or plain");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<WordEmbeddings> EncodeAndWriteWords(const LoadedModel& model,
                                                   const WordOptions& options,
                                                   ArrayWriter& writer) {
  WordEmbeddings words;
  if (!options.objects.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(words.objects, EncodeNames(model, LabelHead::kObject, options.objects,
                                                       options.object_mode));
    SEMSAM_RETURN_IF_ERROR(writer.Write("objects_text", words.objects));
  }
  if (!options.parts.empty()) {
    SEMSAM_ASSIGN_OR_RETURN(words.parts,
                            EncodeNames(model, LabelHead::kPart, options.parts, options.part_mode));
    SEMSAM_RETURN_IF_ERROR(writer.Write("parts_text", words.parts));
  }
  return words;
}

absl::Status WriteClassLogits(const ClassHeads& heads, const WordEmbeddings& words,
                              const std::string& name, const at::Tensor& queries,
                              ArrayWriter& writer) {
  const auto write = [&](LabelHead head, const at::Tensor& text, const char* what) {
    return writer.Write(absl::StrCat(name, what),
                        heads.Logits(head, queries, text.to(queries.device())));
  };
  if (words.objects.defined()) {
    SEMSAM_RETURN_IF_ERROR(write(LabelHead::kObject, words.objects, "_logits_whole"));
  }
  if (words.parts.defined()) {
    SEMSAM_RETURN_IF_ERROR(write(LabelHead::kPart, words.parts, "_logits_part"));
  }
  return absl::OkStatus();
}

}  // namespace semsam
