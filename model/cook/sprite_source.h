// Where sprites come from: collections of icons, clip art, drawn faces, cut-outs.
//
// Opening reads names (icons and faces: the whole file, which is small); a sprite is
// drawn when it is loaded. Entries are sorted by title (bytes).
#ifndef SEMSAM_MODEL_COOK_SPRITE_SOURCE_H_
#define SEMSAM_MODEL_COOK_SPRITE_SOURCE_H_

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "model/cook/sprite.h"

namespace semsam {

struct SourceInfo {
  std::string name;
  std::string licence;
  std::string source;  // for attribution
};

// Thread-safe: const methods may run at the same time.
class SpriteSource {
 public:
  struct Entry {
    std::string title;        // for messages: the collection and the name in it
    std::string object_name;  // in words; empty: it has none
  };

  virtual ~SpriteSource() = default;

  virtual const SourceInfo& info() const = 0;
  virtual const std::vector<Entry>& entries() const = 0;
  // Other words for an object: (other word, object name).
  virtual const std::vector<std::pair<std::string, std::string>>& aliases() const = 0;
  // Draws an entry, its longer side `side_px` (16 to 2048). index < entries().size().
  // Errors: OUT_OF_RANGE for one that is sound but will not do (empty, too many
  // shapes); anything else for a broken one. They do not name the entry.
  virtual absl::StatusOr<Sprite> Load(size_t index, int side_px) const = 0;
};

// A collection as Iconify packs it: gzip of {"icons": {NAME: {"body": ..}}, "aliases":
// {NAME: {"parent": NAME}}, "width": .., "height": ..}. Icons without words, hidden
// ones and those without a body are left out. Errors name the file.
absl::StatusOr<std::unique_ptr<SpriteSource>> OpenIcons(const std::string& path, SourceInfo info);

// A tree of folders of SVG files; the object name is the file's, as far as `nouns` has
// it. Files of more than 512 KiB, and those whose path in `folder` begins with one of
// `without`, are left out. Errors name the folder.
absl::StatusOr<std::unique_ptr<SpriteSource>> OpenClipart(const std::string& folder,
                                                          const std::set<std::string>& nouns,
                                                          const std::vector<std::string>& without,
                                                          SourceInfo info);

// Gzip of one SVG a line, whose groups are the parts of a person: "body", "jersey",
// "head", "hair", "eye", .. (facesjs). Errors name the file.
absl::StatusOr<std::unique_ptr<SpriteSource>> OpenFaces(const std::string& path, SourceInfo info);

// FOLDER/images/*.webp (or .png) with alpha, and FOLDER/names.json: [{"file": ..,
// "group": ..}]; those without words, and the groups "Flags" and "Symbols", are left
// out. Errors name the file.
absl::StatusOr<std::unique_ptr<SpriteSource>> OpenCutouts(const std::string& folder,
                                                          SourceInfo info);

}  // namespace semsam

#endif  // SEMSAM_MODEL_COOK_SPRITE_SOURCE_H_
