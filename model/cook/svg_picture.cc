#include "model/cook/svg_picture.h"

#include <cairo.h>
#include <librsvg/rsvg.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <pugixml.hpp>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/image/run_lengths.h"

namespace semsam {
namespace {

struct Unref {
  void operator()(RsvgHandle* handle) const { g_object_unref(handle); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
  void operator()(GError* error) const { g_error_free(error); }
};
using Handle = std::unique_ptr<RsvgHandle, Unref>;
using Surface = std::unique_ptr<cairo_surface_t, Unref>;
using Context = std::unique_ptr<cairo_t, Unref>;
using Error = std::unique_ptr<GError, Unref>;

constexpr std::array<std::string_view, 10> kShapeTags = {
    "path", "rect", "circle", "ellipse", "line", "polygon", "polyline", "text", "use", "image"};
constexpr std::array<std::string_view, 4> kGroupTags = {"g", "svg", "a", "switch"};

// "svg:path" -> "path".
std::string_view LocalName(const char* name) {
  const std::string_view full(name);
  const size_t colon = full.find(':');
  return colon == std::string_view::npos ? full : full.substr(colon + 1);
}

template <size_t N>
bool IsOneOf(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The tree of an SVG, every shape of which can be asked for by an id of its own.
class Outline {
 public:
  struct Shape {
    std::string id;
    int group = -1;
  };

  static absl::StatusOr<Outline> Parse(std::string_view text, const SvgLimits& limits) {
    Outline outline(limits);
    const pugi::xml_parse_result parsed = outline.document_.load_buffer(
        text.data(), text.size(), pugi::parse_full & ~pugi::parse_doctype);
    if (!parsed) {
      return absl::InvalidArgumentError(
          absl::StrCat("byte ", parsed.offset, ": ", parsed.description()));
    }
    const pugi::xml_node root = outline.document_.document_element();
    if (LocalName(root.name()) != "svg") return absl::InvalidArgumentError("it is no SVG");
    SEMSAM_RETURN_IF_ERROR(outline.Walk(root, /*group=*/-1, /*depth=*/0, text));
    return outline;
  }

  const std::vector<SvgGroup>& groups() const { return groups_; }
  const std::vector<Shape>& shapes() const { return shapes_; }

  std::string Text() const {
    std::ostringstream text;
    document_.save(text, "", pugi::format_raw);
    return std::move(text).str();
  }

 private:
  explicit Outline(const SvgLimits& limits) : limits_(limits) {}

  absl::Status Walk(pugi::xml_node parent, int group, int depth, std::string_view text) {
    if (depth > limits_.max_depth) return absl::OutOfRangeError("groups are nested too deep");
    for (pugi::xml_node node : parent.children()) {
      const std::string_view tag = LocalName(node.name());
      if (IsOneOf(tag, kGroupTags)) {
        groups_.push_back({.parent = group, .id = node.attribute("id").value()});
        SEMSAM_RETURN_IF_ERROR(Walk(node, static_cast<int>(groups_.size()) - 1, depth + 1, text));
      } else if (IsOneOf(tag, kShapeTags)) {
        if (static_cast<int>(shapes_.size()) == limits_.max_shapes) {
          return absl::OutOfRangeError(absl::StrCat("more than ", limits_.max_shapes, " shapes"));
        }
        shapes_.push_back({.id = GiveId(node, text), .group = group});
      }
    }
    return absl::OkStatus();
  }

  // An id that another element refers to stays.
  std::string GiveId(pugi::xml_node node, std::string_view text) {
    const std::string old = node.attribute("id").value();
    if (!old.empty() && text.find(absl::StrCat("#", old)) != std::string_view::npos) return old;
    std::string id = absl::StrCat("semsam-shape-", shapes_.size());
    node.remove_attribute("id");
    node.append_attribute("id").set_value(id.c_str());
    return id;
  }

  SvgLimits limits_;
  pugi::xml_document document_;
  std::vector<SvgGroup> groups_;
  std::vector<Shape> shapes_;
};

absl::Status RenderError(const char* what, GError* raw) {
  const Error error(raw);
  return absl::InvalidArgumentError(absl::StrCat(
      what, ": ", absl::StripAsciiWhitespace(error == nullptr ? "it fails" : error->message)));
}

constexpr int kProbePx = 128;  // longer side of the drawing that is measured

// One parsed drawing and a canvas that its ink fills.
class Renderer {
 public:
  static absl::StatusOr<Renderer> Open(const std::string& text, int side_px) {
    Renderer renderer;
    GError* error = nullptr;
    renderer.handle_.reset(rsvg_handle_new_from_data(reinterpret_cast<const guint8*>(text.data()),
                                                     text.size(), &error));
    if (renderer.handle_ == nullptr) return RenderError("it cannot be read", error);
    SEMSAM_RETURN_IF_ERROR(renderer.MeasurePage());
    SEMSAM_RETURN_IF_ERROR(renderer.FitInk(side_px));
    return renderer;
  }

  // Draws all, or one element. Premultiplied ARGB, native-endian words.
  absl::Status Draw(const char* id) {
    cairo_t* context = context_.get();
    cairo_save(context);
    cairo_set_operator(context, CAIRO_OPERATOR_CLEAR);
    cairo_paint(context);
    cairo_restore(context);
    cairo_save(context);
    cairo_scale(context, scale_, scale_);
    cairo_translate(context, -ink_.x, -ink_.y);
    GError* error = nullptr;
    const gboolean drawn =
        id == nullptr ? rsvg_handle_render_document(handle_.get(), context, &page_, &error)
                      : rsvg_handle_render_layer(handle_.get(), context, id, &page_, &error);
    cairo_restore(context);
    cairo_surface_flush(surface_.get());
    if (drawn == 0) return RenderError("it cannot be drawn", error);
    if (cairo_status(context) != CAIRO_STATUS_SUCCESS) {
      return absl::InvalidArgumentError(
          absl::StrCat("it cannot be drawn: ", cairo_status_to_string(cairo_status(context))));
    }
    return absl::OkStatus();
  }

  ImageSize size() const { return size_; }
  const uint32_t* row(int y) const {
    return reinterpret_cast<const uint32_t*>(cairo_image_surface_get_data(surface_.get()) +
                                             static_cast<ptrdiff_t>(y) *
                                                 cairo_image_surface_get_stride(surface_.get()));
  }

 private:
  absl::Status MeasurePage() {
    page_ = {};
    if (rsvg_handle_get_intrinsic_size_in_pixels(handle_.get(), &page_.width, &page_.height) == 0) {
      gboolean has_box = 0;
      RsvgRectangle box = {};
      rsvg_handle_get_intrinsic_dimensions(handle_.get(), nullptr, nullptr, nullptr, nullptr,
                                           &has_box, &box);
      if (has_box != 0) page_ = {.x = 0, .y = 0, .width = box.width, .height = box.height};
    }
    for (const double side : {page_.width, page_.height}) {
      if (!(side >= 1e-3) || !(side <= 1e6))
        return absl::OutOfRangeError("it states no usable size");
    }
    return absl::OkStatus();
  }

  // The canvas that shows `left`..`bottom` of the page.
  absl::Status MakeCanvas(double left, double top, double right, double bottom, int side_px) {
    // Not a number fails too.
    if (!(right > left) || !(bottom > top)) return absl::OutOfRangeError("it has no ink");
    scale_ = side_px / std::max(right - left, bottom - top);
    ink_ = {.x = left, .y = top, .width = right - left, .height = bottom - top};
    size_ = {.height = std::max(1, static_cast<int>(std::ceil(ink_.height * scale_ - 1e-6))),
             .width = std::max(1, static_cast<int>(std::ceil(ink_.width * scale_ - 1e-6)))};
    surface_.reset(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, size_.width, size_.height));
    context_.reset(cairo_create(surface_.get()));
    if (cairo_status(context_.get()) != CAIRO_STATUS_SUCCESS) {
      return absl::ResourceExhaustedError("no memory for the canvas");
    }
    return absl::OkStatus();
  }

  // What the library measures is exact for what is filled, but too large where a shape
  // is stroked alone or clipped (librsvg 2.54): there a small drawing tells.
  absl::Status FitInk(int side_px) {
    RsvgRectangle ink = {};
    GError* error = nullptr;
    if (rsvg_handle_get_geometry_for_layer(handle_.get(), nullptr, &page_, &ink, nullptr, &error) ==
        0) {
      return RenderError("it cannot be measured", error);
    }
    double left = std::max(ink.x, 0.0), right = std::min(ink.x + ink.width, page_.width);
    double top = std::max(ink.y, 0.0), bottom = std::min(ink.y + ink.height, page_.height);
    SEMSAM_RETURN_IF_ERROR(MakeCanvas(left, top, right, bottom, kProbePx));
    SEMSAM_RETURN_IF_ERROR(Draw(nullptr));
    const PixelBox seen = BoundingBox(InkMask());
    if (seen.width == 0) return absl::OutOfRangeError("it has no ink");
    constexpr int kSlack = 2;  // probe pixels that may be empty at an edge
    const double x = left, y = top;
    if (seen.x > kSlack) left = x + (seen.x - 1) / scale_;
    if (seen.y > kSlack) top = y + (seen.y - 1) / scale_;
    const int end_x = seen.x + seen.width, end_y = seen.y + seen.height;
    if (end_x < size_.width - kSlack) right = x + (end_x + 1) / scale_;
    if (end_y < size_.height - kSlack) bottom = y + (end_y + 1) / scale_;
    SEMSAM_RETURN_IF_ERROR(MakeCanvas(left, top, right, bottom, side_px));
    if (std::min(size_.height, size_.width) < 8) return absl::OutOfRangeError("it is a line");
    return absl::OkStatus();
  }

  // Pixels of the canvas that are not wholly empty.
  RunLengths InkMask() const {
    BinaryMask mask{.size = size_};
    for (int y = 0; y < size_.height; ++y) {
      for (int x = 0; x < size_.width; ++x) mask.pixels.push_back((row(y)[x] >> 24) > 8 ? 1 : 0);
    }
    return EncodeRunLengths(mask);
  }

  Handle handle_;
  RsvgRectangle page_ = {};  // of the document, in its own pixels
  RsvgRectangle ink_ = {};   // likewise
  double scale_ = 1;         // canvas pixels a pixel of the document
  ImageSize size_;
  Surface surface_;
  Context context_;
};

Rgba8Image ToRgba(const Renderer& renderer) {
  Rgba8Image image{.size = renderer.size()};
  image.pixels.reserve(static_cast<size_t>(image.size.area()) * 4);
  for (int y = 0; y < image.size.height; ++y) {
    const uint32_t* row = renderer.row(y);
    for (int x = 0; x < image.size.width; ++x) {
      const uint32_t alpha = row[x] >> 24;
      for (const int shift : {16, 8, 0}) {
        const uint32_t value = (row[x] >> shift) & 255;
        image.pixels.push_back(static_cast<uint8_t>(
            alpha == 0 ? 0 : std::min<uint32_t>(255, (value * 255 + alpha / 2) / alpha)));
      }
      image.pixels.push_back(static_cast<uint8_t>(alpha));
    }
  }
  return image;
}

// Of the canvas as it stands; nothing for what does not count as a shape.
std::optional<SvgShape> ShapeOn(const Renderer& renderer) {
  constexpr uint32_t kVisible = 48;       // of 255: fainter cannot be seen
  constexpr uint32_t kOpaqueShape = 128;  // likewise
  constexpr double kMaxFadedShare = 0.4;  // of the area, else it is shading
  uint32_t strongest = 0;
  for (int y = 0; y < renderer.size().height; ++y) {
    const uint32_t* row = renderer.row(y);
    for (int x = 0; x < renderer.size().width; ++x) strongest = std::max(strongest, row[x] >> 24);
  }
  if (strongest < kVisible) return std::nullopt;
  BinaryMask mask{.size = renderer.size()};
  mask.pixels.reserve(static_cast<size_t>(mask.size.area()));
  int64_t touched = 0, faded = 0;
  for (int y = 0; y < mask.size.height; ++y) {
    const uint32_t* row = renderer.row(y);
    for (int x = 0; x < mask.size.width; ++x) {
      const uint32_t alpha = row[x] >> 24;
      touched += alpha * 8 > strongest ? 1 : 0;
      faded += alpha * 8 > strongest && alpha * 8 < strongest * 7 ? 1 : 0;
      mask.pixels.push_back(alpha * 2 >= strongest ? 1 : 0);
    }
  }
  if (static_cast<double>(faded) > kMaxFadedShare * static_cast<double>(touched)) {
    return std::nullopt;
  }
  return SvgShape{.silhouette = EncodeRunLengths(mask), .opaque = strongest >= kOpaqueShape};
}

}  // namespace

absl::Status Validate(const SvgLimits& limits) {
  if (limits.max_bytes < 1 || limits.max_bytes > int64_t{64} << 20) {
    return InvalidField("max_bytes", "must be between 1 and 2^26");
  }
  if (limits.max_shapes < 1 || limits.max_shapes > 10000) {
    return InvalidField("max_shapes", "must be between 1 and 10000");
  }
  if (limits.max_depth < 1 || limits.max_depth > 256) {
    return InvalidField("max_depth", "must be between 1 and 256");
  }
  return absl::OkStatus();
}

absl::StatusOr<SvgDrawing> DrawSvg(std::string_view text, int side_px, const SvgLimits& limits) {
  SEMSAM_RETURN_IF_ERROR(Validate(limits));
  if (side_px < 16 || side_px > 2048) return InvalidField("side_px", "must be between 16 and 2048");
  if (static_cast<int64_t>(text.size()) > limits.max_bytes) {
    return absl::OutOfRangeError(absl::StrCat("more than ", limits.max_bytes, " bytes"));
  }
  SEMSAM_ASSIGN_OR_RETURN(const Outline outline, Outline::Parse(text, limits));
  SEMSAM_ASSIGN_OR_RETURN(Renderer renderer, Renderer::Open(outline.Text(), side_px));
  SEMSAM_RETURN_IF_ERROR(renderer.Draw(nullptr));
  SvgDrawing drawing{.image = ToRgba(renderer), .groups = outline.groups()};
  for (const Outline::Shape& shape : outline.shapes()) {
    SEMSAM_RETURN_IF_ERROR(renderer.Draw(absl::StrCat("#", shape.id).c_str()));
    std::optional<SvgShape> drawn = ShapeOn(renderer);
    if (!drawn.has_value()) continue;
    drawn->group = shape.group;
    drawing.shapes.push_back(*std::move(drawn));
  }
  if (drawing.shapes.empty()) return absl::OutOfRangeError("it has no ink");
  return drawing;
}

}  // namespace semsam
