#include "model/tools/eval/data_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/tools/eval/eval_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr SampleChoice kAll = {.part = SampleChoice::Part::kAll};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(DataSource, SplitsAListAtTheBeginningOfASpec) {
  EXPECT_THAT(SplitDataSpecs("coco:images=a,annotations=b.json,folder:images=c,/data/pets"),
              ElementsAre("coco:images=a,annotations=b.json", "folder:images=c", "/data/pets"));
  EXPECT_THAT(SplitDataSpecs("pets,scenes:count=3,seed=4,collection:images=x,name=y"),
              ElementsAre("pets", "scenes:count=3,seed=4", "collection:images=x,name=y"));
  EXPECT_THAT(SplitDataSpecs(",,"), IsEmpty());
}

TEST(DataSource, ChoosesSamplesByTheHeldOutRule) {
  const auto chosen = [](SampleChoice choice) {
    const auto source = OpenDataSource("scenes:count=40,side=32", choice);
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? source->samples : std::vector<size_t>();
  };
  using Part = SampleChoice::Part;
  EXPECT_THAT(chosen({}), ElementsAre(9, 19, 29, 39));
  EXPECT_THAT(chosen({.part = Part::kTrain}), SizeIs(36));
  EXPECT_THAT(chosen({.part = Part::kAll}), SizeIs(40));
  EXPECT_THAT(chosen({.held_out_every = 20}), ElementsAre(19, 39));
  EXPECT_THAT(chosen({.limit = 2}), ElementsAre(9, 29));
}

TEST(DataSource, KnowsWhatIsStuffAndWhatIsPanoptic) {
  const std::string folder = testing::Fixture("coco_panoptic");
  const auto source =
      OpenDataSource("coco-panoptic:annotations=" + folder + "/panoptic.json,labels=" + folder +
                         "/panoptic,images=" + folder + "/images,name=p",
                     kAll);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_EQ(source->name, "p");
  EXPECT_TRUE(source->panoptic);
  EXPECT_FALSE(source->unsure_borders);
  EXPECT_FALSE(source->stuff.empty());
  for (const std::string& name : source->stuff) {
    EXPECT_THAT(source->vocabulary.objects, ::testing::Contains(name));
  }
  EXPECT_LT(source->stuff.size(), source->vocabulary.objects.size());
}

TEST(DataSource, UnitesTheVocabulariesOfAFolder) {
  const testing::ScratchFolder folder;
  folder.CopyFixture("folder");
  testing::WriteText(folder / "more.vocabulary.json",
                     R"({"objects": ["garden gnome"], "parts": ["beard"]})");
  const auto source = OpenDataSource(folder.path(), kAll);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(source->vocabulary.objects, ::testing::Contains("garden gnome"));
  EXPECT_GT(source->vocabulary.objects.size(), 1);
  EXPECT_THAT(source->vocabulary.parts, ::testing::Contains("beard"));
}

TEST(DataSource, TakesACollectionForAllOfItsSets) {
  const testing::ScratchFolder folder;
  for (const char* set : {"pets", "cats"}) {
    testing::WriteText(folder / (std::string(set) + "/images/readme"), "");
    for (const char* name : {"/labels/b.png", "/labels/a.png"}) {
      testing::WriteText(folder / (std::string(set) + name), "not read yet");
    }
  }
  const auto sources = OpenDataSources(folder.path(), kAll);
  ASSERT_TRUE(sources.ok()) << sources.status();
  ASSERT_EQ(sources->size(), 2);
  EXPECT_EQ((*sources)[0].name, "pets");
  EXPECT_TRUE((*sources)[0].unsure_borders);
  EXPECT_EQ((*sources)[1].name, "cats");
  EXPECT_FALSE((*sources)[1].unsure_borders);
  EXPECT_EQ((*sources)[1].dataset->name(0), "a");
}

TEST(DataSource, NamesWhatCannotBeOpened) {
  const auto error = [](const std::string& spec) {
    return Message(OpenDataSources(spec, kAll).status());
  };
  EXPECT_THAT(error("nowhere/at/all"), HasSubstr("nowhere/at/all: no folder, and no format"));
  EXPECT_THAT(error("scenes:cuont=3"), HasSubstr("unknown key \"cuont\""));
  EXPECT_THAT(error("scenes:count=no"), HasSubstr("count: must be a whole number"));
  EXPECT_THAT(error("coco:annotations=none.json,images=x"), HasSubstr("none.json"));
  EXPECT_THAT(error(""), HasSubstr("no data set is named"));
  EXPECT_THAT(error("scenes:count=2,scenes:count=3"), HasSubstr("another source is called"));
  EXPECT_THAT(Message(OpenDataSources("scenes:count=5", {}).status()),
              HasSubstr("none of its 5 samples is in the part asked for"));
}

}  // namespace
}  // namespace semsam
