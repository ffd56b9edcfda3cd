#include "model/weights/model_file.h"

#include <gtest/gtest.h>

#include "model/base/float16.h"
#include "model/weights/config_json.h"
#include "model/weights/digest.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

std::unique_ptr<ModelFile> MustOpen(const std::string& spec) {
  auto file = ModelFile::Open(spec);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

absl::Status WriteTiny(const std::string& path, std::optional<DType> dtype = std::nullopt) {
  const auto tiny = MustOpen("formula:swin-tiny");
  return WriteModel(path, tiny->config(), tiny->weights(), {.trained = false, .source = "formula"},
                    dtype);
}

TEST(Digest, IsSha256) {
  Sha256 hash;
  hash.Update(BytesOf("ab"));
  hash.Update(BytesOf("c"));
  EXPECT_EQ(*hash.Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, DependsOnNamesTypesShapesAndBytes) {
  const std::vector<float> values = {1, 2, 3, 4};
  const std::vector<float> other = {1, 2, 3, 5};
  const auto digest = [](TensorView tensor) {
    const std::string name = tensor.name;
    return *TensorDigest(WeightMap({{name, std::move(tensor)}}));
  };
  const std::string base = digest(ViewOf("a", DType::kFloat32, {4}, values));
  EXPECT_NE(base, digest(ViewOf("b", DType::kFloat32, {4}, values)));
  EXPECT_NE(base, digest(ViewOf("a", DType::kInt32, {4}, values)));
  EXPECT_NE(base, digest(ViewOf("a", DType::kFloat32, {2, 2}, values)));
  EXPECT_NE(base, digest(ViewOf("a", DType::kFloat32, {4}, other)));
  // Only the elements count, not how they lie.
  const std::vector<float> spread = {1, 0, 2, 0, 3, 0, 4};
  TensorView strided = ViewOf("a", DType::kFloat32, {4}, spread);
  strided.strides = {2};
  EXPECT_EQ(base, digest(strided));
}

TEST(ModelFile, DefaultIsRefusedWhereTheProgramDoesNotCarryIt) {
  const absl::Status status = ModelFile::Open("default").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Contains(status, "this program does not carry the default model")) << status;
}

TEST(ModelFile, FormulaNeedsNoFile) {
  const auto file = MustOpen("formula:swin-tiny");
  EXPECT_EQ(file->config(), SwinTiny());
  EXPECT_EQ(file->format(), "formula");
  EXPECT_FALSE(file->trained());
  EXPECT_TRUE(IsDigest(file->digest()));
  EXPECT_EQ(file->digest(), *file->ComputeDigest());
  EXPECT_EQ(MustOpen("formula:swin-t")->config(), SwinT());
  EXPECT_EQ(MustOpen("formula:swin-tiny-wordless")->config(), SwinTinyWordless());
  EXPECT_TRUE(Contains(ModelFile::Open("formula:vit").status(), "formula:swin-tiny"));
}

TEST(ModelFile, FormulaEqualsTheManifest) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const auto manifest = MustOpen(ParityPath("manifests/manifest_swin_t.tsv"));
  EXPECT_EQ(manifest->format(), "manifest");
  EXPECT_FALSE(manifest->trained());
  EXPECT_EQ(manifest->config(), SwinT());
  EXPECT_EQ(manifest->digest(), MustOpen("formula:swin-t")->digest());
}

TEST(ModelFile, SeveralManifestsMakeOneModel) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const auto file = MustOpen(ParityPath("manifests/manifest_swin_t.tsv") + "," +
                             ParityPath("manifests/manifest_text_18.tsv"));
  ModelConfig expected = SwinT();
  expected.name = "semantic-sam-swin-custom";
  expected.text = TextConfig{};
  expected.capabilities.object_labels = true;
  expected.capabilities.part_labels = true;
  EXPECT_EQ(file->config(), expected);
  EXPECT_NE(file->weights().Find("sem_seg_head.predictor.lang_encoder.lang_proj"), nullptr);
}

TEST(ModelFile, OpenSeedFormulaEqualsItsManifest) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const auto manifest = MustOpen(ParityPath("vocab/manifest_vocab_swin_t.tsv"));
  EXPECT_EQ(manifest->config(), OpenSeedSwinT());
  const auto formula = MustOpen("formula:openseed-swin-t");
  EXPECT_EQ(formula->config(), OpenSeedSwinT());
  EXPECT_EQ(manifest->digest(), formula->digest());
}

TEST(ModelFile, LaterManifestsOverrideEarlierOnes) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const auto file = MustOpen(ParityPath("vocab/manifest_vocab_swin_t.tsv") + "," +
                             ParityPath("vocab/manifest_vocab_swin_t_decouple_5level_diff.tsv"));
  EXPECT_EQ(file->config().name, "openseed-swin-custom");
  EXPECT_EQ(file->config().pixel_decoder.feature_levels, 5);
  EXPECT_EQ(file->config().pixel_decoder.backbone_levels, 4);
  EXPECT_EQ(file->config().vocabulary->learned_queries, 100);
  EXPECT_EQ(file->config().vocabulary->top_instances, 300);
  EXPECT_EQ(file->config().text->context, 18);
}

TEST(ModelFile, ConversionKeepsConfigurationTensorsAndDigest) {
  const TempDir dir;
  const std::string path = dir.File("tiny.safetensors");
  ASSERT_TRUE(WriteTiny(path).ok());
  const auto formula = MustOpen("formula:swin-tiny");
  const auto file = MustOpen(path);
  EXPECT_EQ(file->format(), "safetensors");
  EXPECT_EQ(file->config(), formula->config());
  EXPECT_EQ(file->digest(), formula->digest());
  EXPECT_EQ(*file->ComputeDigest(), file->digest());
  EXPECT_FALSE(file->trained());
  EXPECT_EQ(file->metadata().at(kSourceKey), "formula");
  EXPECT_EQ(file->metadata().count(kLicenseKey), 0u);
  ASSERT_EQ(file->weights().size(), formula->weights().size());
  for (const auto& [name, tensor] : formula->weights()) {
    EXPECT_EQ(Floats(*file->weights().Find(name)), Floats(tensor)) << name;
  }
}

TEST(ModelFile, NarrowFilesHoldRoundedValuesAndWidenExactly) {
  const TempDir dir;
  const std::string narrow_path = dir.File("narrow.safetensors");
  const std::string wide_path = dir.File("wide.safetensors");
  const std::string again_path = dir.File("again.safetensors");
  const auto formula = MustOpen("formula:swin-tiny");
  for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
    ASSERT_TRUE(WriteTiny(narrow_path, dtype).ok());
    const auto narrow = MustOpen(narrow_path);
    EXPECT_NE(narrow->digest(), formula->digest());
    EXPECT_EQ(narrow->weights().size_bytes() * 2, formula->weights().size_bytes());
    for (const auto& [name, tensor] : formula->weights()) {
      std::vector<float> expected = Floats(tensor);
      for (float& value : expected) {
        value = dtype == DType::kFloat16 ? HalfToFloat(FloatToHalf(value))
                                         : BFloat16ToFloat(FloatToBFloat16(value));
      }
      EXPECT_EQ(narrow->weights().Find(name)->dtype, dtype);
      EXPECT_EQ(Floats(*narrow->weights().Find(name)), expected) << name;
    }
    ASSERT_TRUE(
        WriteModel(wide_path, narrow->config(), narrow->weights(), {}, DType::kFloat32).ok());
    const auto wide = MustOpen(wide_path);
    ASSERT_TRUE(WriteModel(again_path, wide->config(), wide->weights(), {}, dtype).ok());
    EXPECT_EQ(MustOpen(again_path)->digest(), narrow->digest());
  }
}

TEST(ModelFile, AStoredDigestIsBelievedAndCanBeChecked) {
  const TempDir dir;
  const std::string path = dir.File("a.safetensors");
  ASSERT_TRUE(WriteTiny(path).ok());
  const std::string stored = MustOpen(path)->digest();
  std::string text = ReadText(path);
  text.back() = static_cast<char>(text.back() ^ 1);  // one bit of the last weight
  WriteText(path, text);
  const auto changed = MustOpen(path);
  EXPECT_EQ(changed->digest(), stored);
  EXPECT_NE(*changed->ComputeDigest(), stored);
}

TEST(ModelFile, PlainSafetensorsGetTheirConfigurationFromTheShapes) {
  const TempDir dir;
  const std::string path = dir.File("plain.safetensors");
  const auto formula = MustOpen("formula:swin-tiny");
  std::vector<TensorView> tensors;
  for (const auto& [name, tensor] : formula->weights()) {
    tensors.push_back(tensor);
    tensors.back().name = "model." + name;
  }
  ASSERT_TRUE(WriteSafetensors(path, tensors, {}).ok());
  const auto file = MustOpen(path);
  // The number of heads is not in the shapes: eight are assumed, four were meant.
  EXPECT_EQ(file->config().decoder.heads, 8);
  EXPECT_EQ(file->config().backbone, SwinTiny().backbone);
  EXPECT_TRUE(file->trained());
  EXPECT_EQ(file->digest(), formula->digest());
}

TEST(ModelFile, NoHeaderLengthIsTakenForAPickle) {
  const TempDir dir;
  const auto tiny = MustOpen("formula:swin-tiny");
  bool met = false;  // the first byte of every pickle
  for (size_t length = 1; length < 256; length += 8) {
    const std::string path = dir.File("file-without-ending");
    const ModelFileInfo info{.source = std::string(length, 'x')};
    ASSERT_TRUE(WriteModel(path, tiny->config(), tiny->weights(), info).ok());
    EXPECT_TRUE(ModelFile::Open(path).ok()) << ModelFile::Open(path).status();
    met = met || ReadText(path)[0] == '\x80';
  }
  EXPECT_TRUE(met);
}

TEST(ModelFile, WrongMetadataIsAnError) {
  const TempDir dir;
  const std::string path = dir.File("a.safetensors");
  EXPECT_TRUE(WriteSafetensors(path, {}, {{kDigestKey, "abc"}}).ok());
  EXPECT_TRUE(Contains(ModelFile::Open(path).status(), "semsam.digest is no SHA-256"));
  EXPECT_TRUE(WriteSafetensors(path, {}, {{kConfigKey, "{}"}}).ok());
  EXPECT_TRUE(Contains(ModelFile::Open(path).status(), "semsam.config: name: is missing"));
  EXPECT_TRUE(WriteSafetensors(path, {}, {{kConfigKey, ConfigToJson(SwinTiny())}}).ok());
  EXPECT_TRUE(Contains(ModelFile::Open(path).status(), " missing: backbone."));
}

TEST(ModelFile, ErrorsNameTheFile) {
  const TempDir dir;
  EXPECT_EQ(ModelFile::Open(dir.File("none.pth")).status().code(), absl::StatusCode::kNotFound);
  const std::string text = dir.File("notes.txt");
  WriteText(text, "hello");
  EXPECT_TRUE(Contains(ModelFile::Open(text).status(), text + ": it is neither"));
  const std::string cut = dir.File("cut.safetensors");
  ASSERT_TRUE(WriteTiny(cut).ok());
  WriteText(cut, ReadText(cut).substr(0, 100'000));
  EXPECT_TRUE(Contains(ModelFile::Open(cut).status(), cut + ": safetensors: "));
  EXPECT_TRUE(Contains(ModelFile::Open(cut).status(), "cut short"));
  EXPECT_FALSE(ModelFile::Open("").ok());
}

TEST(ModelFile, PublishedCheckpointsOfAnotherNetworkSayWhatIsMissing) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const auto file = ModelFile::Open(ParityPath("pth/a_zip_model_dict.pth"));
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Contains(file.status(), "relative_position_bias_table is missing")) << file.status();
}

TEST(WriteModel, RefusesIntegersAndBadConfigurations) {
  const TempDir dir;
  const auto tiny = MustOpen("formula:swin-tiny");
  const std::string path = dir.File("a.safetensors");
  EXPECT_FALSE(WriteModel(path, tiny->config(), tiny->weights(), {}, DType::kInt64).ok());
  EXPECT_FALSE(WriteModel(path, ModelConfig{}, tiny->weights(), {}).ok());
  EXPECT_EQ(dir.Count(), 0u);
}

}  // namespace
}  // namespace semsam
