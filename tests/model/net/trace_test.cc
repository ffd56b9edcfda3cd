// Outputs of every inner module against the published code (Swin-T, images b and
// c, prompt click0): when a golden of the whole network breaks, this says where.
#include <cmath>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "model/net/swin.h"
#include "tests/model/net/parity_fixture.h"

namespace semsam::testing {
namespace {

// The attention output of the shifted block was recorded window by window, before
// the shift was undone; tokens that only pad the map, which we do not compute, are
// left out.
void ExpectWindows(const at::Tensor& output, const std::string& prefix) {
  constexpr int64_t kWindow = 7;
  const int64_t channels = output.size(3);
  const auto padding = [](int64_t size) { return (kWindow - size % kWindow) % kWindow; };
  const at::Tensor padded = at::constant_pad_nd(
      output, {0, 0, 0, padding(output.size(2)), 0, padding(output.size(1))}, NAN);
  const at::Tensor windows =
      at::roll(padded, {-kWindow / 2, -kWindow / 2}, {1, 2})
          .view({padded.size(1) / kWindow, kWindow, padded.size(2) / kWindow, kWindow, channels})
          .permute({0, 2, 1, 3, 4})
          .reshape({-1});
  const std::string name = prefix + "layers0_block1_attn_windows.npy";
  const at::Tensor ours = windows.slice(0, 0, c10::nullopt, GoldenStride(name));
  const at::Tensor golden = ReadGolden(name).reshape({-1});
  ASSERT_EQ(ours.numel(), golden.numel());
  const at::Tensor real = at::isnan(ours).logical_not();
  EXPECT_GT(real.sum().item<int64_t>(), golden.numel() / 2);
  EXPECT_LE((ours - golden).masked_select(real).abs().max().item<double>(), kFeatureTolerance);
}

class Trace : public ::testing::TestWithParam<std::tuple<char, ops::Path>> {};

TEST_P(Trace, EveryModuleEqualsThePublishedCode) {
  SEMSAM_SKIP_WITHOUT_PARITY();
  c10::InferenceMode inference;
  const auto [name, path] = GetParam();
  const SemanticSam& network = ParityNetwork('t', path);
  const std::string prefix = absl::StrCat("trace/swin_t_", std::string(1, name), "_");
  int compared = 0;
  const auto expect = [&](const std::string& what, const at::Tensor& actual) {
    ExpectGolden(actual, "", absl::StrCat(prefix, what, ".npy"), kFeatureTolerance);
    ++compared;
  };

  // Backbone: token layout [1, HW, C] is our [1, H, W, C].
  const EncodedImage image = EncodeParityImage(network, name);
  const Rgb8Image pixels = ParityImage(name);
  const at::Tensor input =
      network.Preprocess(at::from_blob(const_cast<uint8_t*>(pixels.pixels.data()),
                                       {1, pixels.size.height, pixels.size.width, 3}, at::kByte),
                         image.geometry.padded);
  dynamic_cast<const Swin&>(network.backbone())
      .Forward(input, [&](const std::string& what, at::Tensor& output) {
        if (what.ends_with("_attn")) {
          // Of the attention outputs only that of the first shifted block.
          if (what == "layers0_block1_attn") ExpectWindows(output, prefix);
        } else {
          // The embedding was recorded as a map, everything after it as tokens.
          expect(what, what == "patch_embed" ? output.permute({0, 3, 1, 2}) : output);
        }
      });

  // Pixel decoder: convolutions as [1, C, H, W], encoder layers as tokens.
  const std::map<std::string, std::string> renamed = {{"pos0", "pos_1_8"},
                                                      {"pos1", "pos_1_16"},
                                                      {"pos2", "pos_1_32"},
                                                      {"pos3", "pos_1_64_first_call"}};
  network.pixel_decoder().Forward(image.backbone, [&](const std::string& what, at::Tensor& output) {
    const auto it = renamed.find(what);
    // Of the attention outputs only layer 0 was recorded.
    if (what.ends_with("_selfattn") && what != "enc_layer0_selfattn") return;
    if (it != renamed.end()) {
      expect(it->second, output.permute({2, 0, 1}));
    } else {
      expect(what, output.dim() == 4 ? output.permute({0, 3, 1, 2}) : output);
    }
  });

  // Decoder: of the inner outputs only layer 0 was recorded, by hooks that
  // disturbed the run. The one on self-attention handed the network the tensor in
  // place of the (output, weights) pair, so that the code took its first row for
  // all tokens; the one on the position head answered every layer with what it
  // had recorded first. All later outputs of the recording follow from that, and
  // so do ours here. What the network gives undisturbed is in parity_test.
  at::Tensor first_position;
  RunPrompts(network, image, at::tensor({.2f, .3f, .005f, .005f}).view({1, 4}), {0},
             /*joint=*/false, [&](const std::string& what, at::Tensor& output) {
               if (what.ends_with("_query_pos")) {
                 if (!first_position.defined()) first_position = output;
                 output = first_position;
               }
               const bool inner = what.find('_', 4) != std::string::npos;
               if (inner && !what.starts_with("dec_layer0_")) return;
               expect(what, output);
               if (what == "dec_layer0_selfattn") {
                 output = output[0].expand_as(output).contiguous();
               }
             });
  EXPECT_EQ(compared, 46);  // and the windows
}

INSTANTIATE_TEST_SUITE_P(
    Images, Trace,
    ::testing::Combine(::testing::Values('b', 'c'),
                       ::testing::Values(ops::Path::kNative, ops::Path::kReference)),
    [](const auto& info) {
      return absl::StrCat(std::string(1, std::get<0>(info.param)),
                          std::get<1>(info.param) == ops::Path::kNative ? "_native" : "_reference");
    });

}  // namespace
}  // namespace semsam::testing
