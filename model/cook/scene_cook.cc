#include "model/cook/scene_cook.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/cook/compose.h"

namespace semsam {
namespace {

constexpr int kTries = 30;  // to find a sprite that can be drawn, or a free place

struct Rect {
  int x = 0, y = 0, width = 0, height = 0;

  int bottom() const { return y + height; }
};

// Share of the smaller rectangle that both hold.
double Overlap(const Rect& a, const Rect& b) {
  const int width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const int height = std::min(a.bottom(), b.bottom()) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  return static_cast<double>(width) * height /
         std::min(static_cast<double>(a.width) * a.height, static_cast<double>(b.width) * b.height);
}

// A sprite, or a row of its like, with its place.
struct Cluster {
  std::vector<PlacedSprite> sprites;  // from left to right, the first at (0, 0)
  Rect rect;
};

class SceneCook {
 public:
  SceneCook(const SpriteShelf& shelf, const Photographs& photographs,
            const SceneCookOptions& options, LeftOut& left_out, Random& random)
      : shelf_(shelf),
        photographs_(photographs),
        options_(options),
        left_out_(left_out),
        random_(random) {}

  absl::StatusOr<LoadedSample> Run() {
    DrawCanvas();
    if (random_.Chance(options_.alone_chance)) {
      SEMSAM_RETURN_IF_ERROR(PlaceOneAlone());
      return Finish(options_.photograph_chance / 4);
    }
    SEMSAM_RETURN_IF_ERROR(PlaceSeveral());
    return Finish(options_.photograph_chance);
  }

 private:
  void DrawCanvas() {
    const int longer = static_cast<int>(options_.short_side_px * random_.Uniform(1, 1.4));
    canvas_ = {.height = options_.short_side_px, .width = longer};
    if (random_.Chance(0.4)) std::swap(canvas_.height, canvas_.width);
  }

  absl::StatusOr<std::shared_ptr<const Sprite>> DrawSprite(double min_share, double max_share) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const SpriteShelf::Ref ref = shelf_.Draw(random_);
      const double share = random_.Uniform(min_share, max_share);
      const int side = std::max(16, static_cast<int>(options_.short_side_px * share));
      absl::StatusOr<Sprite> sprite = ref.source->Load(ref.index, side);
      if (sprite.ok()) {
        licences_.insert(ref.source->info().licence);
        sources_.insert(ref.source->info().source);
        return std::make_shared<const Sprite>(*std::move(sprite));
      }
      SEMSAM_RETURN_IF_ERROR(left_out_.Add(ref.entry().title, sprite.status()));
    }
    return absl::FailedPreconditionError(
        absl::StrCat(kTries, " sprites one after the other cannot be drawn, the last from ",
                     shelf_.sources().back()->info().name));
  }

  // Anywhere, by up to `outside` of its size beyond the edges.
  int RandomPlace(int room, int size, double outside) {
    const double low = -outside * size, high = room - (1 - outside) * size;
    if (high <= low) return static_cast<int>(std::lround((room - size) / 2.0));
    return static_cast<int>(std::lround(random_.Uniform(low, high)));
  }

  absl::Status PlaceOneAlone() {
    SEMSAM_ASSIGN_OR_RETURN(std::shared_ptr<const Sprite> sprite, DrawSprite(0.5, 1));
    const ImageSize size = sprite->image.size;
    const int x = RandomPlace(canvas_.width, size.width, 0);
    const int y = RandomPlace(canvas_.height, size.height, 0);
    placed_.push_back({.sprite = std::move(sprite), .x = x, .y = y});
    return absl::OkStatus();
  }

  absl::StatusOr<Cluster> DrawCluster(double max_share) {
    const bool row = random_.Chance(options_.row_chance);
    SEMSAM_ASSIGN_OR_RETURN(const std::shared_ptr<const Sprite> sprite,
                            DrawSprite(0.25, row ? 0.6 * max_share : max_share));
    const ImageSize size = sprite->image.size;
    Cluster cluster{.rect = {.width = size.width, .height = size.height}};
    const int count = row ? 2 + static_cast<int>(random_.Below(3)) : 1;
    if (row) ++rows_;
    for (int i = 0; i < count; ++i) {
      cluster.sprites.push_back(
          {.sprite = sprite, .x = cluster.rect.width - size.width, .row = row ? rows_ : -1});
      if (i + 1 < count) {
        cluster.rect.width += static_cast<int>(size.width * random_.Uniform(0.75, 1.1));
      }
    }
    return cluster;
  }

  absl::Status PlaceSeveral() {
    const int count =
        options_.min_sprites +
        static_cast<int>(random_.Below(options_.max_sprites - options_.min_sprites + 1));
    const double max_share = count <= 3 ? 0.7 : 0.5;
    std::vector<Cluster> clusters;
    for (int i = 0; i < count; ++i) {
      SEMSAM_ASSIGN_OR_RETURN(Cluster cluster, DrawCluster(max_share));
      // A place with little overlap where there is one; the last tried else.
      for (int attempt = 0; attempt < kTries; ++attempt) {
        cluster.rect.x = RandomPlace(canvas_.width, cluster.rect.width, 0.15);
        cluster.rect.y = RandomPlace(canvas_.height, cluster.rect.height, 0.15);
        const bool free = std::all_of(clusters.begin(), clusters.end(), [&](const Cluster& other) {
          return Overlap(cluster.rect, other.rect) < 0.35;
        });
        if (free) break;
      }
      clusters.push_back(std::move(cluster));
    }
    // What stands lower is nearer.
    std::stable_sort(clusters.begin(), clusters.end(), [](const Cluster& a, const Cluster& b) {
      return a.rect.bottom() < b.rect.bottom();
    });
    for (Cluster& cluster : clusters) {
      for (PlacedSprite& sprite : cluster.sprites) {
        sprite.x += cluster.rect.x;
        sprite.y += cluster.rect.y;
        placed_.push_back(std::move(sprite));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<LoadedSample> Finish(double photograph_chance) {
    const bool photograph = photographs_.size() > 0 && random_.Chance(photograph_chance);
    Backdrop backdrop =
        photograph ? photographs_.Draw(canvas_, random_) : PaintedBackdrop(canvas_, random_);
    if (photograph) {
      licences_.insert(absl::StrCat("background: ", backdrop.licence));
      sources_.insert(absl::StrCat("background: ", backdrop.source));
    }
    SEMSAM_ASSIGN_OR_RETURN(LoadedSample loaded, Compose(std::move(backdrop), placed_));
    loaded.sample.licence = absl::StrJoin(licences_, "; ");
    loaded.sample.source = absl::StrJoin(sources_, "; ");
    return loaded;
  }

  const SpriteShelf& shelf_;
  const Photographs& photographs_;
  const SceneCookOptions& options_;
  LeftOut& left_out_;
  Random& random_;
  ImageSize canvas_;
  std::vector<PlacedSprite> placed_;
  std::set<std::string> licences_, sources_;
  int rows_ = 0;
};

}  // namespace

void SpriteShelf::Add(Ref ref) {
  const SpriteSource::Entry& entry = ref.entry();
  // A title has a '/', a name has none.
  const std::string& key = entry.object_name.empty() ? entry.title : entry.object_name;
  const auto [found, fresh] = place_of_.emplace(key, refs_.size());
  if (fresh) refs_.emplace_back();
  refs_[found->second].push_back(ref);
  if (std::find(sources_.begin(), sources_.end(), ref.source) == sources_.end()) {
    sources_.push_back(ref.source);
  }
  ++count_;
}

std::vector<std::string> SpriteShelf::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : place_of_) {
    if (!refs_[place][0].entry().object_name.empty()) names.push_back(name);
  }
  return names;
}

SpriteShelf::Ref SpriteShelf::Draw(Random& random) const {
  const std::vector<Ref>& like = refs_[random.Below(refs_.size())];
  return like[random.Below(like.size())];
}

absl::Status LeftOut::Add(const std::string& title, const absl::Status& status) {
  const std::string reason(status.message());
  MutexLock lock(mutex_);
  if (status.code() == absl::StatusCode::kOutOfRange) {
    unsuitable_.emplace(title, reason);
    return absl::OkStatus();
  }
  broken_.emplace(title, reason);
  if (broken_.size() <= max_broken_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "more than ", max_broken_, " sprites are broken, the last ", title, ": ", reason));
}

std::map<std::string, std::string> LeftOut::broken() const {
  MutexLock lock(mutex_);
  return broken_;
}

size_t LeftOut::unsuitable() const {
  MutexLock lock(mutex_);
  return unsuitable_.size();
}

absl::Status Validate(const SceneCookOptions& options) {
  if (options.short_side_px < 64 || options.short_side_px > 1024) {
    return InvalidField("short_side_px", "must be between 64 and 1024");
  }
  for (const double chance :
       {options.alone_chance, options.photograph_chance, options.row_chance}) {
    if (!(chance >= 0) || !(chance <= 1)) {
      return InvalidField("alone_chance", "chances must be between 0 and 1");
    }
  }
  if (options.min_sprites < 1 || options.max_sprites < options.min_sprites ||
      options.max_sprites > 32) {
    return InvalidField("max_sprites", "must be between min_sprites, at least 1, and 32");
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadedSample> CookScene(const SpriteShelf& shelf, const Photographs& photographs,
                                       const SceneCookOptions& options, LeftOut& left_out,
                                       Random& random) {
  SEMSAM_RETURN_IF_ERROR(Validate(options));
  if (shelf.empty()) return absl::FailedPreconditionError("there are no sprites to choose from");
  return SceneCook(shelf, photographs, options, left_out, random).Run();
}

}  // namespace semsam
