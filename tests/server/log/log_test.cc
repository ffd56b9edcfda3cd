#include "server/log/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "model/base/errors.h"

namespace semsam {
namespace {

using ::testing::HasSubstr;

// A pipe that takes the log.
class LogTest : public ::testing::Test {
 protected:
  void Start(LogFormat format, int max_waiting_lines = 8192) {
    // The log's thread may write on when the reader has gone.
    signal(SIGPIPE, SIG_IGN);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    reader_ = ends[0];
    writer_ = ends[1];
    // So that less than a queue of lines fills it, however late the log's thread runs.
    ASSERT_GT(fcntl(writer_, F_SETPIPE_SZ, 4096), 0);
    StartLog({.format = format, .max_waiting_lines = max_waiting_lines, .fd = writer_});
  }
  void TearDown() override {
    close(reader_);  // the log's thread keeps the other end
  }

  // What was written so far, in lines.
  std::vector<std::string> Lines() {
    EXPECT_TRUE(FlushLog(absl::Seconds(60)));
    char buffer[1 << 16];
    const ssize_t got = read(reader_, buffer, sizeof(buffer));
    const std::string text(buffer, got > 0 ? static_cast<size_t>(got) : 0);
    return absl::StrSplit(text, '\n', absl::SkipEmpty());
  }

  int reader_ = -1;
  int writer_ = -1;
};

TEST_F(LogTest, ALineOfTextHoldsItsFieldsInOrder) {
  Start(LogFormat::kText);
  LogLine(LogLevel::kWarning, "call")
      .Text("method", "Segment")
      .Number("bytes", int64_t{1234567890123})
      .Number("duration_ms", 1.5)
      .Text("error", "a \"b\"\nc=\xff")
      .Text("peer", "");
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 1) << "a quoted line end is none";
  EXPECT_THAT(lines[0], HasSubstr("[warning] call method=Segment bytes=1234567890123 "
                                  "duration_ms=1.500 error=\"a \\\"b\\\"\\nc="));
  EXPECT_THAT(lines[0], HasSubstr(" peer=\"\""));
}

TEST_F(LogTest, ALineOfJsonIsJson) {
  Start(LogFormat::kJson);
  LogLine(LogLevel::kError, "call")
      .Text("error", "a \"b\"\n{}%\xff")
      .Number("bytes", int64_t{7})
      .Number("duration_ms", 0.25);
  LogEvent(LogLevel::kInfo, "stopped");
  const std::vector<std::string> lines = Lines();
  ASSERT_EQ(lines.size(), 2);
  const nlohmann::json first = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(first["level"], "error");
  EXPECT_EQ(first["event"], "call");
  EXPECT_EQ(first["error"], "a \"b\"\n{}%\xEF\xBF\xBD");
  EXPECT_EQ(first["bytes"], 7);
  EXPECT_EQ(first["duration_ms"], 0.25);
  EXPECT_THAT(std::string(first["time"]), ::testing::MatchesRegex("20..-..-..T..:..:..\\..*Z"));
  EXPECT_EQ(nlohmann::json::parse(lines[1])["event"], "stopped");
}

TEST_F(LogTest, AReaderThatStopsReadingCostsLinesAndNoTime) {
  Start(LogFormat::kText, /*max_waiting_lines=*/16);
  const int64_t dropped = DroppedLogLines();
  // Far more than the pipe and the queue hold: were one of these to wait, the test
  // would not end.
  const std::string padding(1000, 'x');
  for (int i = 0; i < 2000; ++i) LogLine(LogLevel::kInfo, "line").Text("padding", padding);
  EXPECT_GT(DroppedLogLines(), dropped + 1000);
  EXPECT_FALSE(FlushLog(absl::Milliseconds(1)));
  // The reader comes back: the youngest lines are still there.
  std::string text;
  char buffer[1 << 16];
  LogEvent(LogLevel::kInfo, "last");
  while (text.find("last") == std::string::npos) {
    const ssize_t got = read(reader_, buffer, sizeof(buffer));
    ASSERT_GT(got, 0);
    text.append(buffer, static_cast<size_t>(got));
  }
}

TEST(LogOptionsTest, NamesAndBoundsAreChecked) {
  EXPECT_EQ(LogFormatByName("text"), LogFormat::kText);
  EXPECT_EQ(LogFormatByName("json"), LogFormat::kJson);
  EXPECT_EQ(LogFormatByName("xml"), std::nullopt);
  EXPECT_TRUE(LogOptions{}.Validate().ok());
  for (const int lines : {0, std::numeric_limits<int>::max()}) {
    EXPECT_EQ(ErrorField(LogOptions{.max_waiting_lines = lines}.Validate()),
              "log.max_waiting_lines");
  }
}

}  // namespace
}  // namespace semsam
