// A plain folder as a data set: pictures with nested, named masks. What cooked
// packs are stored in, and what a person can write by hand.
//
//   FOLDER/
//     dataset.json           optional: {"name": .., "licence": .., "source": ..}
//     VOCABULARY.vocabulary.json
//                            {"objects": [..], "parts": [..], "closed_world": true}
//     NAME.json              one sample:
//       {
//         "picture": "NAME.jpg",        optional: else NAME with a picture's ending
//         "height": 480, "width": 640,  px
//         "vocabulary": "VOCABULARY",   optional: without, an open world of no names
//         "licence": "..", "source": "..",       optional
//         "unknown": "<counts>",                 optional
//         "absent": ["name", ..],                optional
//         "annotations": [{
//           "id": 1,                    unique in the file
//           "object": "car",            optional
//           "part": "wheel",            optional
//           "parent": 1,                optional: the id of another annotation
//           "counts": "<counts>",       the mask, or
//           "mask": "NAME.1.png",       a PNG beside it, inside where it is not 0, or
//           "box": [x0, y0, x1, y1],    px, half-open, where no mask is known
//           "crowd": true, "stuff": true         optional
//         }, ..]
//       }
//
// <counts> are COCO's compressed run lengths (pycocotools' "counts") for the size of
// the picture. Names of files may not lead out of the folder.
//
// Thread-safe: free functions without state; writers of different names do not
// disturb each other.
#ifndef SEMSAM_MODEL_DATA_FOLDER_SAMPLE_H_
#define SEMSAM_MODEL_DATA_FOLDER_SAMPLE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/data/dataset.h"
#include "model/data/sample.h"

namespace semsam {

struct FolderOptions {
  int jpeg_quality = 92;  // 1 to 100; 0: lossless PNG
};
absl::Status Validate(const FolderOptions& options);

// Writes NAME.json, the picture, and the vocabulary where it is not there yet; reading
// the folder gives an equal sample. Each file appears whole or not at all, NAME.json
// last: without it the sample is not there. `name` has no '/' and does not end in
// ".vocabulary". Errors: INVALID_ARGUMENT for a name that will not do, a sample that
// fails CheckSample, or a vocabulary that differs from the one of its name in the
// folder; what the system says, with the file.
absl::Status WriteFolderSample(const std::string& folder, const std::string& name,
                               const LoadedSample& loaded, const FolderOptions& options = {});

// Writes dataset.json.
absl::Status WriteFolderInfo(const std::string& folder, const DatasetInfo& info);

// `text` is NAME.json; `vocabulary` resolves a name, `folder` holds the masks.
using VocabularyLookup = std::function<std::shared_ptr<const Vocabulary>(const std::string& name)>;
absl::StatusOr<Sample> ParseFolderSample(std::string_view text, const std::string& folder,
                                         const std::string& name,
                                         const VocabularyLookup& vocabulary);

absl::StatusOr<Vocabulary> ParseVocabulary(std::string_view text);

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_FOLDER_SAMPLE_H_
