#include "model/tools/inspect/prompts_json.h"

#include <gtest/gtest.h>

#include "model/base/errors.h"

namespace semsam {
namespace {

TEST(PromptsJson, ReadsGroupsWithTheirDefaults) {
  const auto groups = ParsePrompts(R"({"prompts": {
    "click": {"points_cxcywh": [[0.2, 0.3, 0.005, 0.005]]},
    "pair": {"points_cxcywh": [[0, 0, 1, 1], [0.5, 1, 0.1, 0.2]], "pb": [1, 0], "joint": true}}})");
  ASSERT_TRUE(groups.ok()) << groups.status();
  ASSERT_EQ(groups->size(), 2u);
  EXPECT_EQ((*groups)[0].name, "click");
  EXPECT_FALSE((*groups)[0].joint);
  EXPECT_EQ((*groups)[0].prompts,
            (std::vector<Prompt>{{.cx = 0.2f, .cy = 0.3f, .w = 0.005f, .h = 0.005f}}));
  EXPECT_TRUE((*groups)[1].joint);
  EXPECT_EQ((*groups)[1].prompts[0].point_or_box, 1);
  EXPECT_EQ((*groups)[1].prompts[1].point_or_box, 0);
}

TEST(PromptsJson, NamesTheMemberThatDoesNotFit) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"prompt": {}})", "prompts"},
      {R"({"prompts": {"../x": {"points_cxcywh": [[0,0,1,1]]}}})", "prompts.../x"},
      {R"({"prompts": {"a": 3}})", "prompts.a"},
      {R"({"prompts": {"a": {}}})", "prompts.a.points_cxcywh"},
      {R"({"prompts": {"a": {"points_cxcywh": []}}})", "prompts.a.points_cxcywh"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1]]}}})", "prompts.a.points_cxcywh[0]"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1,"1"]]}}})", "prompts.a.points_cxcywh[0]"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1,1e300]]}}})", "prompts.a.points_cxcywh[0]"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1,1]], "pb": [0,0]}}})", "prompts.a.pb"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1,1]], "pb": [2]}}})", "prompts.a.pb[0]"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1,1]], "joint": 1}}})", "prompts.a.joint"},
      {R"({"prompts": {"a": {"points_cxcywh": [[0,0,1,1]], "points": []}}})", "prompts.a.points"},
  };
  for (const auto& [json, field] : cases) {
    EXPECT_EQ(ErrorField(ParsePrompts(json).status()), field) << json;
  }
  EXPECT_FALSE(ParsePrompts("{").ok());
  EXPECT_FALSE(ParsePrompts("[]").ok());
}

}  // namespace
}  // namespace semsam
