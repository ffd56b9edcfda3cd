#include "model/weights/weight_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "model/weights/manifest.h"
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

struct VocabularyManifest {
  ModelConfig config;
  std::vector<std::string> files;  // later ones hold differences
};

// Row by row, but for the kinds: those manifests name a few of them otherwise.
// Learned queries stand at the end there, behind the plain model.
void ExpectEqualsVocabularyManifest(const VocabularyManifest& expected) {
  std::vector<std::string> paths;
  for (const std::string& file : expected.files) paths.push_back(ParityPath("vocab/" + file));
  auto rows = ReadManifests(paths);
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::erase_if(*rows, [](const WeightSpec& row) { return row.name.starts_with("criterion"); });
  const std::vector<WeightSpec> table = WeightTable(expected.config);
  std::map<std::string, const WeightSpec*> row_of;
  for (const WeightSpec& row : *rows) row_of.emplace(row.name, &row);
  ASSERT_EQ(table.size(), rows->size());
  for (size_t i = 0; i < table.size(); ++i) {
    const WeightSpec& spec = table[i];
    if (expected.files.size() == 1) {
      ASSERT_EQ(spec.name, (*rows)[i].name);
    }
    ASSERT_EQ(row_of.count(spec.name), 1u) << spec.name;
    const WeightSpec& row = *row_of.at(spec.name);
    EXPECT_EQ(spec.shape, row.shape) << spec.name;
    EXPECT_EQ(spec.dtype, row.dtype) << spec.name;
    EXPECT_EQ(spec.seed_name, row.seed_name) << spec.name;
    EXPECT_EQ(Printed(spec.offset), Printed(row.offset)) << spec.name;
    EXPECT_EQ(Printed(spec.scale), Printed(row.scale)) << spec.name;
  }
}

ModelConfig Decoupled(int context, int backbone_levels) {
  ModelConfig config = OpenSeedSwinT();
  config.text->context = context;
  config.vocabulary->learned_queries = 100;
  config.pixel_decoder.backbone_levels = backbone_levels;
  config.pixel_decoder.feature_levels = backbone_levels + 1;
  return config;
}

TEST(WeightTable, OpenSeedEqualsThePublishedStateDictionary) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  ExpectEqualsVocabularyManifest({OpenSeedSwinT(), {"manifest_vocab_swin_t.tsv"}});
}

TEST(WeightTable, DecoupledOpenSeedEqualsThePublishedStateDictionary) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  ExpectEqualsVocabularyManifest(
      {Decoupled(77, 3), {"manifest_vocab_swin_t.tsv", "manifest_vocab_swin_t_decouple_diff.tsv"}});
}

TEST(WeightTable, FiveLevelOpenSeedEqualsThePublishedStateDictionary) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  ExpectEqualsVocabularyManifest(
      {Decoupled(18, 4),
       {"manifest_vocab_swin_t.tsv", "manifest_vocab_swin_t_decouple_5level_diff.tsv"}});
}

// The manifest of OpenSeeD Swin-L is not at hand; its number of keys is known.
TEST(WeightTable, CountsOfTheDecoupledSwinL) {
  ModelConfig config = Decoupled(18, 4);
  config.backbone = SwinL().backbone;
  // With two criterion.*.empty_weight.
  EXPECT_EQ(WeightTable(config).size() + 2, 968u);
}

TEST(WeightTable, TextEncoderEqualsItsManifest) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  for (const int context : {18, 77}) {
    ModelConfig config = SwinT();
    config.text = TextConfig{.context = context};
    std::vector<WeightSpec> table = WeightTable(config);
    std::erase_if(table, [](const WeightSpec& spec) {
      return spec.name.find("lang_encoder") == std::string::npos;
    });
    const auto rows = ReadManifests(
        {{ParityPath("manifests/manifest_text_" + std::to_string(context) + ".tsv")}});
    ASSERT_TRUE(rows.ok()) << rows.status();
    ASSERT_EQ(table.size(), rows->size());
    for (size_t i = 0; i < table.size(); ++i) {
      EXPECT_EQ(table[i].name, (*rows)[i].name);
      EXPECT_EQ(table[i].shape, (*rows)[i].shape) << table[i].name;
      EXPECT_EQ(Printed(table[i].offset), Printed((*rows)[i].offset)) << table[i].name;
      EXPECT_EQ(Printed(table[i].scale), Printed((*rows)[i].scale)) << table[i].name;
    }
  }
}

TEST(WeightTable, WhatIsClaimedIsRequired) {
  const auto required = [](const ModelConfig& config, const std::string& name) {
    for (const WeightSpec& spec : WeightTable(config)) {
      if (spec.name == "sem_seg_head.predictor." + name) return !spec.optional;
    }
    return false;
  };
  EXPECT_FALSE(required(SwinT(), "class_embed"));
  EXPECT_FALSE(required(SwinT(), "class_embed_part"));
  EXPECT_FALSE(required(SwinT(), "enc_output.weight"));
  EXPECT_TRUE(required(SwinT(), "mask_tokens.weight"));
  EXPECT_TRUE(required(SwinTiny(), "class_embed"));
  EXPECT_TRUE(required(SwinTiny(), "class_embed_part"));
  EXPECT_TRUE(required(SwinTiny(), "enc_output.weight"));
  EXPECT_TRUE(required(SwinTiny(), "query_feat.weight"));
  EXPECT_TRUE(required(SwinTiny(), "lang_encoder.lang_proj"));
  for (const char* name : {"prompt_map_head.layers.1.weight", "click_features.bias",
                           "pooled_norm.weight", "pooled_features.weight"}) {
    EXPECT_FALSE(required(SwinTiny(), name)) << name;
    EXPECT_TRUE(required(SwinTinyExtended(), name)) << name;
  }
  EXPECT_TRUE(required(OpenSeedSwinT(), "class_embed"));
  EXPECT_FALSE(required(OpenSeedSwinT(), "mask_tokens.weight"));
  EXPECT_FALSE(required(OpenSeedSwinT(), "iou_prediction_head.layers.0.weight"));
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
