// Which masks a picture shows, and in what colours.
#include "client/cli/panels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace semsam::client {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// Everything: two masks, of which the first is a cat if there is a word.
SegmentReport EverythingReport(const std::vector<std::string>& objects) {
  SegmentReport report{.task = Task::kEverything};
  report.masks.resize(2);
  report.parents = {-1, 0};
  if (!objects.empty()) {
    report.legend = Legend::Of({{.name = kObjectsList, .words = objects}});
    report.masks[0].mask.object_labels = {{.score = 0.83f, .word_index = 0}};
  }
  return report;
}

std::vector<Rgb> Colours(const Panel& panel) {
  std::vector<Rgb> colours;
  for (const PaintedMask& mask : panel.masks) colours.push_back(mask.colour);
  return colours;
}

TEST(PanelsTest, EverythingWithoutWordsTellsMasksApartByColour) {
  const SegmentReport report = EverythingReport({});
  const OverlayRequest overlay = MakeOverlay(report, {}, "");
  ASSERT_THAT(overlay.panels, SizeIs(1));
  EXPECT_THAT(Colours(overlay.panels[0]), ElementsAre(NumberedColour(0), NumberedColour(1)));
}

TEST(PanelsTest, EverythingWithWordsGivesTheColourOfAWordToNoOtherMask) {
  const SegmentReport report = EverythingReport({"cat"});
  const OverlayRequest overlay = MakeOverlay(report, {}, "");
  ASSERT_THAT(overlay.panels, SizeIs(1));
  EXPECT_THAT(Colours(overlay.panels[0]),
              ElementsAre(report.legend.Find(kObjectsList, 0)->colour, kUnnamedColour));
  EXPECT_EQ(overlay.panels[0].masks[0].tag, "cat 0.83");
  EXPECT_EQ(overlay.panels[0].masks[1].tag, "");
}

TEST(PanelsTest, NoWordEverHasTheColourOfMasksWithoutOne) {
  std::vector<std::string> words;
  for (size_t i = 0; i < kWordColours; ++i) words.push_back(std::string(i + 1, 'a'));
  const Legend legend = Legend::Of({{.name = kObjectsList, .words = words}});
  for (const Legend::Entry& entry : legend.entries()) EXPECT_FALSE(entry.colour == kUnnamedColour);
}

}  // namespace
}  // namespace semsam::client
