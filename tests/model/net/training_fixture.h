// A tiny model whose weights learn, in double precision, so that central differences
// mean something.
#ifndef SEMSAM_TESTS_MODEL_NET_TRAINING_FIXTURE_H_
#define SEMSAM_TESTS_MODEL_NET_TRAINING_FIXTURE_H_

#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "model/net/load_model.h"

namespace semsam::testing {

inline constexpr char kPredictor[] = "sem_seg_head.predictor.";

// Two pictures, three prompts on them and five words.
class TrainingFixture : public ::testing::Test {
 protected:
  void Load(const std::string& spec) {
    at::manual_seed(5);
    auto file = ModelFile::Open(spec);
    ASSERT_TRUE(file.ok()) << file.status();
    config_ = (*file)->config();
    auto weights = CopyWeights((*file)->weights(), at::kCPU);
    ASSERT_TRUE(weights.ok()) << weights.status();
    for (const auto& [name, tensor] : *weights) {
      weights_[name] = tensor.to(at::kDouble).requires_grad_(true);
    }
    // Not whole windows at any stage: padding and shifts take part.
    image_ = at::randn({2, 3, 96, 64}, at::kDouble);
    boxes_ = at::tensor({0.3, 0.4, 0.005, 0.005, 0.7, 0.2, 0.005, 0.005, 0.5, 0.6, 0.4, 0.5},
                        at::kDouble)
                 .view({3, 4});
    text_ = at::randn({5, config_.decoder.text_dim}, at::kDouble);
    text_ = text_ / text_.norm(2, {1}, /*keepdim=*/true);
  }

  // As a step of a trainer does, from the weights as they are.
  SemanticSam Network() const { return {config_, TensorMap(weights_), path_}; }

  DecoderInput Prompts() const {
    return {.image_of_prompt = {0, 1, 0},
            .boxes = boxes_,
            .point_or_box = at::tensor({1, 1, 0}, at::kLong)};
  }

  // A sum over all of `tensor` in which every element has its own weight.
  static at::Tensor Mix(const at::Tensor& tensor) {
    return (tensor * at::arange(1, tensor.numel() + 1, tensor.options()).sin().view_as(tensor))
        .mean();
  }

  at::Tensor LabelLoss(const SemanticSam& network, const at::Tensor& queries) const {
    return Mix(network.class_heads().Logits(LabelHead::kObject, queries, text_)) +
           Mix(network.class_heads().Logits(LabelHead::kPart, queries, text_));
  }

  // The directional derivative of `loss` by weight `name` along a random direction,
  // against central differences. Its gradient is there already.
  void ExpectCentralDifference(const std::string& name, const std::function<at::Tensor()>& loss) {
    ASSERT_TRUE(weights_.contains(name)) << name;
    const at::Tensor weight = weights_[name].detach();
    const at::Tensor gradient = weights_[name].grad();
    ASSERT_TRUE(gradient.defined()) << name;
    const c10::NoGradGuard no_grad;
    constexpr double kStep = 1e-7;
    const at::Tensor kept = weight.clone();
    const at::Tensor direction = at::randn_like(weight);
    const double expected = (gradient * direction).sum().item<double>();
    weight.copy_(kept + direction * kStep);
    const double above = loss().item<double>();
    weight.copy_(kept - direction * kStep);
    const double below = loss().item<double>();
    weight.copy_(kept);
    const double actual = (above - below) / (2 * kStep);
    EXPECT_NEAR(actual, expected, 1e-4 * std::abs(expected) + 1e-8) << name;
    EXPECT_NE(expected, 0) << name;
  }

  std::vector<std::string> WithoutGradient() const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : weights_) {
      if (!tensor.grad().defined() || tensor.grad().abs().max().item<double>() == 0) {
        names.push_back(name);
      }
    }
    return names;
  }

  void ForgetGradients() {
    for (auto& [name, tensor] : weights_) tensor.mutable_grad() = at::Tensor();
  }

  ops::Path path_ = ops::Path::kTraining;
  ModelConfig config_;
  std::map<std::string, at::Tensor> weights_;
  at::Tensor image_;
  at::Tensor boxes_;
  at::Tensor text_;
};

}  // namespace semsam::testing

#endif  // SEMSAM_TESTS_MODEL_NET_TRAINING_FIXTURE_H_
