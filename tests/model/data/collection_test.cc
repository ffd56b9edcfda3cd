// The free-licence collection as it lies, where it is at hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "model/data/catalog.h"
#include "model/data/dataset.h"
#include "model/data/files.h"
#include "tests/model/data/data_test_util.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;

struct Expected {
  std::string folder;
  size_t samples;
  size_t annotations;  // of all samples; 0: not counted
};

class Collection : public ::testing::TestWithParam<Expected> {
 protected:
  void SetUp() override {
    const std::string folder = JoinPath(SEMSAM_DATA_DIR, GetParam().folder);
    if (!IsFolder(folder)) GTEST_SKIP() << "no " << folder << " (set SEMSAM_DATA_DIR)";
    const auto spec = CollectionSpec(folder);
    ASSERT_TRUE(spec.ok()) << spec.status();
    dataset_ = testing::Opened(*spec);
    ASSERT_NE(dataset_, nullptr);
  }

  std::unique_ptr<Dataset> dataset_;
};

TEST_P(Collection, LoadsAsItLies) {
  EXPECT_EQ(dataset_->size(), GetParam().samples);
  EXPECT_FALSE(dataset_->info().licence.empty());
  std::set<std::string> words(dataset_->info().vocabulary->objects.begin(),
                              dataset_->info().vocabulary->objects.end());
  size_t annotations = 0;
  for (size_t i = 0; i < dataset_->size(); ++i) {
    const Sample sample = testing::Loaded(*dataset_, i);
    if (i > 0) {
      EXPECT_LT(dataset_->name(i - 1), dataset_->name(i));
    }
    annotations += sample.annotations.size();
    EXPECT_FALSE(sample.licence.empty());
    for (const Annotation& annotation : sample.annotations) {
      if (annotation.object_name.empty()) continue;
      EXPECT_TRUE(words.contains(annotation.object_name)) << annotation.object_name;
    }
    if (i % 50 == 0) {
      const auto picture = LoadPicture(sample);
      EXPECT_TRUE(picture.ok()) << picture.status();
    }
  }
  if (GetParam().annotations > 0) {
    EXPECT_EQ(annotations, GetParam().annotations);
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, Collection,
                         ::testing::Values(Expected{"coco", 364, 1667},
                                           Expected{"coco_panoptic", 26, 285},
                                           Expected{"facades", 539, 17340},
                                           Expected{"pets", 623, 0}, Expected{"cats", 896, 3695},
                                           Expected{"cars", 87, 0}, Expected{"people", 904, 0},
                                           Expected{"garments", 623, 623}),
                         [](const auto& info) { return info.param.folder; });

}  // namespace
}  // namespace semsam
