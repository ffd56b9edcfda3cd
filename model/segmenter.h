// The one interface between the service and the model: images in, embeddings
// out; embeddings and prompts in, mask logits and scores out.
//
// It knows no Torch, no gRPC and no queue: `TorchSegmenter` (model/net) stands
// behind it in production, `FakeSegmenter` (tests/fakes) in server tests.
#ifndef SEMSAM_MODEL_SEGMENTER_H_
#define SEMSAM_MODEL_SEGMENTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/base/memory_use.h"
#include "model/base/model_config.h"
#include "model/base/model_vocabulary.h"
#include "model/base/types.h"

namespace semsam {

// What an encoded image costs and looks like; the features stay opaque.
// Immutable and safe to share between threads.
class Embedding {
 public:
  virtual ~Embedding() = default;

  // Device (or host) memory held until the last owner lets go.
  virtual int64_t size_bytes() const = 0;
  // Unpadded size of the encoded image, network frame.
  virtual ImageSize network_size() const = 0;
};

// How the numbers of an embedding are kept outside the model.
enum class StorageFormat {
  kFp32,  // as computed
  kFp16,  // half the bytes
  kInt8,  // a quarter, with a scale a channel
};

// An embedding as bytes: what a cache tier keeps in host memory, on disk or on another
// machine. Only a model of the same digest can read it back.
struct StoredEmbedding {
  StorageFormat format = StorageFormat::kFp32;
  std::string model_digest;  // ModelInfo::digest
  ImageSize network_size;    // px, unpadded, network frame
  std::string bytes;         // laid out by the segmenter; little endian
};

// Prompts on one image that are answered together.
struct DecodeRequest {
  std::shared_ptr<const Embedding> embedding;
  std::vector<Prompt> prompts;
  // Granularity levels to answer, 1-based, in the order of the answer.
  std::vector<int> levels;
  // Let the prompts of this request attend to each other, as the published
  // everything-mode and demo do. Off: a prompt's masks never depend on what
  // else is asked, in this request or in any other.
  bool joint_attention = false;
};

struct MaskScores {
  int prompt = 0;           // index into DecodeRequest::prompts
  int level = 0;            // granularity level, 1-based
  float predicted_iou = 0;  // raw head output: may lie below 0 or above 1
  CenterBox box;            // relative to the padded image
};

// Masks of one request, prompt-major, then in the order of the asked levels.
struct DecodeResult {
  ImageSize padded_size;           // px, padded frame
  ImageSize grid;                  // of the logits: padded_size / 4
  std::vector<MaskScores> scores;  // [N]
  std::vector<float> logits;       // [N, grid.height, grid.width]; mask = logit > 0
  // What the class heads read of each mask; kept by a session so that new words can
  // be scored without a decoder run.
  int embedding_dim = 0;
  std::vector<float> query_embeddings;  // [N, embedding_dim]

  LogitsView mask_logits(size_t index) const {
    return {grid, logits.data() + index * static_cast<size_t>(grid.area())};
  }
};

// Words to look for in one image. Text embeddings are rows of
// Segmenter::EncodeText, [words, decoder.text_dim]; one list may be empty.
struct VocabularyRequest {
  std::shared_ptr<const Embedding> embedding;
  // Choose the queries (unless empty) and are scored by the object head.
  std::vector<float> object_text;
  // Scored by the part head; choose the queries if there are no objects.
  std::vector<float> part_text;
};

// What the generic queries found. Nothing is filtered: see
// model/image/vocabulary_inference.h.
struct VocabularyResult {
  ImageSize padded_size;             // px, padded frame
  ImageSize grid;                    // of the logits: padded_size / 4
  int queries = 0;                   // Q: the chosen ones by falling score, then the learned
  int chosen_queries = 0;            // by text similarity; fewer where an image is small
  std::vector<CenterBox> boxes;      // [Q] relative to the padded image
  std::vector<float> object_logits;  // [Q, objects]; probability = sigmoid
  std::vector<float> part_logits;    // [Q, parts]
  std::vector<float> mask_logits;    // [Q, grid.height, grid.width]; mask = logit > 0
};

struct ModelInfo {
  ModelConfig config;
  // SHA-256 (hex) over the tensors: what caches and clients know the model by.
  std::string digest;
  std::string device;   // "cpu", "cuda:0"
  bool trained = true;  // false: formula weights; the service says so
  // Words that a request may ask for without listing them; may be empty.
  ModelVocabulary vocabulary = {};
};

// Thread-safety: info() is constant, and ScoreLabels, EmbeddingBytes and Store may be
// called at any time from any thread; the other calls from any thread, one at a time a
// Segmenter.
//
// Errors of any call: RESOURCE_EXHAUSTED where the device has no memory for it (as a
// whole: less may fit), INTERNAL where the model failed, UNAVAILABLE with the reason
// DEVICE_FAULT where the device is lost: no call succeeds in this process any more.
class Segmenter {
 public:
  virtual ~Segmenter() = default;

  virtual const ModelInfo& info() const = 0;

  // Encodes images [H, W, 3] of network size (short edge already resized).
  // Images of equal padded size run as one batch. One result an image; an image
  // that fails does not fail the others.
  virtual std::vector<absl::StatusOr<std::shared_ptr<const Embedding>>> Encode(
      absl::Span<const Rgb8Image* const> images) = 0;

  // Memory that the embedding of an image of this size (px, network frame) will take:
  // its size_bytes(). Any thread, at any time.
  virtual int64_t EmbeddingBytes(ImageSize network_size) const = 0;

  // Of the device: taken by whomever, and in all; on a CPU by this process, and what it may
  // take. Any thread, at any time. UNIMPLEMENTED where the device does not tell.
  virtual absl::StatusOr<MemoryUse> Memory() const = 0;

  // `embedding` as bytes; copies from the device, which may wait for what runs there.
  // What ProjectValues added is left out: it follows from the rest, and is several times
  // as large. Any thread, at any time. INVALID_ARGUMENT for another model's embedding.
  virtual absl::StatusOr<StoredEmbedding> Store(const Embedding& embedding,
                                                StorageFormat format) const = 0;

  // The embedding that Store made `stored` from: exact with kFp32, else rounded.
  // INVALID_ARGUMENT for another model's, or for bytes that are not what Store wrote.
  virtual absl::StatusOr<std::shared_ptr<const Embedding>> Load(const StoredEmbedding& stored) = 0;

  // Decodes prompts of different images and sizes in one call, no padding. One
  // result a request, in order; a request that fails (unknown level, foreign
  // embedding) does not fail the others.
  virtual std::vector<absl::StatusOr<DecodeResult>> Decode(
      absl::Span<const DecodeRequest> requests) = 0;

  // An embedding of the same image that also holds the value projection of each
  // decoder layer (performance notes, rewrite 1): larger, and faster from a few
  // hundred prompts an image on, as everything-mode has. It decodes like the
  // original, up to rounding.
  virtual absl::StatusOr<std::shared_ptr<const Embedding>> ProjectValues(
      const std::shared_ptr<const Embedding>& embedding) = 0;

  // Unit-norm embeddings of `terms`, [terms, decoder.text_dim]; a row depends on
  // its term and `mode` alone. Errors: FAILED_PRECONDITION without a text encoder;
  // INVALID_ARGUMENT (`terms[i]`) for what is no UTF-8.
  virtual absl::StatusOr<std::vector<float>> EncodeText(absl::Span<const std::string> terms,
                                                        TextMode mode) = 0;

  // Class logits [N, M] of N query embeddings (DecodeResult) against M text
  // embeddings: exp(logit_scale) * cosine. FAILED_PRECONDITION if the model has no
  // such head.
  virtual absl::StatusOr<std::vector<float>> ScoreLabels(
      LabelHead head, absl::Span<const float> query_embeddings,
      absl::Span<const float> text_embeddings) const = 0;

  // Text-only segmentation: one result a request, in order; a request that fails
  // does not fail the others. FAILED_PRECONDITION if the model cannot.
  virtual std::vector<absl::StatusOr<VocabularyResult>> SegmentVocabulary(
      absl::Span<const VocabularyRequest> requests) = 0;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_SEGMENTER_H_
