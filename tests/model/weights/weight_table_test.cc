#include "model/weights/weight_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "absl/strings/str_join.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

std::string Printed(float value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

void ExpectEqualsManifest(const ModelConfig& config, const std::string& file) {
  const auto rows = ReadTsv(ParityPath("manifests/" + file));
  const std::vector<WeightSpec> table = WeightTable(config);
  ASSERT_EQ(table.size() + 1, rows.size());
  for (size_t i = 0; i < table.size(); ++i) {
    const WeightSpec& spec = table[i];
    const std::vector<std::string>& row = rows[i + 1];
    ASSERT_EQ(spec.name, row[0]);
    EXPECT_EQ(absl::StrJoin(spec.shape, ","), row[1]) << spec.name;
    EXPECT_EQ(DTypeName(spec.dtype), row[2]) << spec.name;
    EXPECT_EQ(spec.seed_name, row[4]) << spec.name;
    EXPECT_EQ(spec.kind, row[5]) << spec.name;
    EXPECT_EQ(Printed(spec.offset), row[6]) << spec.name;
    EXPECT_EQ(Printed(spec.scale), row[7]) << spec.name;
  }
}

TEST(WeightTable, SwinTEqualsThePublishedStateDictionary) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  ExpectEqualsManifest(SwinT(), "manifest_swin_t.tsv");
}

TEST(WeightTable, SwinLEqualsThePublishedStateDictionary) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  ExpectEqualsManifest(SwinL(), "manifest_swin_l.tsv");
}

TEST(WeightTable, CountsOfThePublishedModels) {
  for (const auto& [config, entries, distinct] :
       {std::tuple{SwinT(), 648u, 538u}, std::tuple{SwinL(), 816u, 706u}}) {
    const std::vector<WeightSpec> table = WeightTable(config);
    std::set<std::string> names;
    std::set<std::string> values;
    for (const WeightSpec& spec : table) {
      names.insert(spec.name);
      values.insert(spec.seed_name);
    }
    EXPECT_EQ(table.size(), entries);
    EXPECT_EQ(names.size(), entries) << "names must differ";
    EXPECT_EQ(values.size(), distinct);
  }
}

TEST(WeightTable, EveryAliasHasACanonicalEntryOfItsShape) {
  const std::vector<WeightSpec> table = WeightTable(SwinTiny());
  for (const WeightSpec& spec : table) {
    if (!spec.is_alias()) continue;
    const auto canonical = std::find_if(table.begin(), table.end(), [&](const WeightSpec& other) {
      return other.name == spec.seed_name;
    });
    ASSERT_NE(canonical, table.end()) << spec.name;
    EXPECT_EQ(canonical->shape, spec.shape) << spec.name;
  }
}

TEST(WeightTable, ExtraLevelsAreStridedConvolutionsOfTheLevelBefore) {
  ModelConfig config = SwinTiny();
  config.pixel_decoder.feature_levels = 5;
  std::vector<int64_t> fourth, fifth;
  for (const WeightSpec& spec : WeightTable(config)) {
    if (spec.name == "sem_seg_head.pixel_decoder.input_proj.3.0.weight") fourth = spec.shape;
    if (spec.name == "sem_seg_head.pixel_decoder.input_proj.4.0.weight") fifth = spec.shape;
  }
  EXPECT_EQ(fourth, (std::vector<int64_t>{64, 128, 3, 3}));
  EXPECT_EQ(fifth, (std::vector<int64_t>{64, 64, 3, 3}));
}

}  // namespace
}  // namespace semsam
