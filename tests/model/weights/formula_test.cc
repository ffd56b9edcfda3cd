#include "model/weights/formula.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "model/weights/manifest.h"
#include "tests/model/weights/test_files.h"

namespace semsam {
namespace {

std::string Printed(double value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

double ElementAt(const TensorView& tensor, int64_t index) {
  if (tensor.dtype == DType::kInt64) {
    int64_t value;
    std::memcpy(&value, tensor.data.data() + index * 8, 8);
    return static_cast<double>(value);
  }
  float value;
  std::memcpy(&value, tensor.data.data() + index * 4, 4);
  return value;
}

class ManifestTest : public testing::TestWithParam<const char*> {};

TEST_P(ManifestTest, EveryRowHasItsFirstLastAndSum) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  const std::string path = ParityPath(std::string("manifests/") + GetParam());
  const auto rows = ReadTsv(path);
  const auto specs = ReadManifests({{path}});
  ASSERT_TRUE(specs.ok()) << specs.status();
  const auto set = FormulaTensors(*specs);
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_EQ(set->tensors.size() + 1, rows.size());
  for (size_t i = 0; i < set->tensors.size(); ++i) {
    const TensorView& tensor = set->tensors[i];
    const std::vector<std::string>& row = rows[i + 1];
    ASSERT_EQ(tensor.name, row[0]);
    const int64_t count = Elements(tensor);
    EXPECT_EQ(Printed(ElementAt(tensor, 0)), row[9]) << tensor.name;
    EXPECT_EQ(Printed(ElementAt(tensor, count - 1)), row[10]) << tensor.name;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) sum += ElementAt(tensor, k);
    const double expected = std::strtod(row[11].c_str(), nullptr);
    // The column has nine digits; the order of summation costs the rest.
    EXPECT_NEAR(sum, expected, 5.1e-9 * std::fabs(expected) + 1e-9) << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ManifestTest,
                         testing::Values("manifest_swin_t.tsv", "manifest_swin_l.tsv",
                                         "manifest_text_18.tsv", "manifest_text_77.tsv"),
                         [](const auto& info) {
                           std::string name = info.param;
                           name.resize(name.size() - 4);
                           return name;
                         });

TEST(Formula, HashIsFnv1a) {
  EXPECT_EQ(Fnv1a64(""), 0xcbf29ce484222325u);
  EXPECT_EQ(Fnv1a64("a"), 0xaf63dc4c8601ec8cu);
}

TEST(Formula, PiecesEqualTheWhole) {
  std::vector<float> whole(1000), pieces(1000);
  FillFormula(42, 1.5f, 0.25f, 0, whole);
  FillFormula(42, 1.5f, 0.25f, 0, std::span(pieces).first(333));
  FillFormula(42, 1.5f, 0.25f, 333, std::span(pieces).subspan(333));
  EXPECT_EQ(whole, pieces);
}

TEST(Formula, ProductIsRoundedBeforeTheSum) {
  // Many elements, so that some would differ under a fused multiply-add.
  std::vector<float> values(100'000), units(100'000);
  FillFormula(7, 1.0f, 0.1f, 0, values);
  FillFormula(7, 0.0f, 1.0f, 0, units);
  int fused_differs = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    volatile float product = 0.1f * units[i];
    EXPECT_EQ(values[i], 1.0f + product);
    if (std::fma(0.1f, units[i], 1.0f) != values[i]) ++fused_differs;
  }
  EXPECT_GT(fused_differs, 0) << "the test cannot tell the two apart";
}

TEST(Formula, AliasesShareMemory) {
  const std::vector<WeightSpec> specs = WeightTable(SwinTiny());
  const auto set = FormulaTensors(specs);
  ASSERT_TRUE(set.ok()) << set.status();
  std::map<std::string, const std::byte*> data;
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto [it, first] = data.emplace(specs[i].seed_name, set->tensors[i].data.data());
    EXPECT_EQ(it->second, set->tensors[i].data.data()) << specs[i].name;
  }
  EXPECT_EQ(set->owners.size(), data.size());
}

TEST(Formula, RefusesImpossibleTables) {
  const WeightSpec good{.name = "a", .shape = {4}, .seed_name = "a", .kind = "weight"};
  std::vector<WeightSpec> bad(6, good);
  bad[0].shape = {int64_t{1} << 40};
  bad[1].shape = {int64_t{1} << 40, int64_t{1} << 40};
  bad[2].dtype = DType::kFloat16;
  bad[3].kind = kComputedKind;
  bad[3].dtype = DType::kInt64;
  bad[3].shape = {5, 5};
  bad[4].shape = {-1};
  bad[5].kind = kComputedKind;
  for (const WeightSpec& spec : bad) {
    const auto set = FormulaTensors({{spec}});
    EXPECT_EQ(set.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(Contains(set.status(), "weight a")) << set.status();
  }
  WeightSpec alias = good;
  alias.name = "b";
  alias.shape = {5};
  EXPECT_TRUE(Contains(FormulaTensors({{good, alias}}).status(), "shares its values"));
}

TEST(Manifest, ErrorsNameTheLine) {
  const std::string header =
      "name\tshape\tdtype\tnumel\tseed_name\tkind\toffset\tscale\tfnv1a64_seed\n";
  const std::string row = "a\t2,2\tfloat32\t4\ta\tweight\t0\t1\t0xaf63dc4c8601ec8c\n";
  ASSERT_TRUE(ParseManifest(header + row).ok()) << ParseManifest(header + row).status();
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {"", "no rows"},
      {"name\tshape\n", "line 1: column dtype is missing"},
      {header + row + "b\t2\n", "line 3: columns are missing"},
      {header + "a\t2,x\tfloat32\t4\ta\tweight\t0\t1\t0xaf63dc4c8601ec8c\n",
       "line 2: column shape"},
      {header + "a\t2,2\tfloat31\t4\ta\tweight\t0\t1\t0xaf63dc4c8601ec8c\n", "column dtype"},
      {header + "a\t2,2\tfloat32\t5\ta\tweight\t0\t1\t0xaf63dc4c8601ec8c\n", "column numel"},
      {header + "a\t2,2\tfloat32\t4\ta\tweight\t?\t1\t0xaf63dc4c8601ec8c\n", "column offset"},
      {header + "a\t2,2\tfloat32\t4\ta\tweight\t0\t?\t0xaf63dc4c8601ec8c\n", "column scale"},
      {header + "a\t2,2\tfloat32\t4\tb\tweight\t0\t1\t0xaf63dc4c8601ec8c\n", "column fnv1a64_seed"},
  };
  for (const auto& test : cases) {
    const auto specs = ParseManifest(test.text);
    EXPECT_EQ(specs.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(Contains(specs.status(), test.error)) << specs.status();
  }
}

}  // namespace
}  // namespace semsam
