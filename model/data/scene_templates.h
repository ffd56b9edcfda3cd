// What generated scenes are made of: objects as nested, named shapes.
#ifndef SEMSAM_MODEL_DATA_SCENE_TEMPLATES_H_
#define SEMSAM_MODEL_DATA_SCENE_TEMPLATES_H_

#include <span>
#include <string_view>

namespace semsam {

enum class ShapeKind { kBox, kEllipse, kTriangle };

// One shape in the unit square of its object, y downwards, painted over those before
// it. The first of a template may be a child of the object alone (-1); a shape with
// children is itself their ground.
struct ShapeSpec {
  std::string_view name;  // of the part
  int parent = -1;        // index in the template
  ShapeKind kind = ShapeKind::kBox;
  float x0 = 0, y0 = 0, x1 = 1, y1 = 1;
};

struct ObjectTemplate {
  std::string_view name;
  std::string_view group_name;  // of several in a row
  float aspect = 1;             // width / height
  std::span<const ShapeSpec> shapes;
};

std::span<const ObjectTemplate> ObjectTemplates();

}  // namespace semsam

#endif  // SEMSAM_MODEL_DATA_SCENE_TEMPLATES_H_
