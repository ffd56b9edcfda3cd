// The words of semsam-inspect dump: text embeddings, and class logits of prompts.
#ifndef SEMSAM_MODEL_TOOLS_INSPECT_DUMP_WORDS_H_
#define SEMSAM_MODEL_TOOLS_INSPECT_DUMP_WORDS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/net/load_model.h"
#include "model/tools/inspect/array_writer.h"
#include "model/tools/program/command_line.h"
#include "model/torch/torch.h"

namespace semsam {

struct WordOptions {
  std::string objects;  // file of names; empty: none
  std::string object_mode = "ensemble";
  std::string parts;
  std::string part_mode = "ensemble";
};

// Declares --objects, --object-mode, --parts and --part-mode.
void AddWordOptions(WordOptions& options, CommandLine& line);
// INVALID_ARGUMENT for an unknown mode.
absl::Status CheckWordOptions(const WordOptions& options);

struct WordEmbeddings {
  at::Tensor objects;  // [names, text_dim], undefined: none asked for
  at::Tensor parts;
};

// Encodes the names and writes objects_text.npy and parts_text.npy.
// FAILED_PRECONDITION if the model has no text encoder or no such head.
absl::StatusOr<WordEmbeddings> EncodeAndWriteWords(const LoadedModel& model,
                                                   const WordOptions& options, ArrayWriter& writer);

// Writes NAME_logits_whole and NAME_logits_part of queries [N, C], [N, names].
absl::Status WriteClassLogits(const ClassHeads& heads, const WordEmbeddings& words,
                              const std::string& name, const at::Tensor& queries,
                              ArrayWriter& writer);

}  // namespace semsam

#endif  // SEMSAM_MODEL_TOOLS_INSPECT_DUMP_WORDS_H_
