// MATLAB's MAT-files, level 5, as far as annotation sets use them: structures,
// cells, text and real numbers, compressed or not, little-endian. Sources are not
// trusted.
#ifndef SEMSAM_MODEL_DATA_MAT_FILE_H_
#define SEMSAM_MODEL_DATA_MAT_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace semsam {

inline constexpr int64_t kMaxMatBytes = int64_t{256} << 20;  // inflated, a file

// One array. Views into the MatFile that it comes from.
struct MatArray {
  enum class Kind { kNumbers, kText, kStruct, kCell };

  Kind kind = Kind::kNumbers;
  std::string name;            // of a variable; else empty
  std::vector<int64_t> shape;  // at least two; the first runs fastest

  // kNumbers, kText: the stored elements.
  std::string_view data;
  int storage = 0;  // type code of the file

  // kStruct: names; kCell: none. `elements` holds the fields of the first element,
  // then those of the second; or the cells.
  std::vector<std::string> fields;
  std::vector<MatArray> elements;

  int64_t size() const;  // elements
  // Element `index` of kNumbers, index < size().
  double number(int64_t index) const;
  // kText of Latin letters; empty for any other kind.
  std::string text() const;
  // Field of element `index` of a structure; nullptr where there is none.
  const MatArray* field(int64_t index, std::string_view name) const;
};

// Immutable; thread-safe.
class MatFile {
 public:
  // Errors: INVALID_ARGUMENT for what is no such file, is cut short, states a size
  // that it does not have, nests more than 16 deep, or inflates beyond kMaxMatBytes.
  static absl::StatusOr<MatFile> Parse(std::string bytes);

  // nullptr where there is no such variable.
  const MatArray* variable(std::string_view name) const;

 private:
  MatFile() = default;

  // Their contents stay where they are when the file is moved.
  std::vector<std::vector<char>> buffers_;
  std::vector<MatArray> variables_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_MAT_FILE_H_
