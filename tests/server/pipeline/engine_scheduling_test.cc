// Who comes first at the model, in what batches, and whom it cannot serve in time.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/fakes/metric_value.h"
#include "tests/server/pipeline/call_log.h"
#include "tests/server/pipeline/engine_fixture.h"

namespace semsam {
namespace {

using ::testing::ElementsAre;

class EngineSchedulingTest : public EngineFixture {
 protected:
  // Comes when other threads got so far; ctest has a limit.
  void WaitForQueued(const std::string& queue, int entries) {
    const std::string series = "semsam_queue_depth{queue=\"" + queue + "\"}";
    while (MetricValue(metrics_, series) != std::to_string(entries)) {
    }
  }
};

TEST_F(EngineSchedulingTest, ABatchOfImagesIsOfOnePaddedShape) {
  options_.max_batch_images = 4;
  Start();
  encodes_.Shut();
  const std::string session = NewSession();
  std::vector<UploadLog> logs(7);
  StartUpload(session, FakeImageBytes(64, 64, "first"), logs[0]);
  encodes_.WaitForCalls(1);
  int queued = 0;
  // 80 x 64 and 79 x 64 differ, but not once padded.
  for (const int width : {64, 80, 64, 96, 79, 64}) {
    ++queued;
    StartUpload(session, FakeImageBytes(width, 64, std::to_string(queued)), logs[queued]);
    WaitForQueued("encode", queued);
  }
  encodes_.Open();
  for (UploadLog& log : logs) EXPECT_TRUE(log.Wait().ok());
  EXPECT_THAT(segmenter_->encode_batches(), ElementsAre(1, 3, 2, 1));
  std::vector<int> widths;
  for (const ImageSize& size : segmenter_->encoded_sizes()) widths.push_back(size.width);
  EXPECT_THAT(widths, ElementsAre(256, 256, 256, 256, 320, 316, 384));
}

}  // namespace
}  // namespace semsam
