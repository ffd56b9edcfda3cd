// The server's log: one line an event, as `key=value` for people or JSON for machines.
//
// Guarantees
//   - Writing a line never waits for whoever reads the log: a thread of its own writes,
//     and a reader that stops reading costs lines (the oldest first), which are counted,
//     and never a call.
//   - What a line quotes ends no line and breaks no JSON.
// Thread-safe.
#ifndef SEMSAM_SERVER_LOG_LOG_H_
#define SEMSAM_SERVER_LOG_LOG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace semsam {

enum class LogFormat { kText, kJson };
enum class LogLevel { kInfo, kWarning, kError, kCritical };

// "text" or "json".
std::optional<LogFormat> LogFormatByName(std::string_view name);

struct LogOptions {
  LogFormat format = LogFormat::kText;
  // Lines that wait for the writing thread; beyond them the oldest are dropped.
  int max_waiting_lines = 8192;
  // Where lines go: a file descriptor that stays open, standard error by default.
  int fd = 2;

  absl::Status Validate() const;
};

// Lines go to `options.fd` from now on, through a thread that lives as long as the
// process. Until the first call they go to standard output. `options` must be valid.
void StartLog(const LogOptions& options);

// Waits until everything that was logged is written, `timeout` at most; true if it is.
bool FlushLog(absl::Duration timeout);

// Lines dropped so far because their reader was too slow.
int64_t DroppedLogLines();

// One line: what happened, and what is known about it. Written when it goes out of
// scope.
class LogLine {
 public:
  // `event` and the keys are words of our own: letters, digits, '_', '.'.
  LogLine(LogLevel level, std::string_view event);
  ~LogLine();
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;

  // Text from anywhere.
  LogLine& Text(std::string_view key, std::string_view value);
  LogLine& Number(std::string_view key, int64_t value);
  // With three decimals.
  LogLine& Number(std::string_view key, double value);

 private:
  // Begins a field: its separator and its key.
  void Key(std::string_view key);

  const LogLevel level_;
  const LogFormat format_;
  std::string line_;
};

// A line without fields.
inline void LogEvent(LogLevel level, std::string_view event) { const LogLine line(level, event); }

}  // namespace semsam

#endif  // SEMSAM_SERVER_LOG_LOG_H_
