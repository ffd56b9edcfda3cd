#include "model/tools/eval/sample_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/image/run_length_sets.h"
#include "tests/model/tools/eval/eval_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SamplePicturesTest : public testing::EvalTest {
 protected:
  DataSource Ponds(int count) {
    auto source = OpenDataSource(WritePonds(count), {.part = SampleChoice::Part::kAll});
    EXPECT_TRUE(source.ok()) << source.status();
    return source.ok() ? *std::move(source) : DataSource();
  }

  static EvaluationPicture First(SamplePictures& pictures) {
    auto picture = pictures.Next();
    EXPECT_TRUE(picture.ok() && picture->has_value());
    return picture.ok() && picture->has_value() ? **std::move(picture) : EvaluationPicture();
  }

  const LabelWords words_ = {.objects = {"pond", "meadow"}, .parts = {"island"}};
};

TEST_F(SamplePicturesTest, AskForEveryMaskByItsOwnLabel) {
  const DataSource source = Ponds(2);
  SamplePictures pictures(source, words_, {});
  const EvaluationPicture picture = First(pictures);
  EXPECT_EQ(picture.name, "pond100");
  EXPECT_EQ(picture.set, "ponds");
  EXPECT_EQ(picture.image.size, testing::kPondSize);
  ASSERT_EQ(picture.targets.size(), 3);
  EXPECT_THAT(picture.targets[0].object_labels, ElementsAre(1));
  EXPECT_THAT(picture.targets[1].object_labels, ElementsAre(0));
  EXPECT_EQ(picture.targets[1].category, "pond");
  // A part is judged as a part.
  EXPECT_THAT(picture.targets[2].object_labels, IsEmpty());
  EXPECT_THAT(picture.targets[2].part_labels, ElementsAre(0));
  EXPECT_EQ(picture.targets[2].category, "pond: island");
  for (const EvaluationTarget& target : picture.targets) {
    ASSERT_EQ(target.clicks.size(), 2);
    for (const TargetClick& click : target.clicks) {
      EXPECT_TRUE(
          Contains(target.mask, static_cast<int>(click.at.x), static_cast<int>(click.at.y)));
    }
  }
  // The middle of the disc and of the square.
  EXPECT_EQ(picture.targets[1].clicks[0].at, (PicturePoint{20.5, 32.5}));
  EXPECT_EQ(picture.targets[2].clicks[0].at, (PicturePoint{20.5, 32.5}));
  EXPECT_EQ(First(pictures).name, "pond101");
  const auto end = pictures.Next();
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(end->has_value());
}

TEST_F(SamplePicturesTest, DrawRandomClicksBySeedAndName) {
  const DataSource source = Ponds(2);
  const auto clicks = [&](uint64_t seed, bool second) {
    SamplePictures pictures(source, words_, {.clicks = {ClickRule::kRandom}, .seed = seed});
    if (second) First(pictures);
    return First(pictures).targets[0].clicks[0].at;
  };
  EXPECT_EQ(clicks(1, false), clicks(1, false));
  EXPECT_NE(clicks(1, false), clicks(2, false));
  EXPECT_NE(clicks(1, false), clicks(1, true));
}

TEST_F(SamplePicturesTest, LeaveOutWhatIsSmallAndCountUnknownNames) {
  const DataSource source = Ponds(1);
  const LabelWords few = {.objects = {"meadow"}};
  SamplePictures pictures(source, few, {.min_area_px = 100});
  const EvaluationPicture picture = First(pictures);
  ASSERT_EQ(picture.targets.size(), 2);  // without the island of 25 px
  EXPECT_THAT(picture.targets[1].object_labels, IsEmpty());
  EXPECT_EQ(pictures.unknown_names(), 1);  // pond
}

TEST_F(SamplePicturesTest, KeepSamplesForOneTaker) {
  const DataSource source = Ponds(1);
  SamplePictures pictures(source, words_, {.keep_samples = true});
  First(pictures);
  EXPECT_FALSE(pictures.TakeSample("pond999").has_value());
  const auto kept = pictures.TakeSample("pond100");
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->index, 0);
  EXPECT_EQ(kept->sample.annotations.size(), 3);
  EXPECT_FALSE(pictures.TakeSample("pond100").has_value());
}

TEST_F(SamplePicturesTest, KnowWhichBordersAreUnsure) {
  DataSource source;
  source.name = "cars";
  source.dataset = testing::Opened(
      testing::FixtureSpec(DatasetFormat::kLabelMaps, testing::Fixture("label_maps")));
  ASSERT_NE(source.dataset, nullptr);
  source.samples = {0};
  for (const bool unsure : {false, true}) {
    source.unsure_borders = unsure;
    SamplePictures pictures(source, {}, {});
    const EvaluationPicture picture = First(pictures);
    ASSERT_FALSE(picture.targets.empty());
    for (const EvaluationTarget& target : picture.targets) {
      ASSERT_EQ(target.unsure.has_value(), unsure);
      if (unsure) {
        EXPECT_EQ(SharedArea(*target.unsure, target.mask), 0);
      }
    }
  }
}

TEST_F(SamplePicturesTest, NameASampleThatCannotBeReadOrGoOn) {
  const DataSource source = Ponds(3);
  std::filesystem::remove(folder_ / "ponds/pond101.png");
  {
    SamplePictures pictures(source, words_, {});
    First(pictures);
    const auto second = pictures.Next();
    ASSERT_FALSE(second.ok());
    EXPECT_THAT(std::string(second.status().message()),
                ::testing::AllOf(HasSubstr("ponds: pond101"), HasSubstr("pond101.png")));
  }
  SamplePictures pictures(source, words_, {.keep_going = true});
  EXPECT_EQ(First(pictures).name, "pond100");
  EXPECT_EQ(First(pictures).name, "pond102");
  ASSERT_EQ(pictures.failed().size(), 1);
  EXPECT_EQ(pictures.failed()[0].name, "pond101");
  EXPECT_THAT(pictures.failed()[0].error, HasSubstr("pond101.png"));
}

TEST_F(SamplePicturesTest, ReadWordsOfBothForms) {
  testing::WriteText(folder_ / "w.json", R"({"objects": ["cat"], "parts": ["tail", "ear"]})");
  testing::WriteText(folder_ / "w.txt", "cat\r\n\n  polar bear \n");
  const auto from_json = ReadLabelWords(folder_ / "w.json");
  ASSERT_TRUE(from_json.ok()) << from_json.status();
  EXPECT_THAT(from_json->objects, ElementsAre("cat"));
  EXPECT_THAT(from_json->parts, ElementsAre("tail", "ear"));
  const auto from_text = ReadLabelWords(folder_ / "w.txt");
  ASSERT_TRUE(from_text.ok()) << from_text.status();
  EXPECT_THAT(from_text->objects, ElementsAre("cat", "polar bear"));
  testing::WriteText(folder_ / "twice.txt", "cat\ncat\n");
  testing::WriteText(folder_ / "empty.txt", "\n");
  testing::WriteText(folder_ / "broken.json", R"({"objects": ["cat")");
  for (const auto& [name, what] :
       {std::pair{"twice.txt", "\"cat\" occurs twice"}, std::pair{"empty.txt", "holds no word"},
        std::pair{"broken.json", "broken.json"}, std::pair{"none.txt", "none.txt"}}) {
    const auto words = ReadLabelWords(folder_ / name);
    ASSERT_FALSE(words.ok()) << name;
    EXPECT_THAT(std::string(words.status().message()),
                ::testing::AllOf(HasSubstr(name), HasSubstr(what)));
  }
}

}  // namespace
}  // namespace semsam
