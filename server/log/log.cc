#include "server/log/log.h"

#include <spdlog/async.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "model/base/errors.h"
#include "model/base/mutex.h"

namespace semsam {
namespace {

constexpr char kLoggerName[] = "semsam";
constexpr char kTextPattern[] = "[%Y-%m-%dT%H:%M:%S.%fZ] [%l] %v";
// LogLine renders the fields, the pattern what comes before them.
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l",%v})";
constexpr int kMostWaitingLines = 1 << 20;

// Writes whole lines to a file descriptor, and tells who waits for a flush.
class FdSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

  // How often everything before was known to be written.
  uint64_t flushes() const {
    MutexLock lock(flush_mutex_);
    return flushes_;
  }
  // True if `flushes` goes above `before` within `timeout`.
  bool WaitForFlush(uint64_t before, absl::Duration timeout) const {
    const absl::Time deadline = absl::Now() + timeout;
    MutexLock lock(flush_mutex_);
    while (flushes_ <= before) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return false;
      flushed_.WaitFor(flush_mutex_, std::min(left, absl::Hours(1)));
    }
    return true;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const char* data = line.data();
    size_t left = line.size();
    while (left > 0) {
      const ssize_t written = write(fd_, data, left);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;  // nobody is there to be told
      data += written;
      left -= static_cast<size_t>(written);
    }
  }
  void flush_() override {
    MutexLock lock(flush_mutex_);
    ++flushes_;
    flushed_.NotifyAll();
  }

 private:
  const int fd_;
  mutable Mutex flush_mutex_;
  mutable CondVar flushed_;
  uint64_t flushes_ ABSL_GUARDED_BY(flush_mutex_) = 0;
};

// What StartLog made. Never destroyed: the end of the process would wait for a
// reader that has stopped reading.
struct Log {
  std::shared_ptr<FdSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> threads;
  std::shared_ptr<spdlog::logger> logger;
};

std::atomic<Log*> current_log{nullptr};
std::atomic<LogFormat> current_format{LogFormat::kText};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kCritical:
      return spdlog::level::critical;
  }
  return spdlog::level::critical;
}

bool NeedsNoQuotes(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return absl::ascii_isgraph(static_cast<unsigned char>(c)) && c != '"' && c != '=' && c != '\\';
  });
}

std::string JsonText(std::string_view value) {
  // Bytes that are no UTF-8 are replaced.
  return nlohmann::json(std::string(value))
      .dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::optional<LogFormat> LogFormatByName(std::string_view name) {
  if (name == "text") return LogFormat::kText;
  if (name == "json") return LogFormat::kJson;
  return std::nullopt;
}

absl::Status LogOptions::Validate() const {
  if (max_waiting_lines < 1 || max_waiting_lines > kMostWaitingLines) {
    return InvalidField("log.max_waiting_lines",
                        absl::StrCat("must be between 1 and ", kMostWaitingLines));
  }
  return absl::OkStatus();
}

void StartLog(const LogOptions& options) {
  auto* log = new Log;
  log->sink = std::make_shared<FdSink>(options.fd);
  log->threads = std::make_shared<spdlog::details::thread_pool>(
      static_cast<size_t>(options.max_waiting_lines), /*threads_n=*/1);
  log->logger = std::make_shared<spdlog::async_logger>(
      kLoggerName, log->sink, log->threads, spdlog::async_overflow_policy::overrun_oldest);
  log->logger->set_pattern(options.format == LogFormat::kJson ? kJsonPattern : kTextPattern,
                           spdlog::pattern_time_type::utc);
  current_format.store(options.format, std::memory_order_release);
  current_log.store(log, std::memory_order_release);
}

bool FlushLog(absl::Duration timeout) {
  Log* const log = current_log.load(std::memory_order_acquire);
  if (log == nullptr) {
    spdlog::default_logger_raw()->flush();
    return true;
  }
  const uint64_t before = log->sink->flushes();
  log->logger->flush();
  return log->sink->WaitForFlush(before, timeout);
}

int64_t DroppedLogLines() {
  Log* const log = current_log.load(std::memory_order_acquire);
  return log == nullptr ? 0 : static_cast<int64_t>(log->threads->overrun_counter());
}

LogLine::LogLine(LogLevel level, std::string_view event)
    : level_(level), format_(current_format.load(std::memory_order_acquire)) {
  if (format_ == LogFormat::kJson) {
    line_ = absl::StrCat("\"event\":", JsonText(event));
  } else {
    line_ = std::string(event);
  }
}

LogLine::~LogLine() {
  Log* const log = current_log.load(std::memory_order_acquire);
  spdlog::logger* const logger = log != nullptr ? log->logger.get() : spdlog::default_logger_raw();
  // The line as it is: nothing of it is a format.
  logger->log(ToSpdlog(level_), spdlog::string_view_t(line_.data(), line_.size()));
}

void LogLine::Key(std::string_view key) {
  const std::string name(key);
  if (format_ == LogFormat::kJson) {
    absl::StrAppend(&line_, ",\"", name, "\":");
  } else {
    absl::StrAppend(&line_, " ", name, "=");
  }
}

LogLine& LogLine::Text(std::string_view key, std::string_view value) {
  Key(key);
  if (format_ == LogFormat::kJson) {
    line_ += JsonText(value);
  } else if (NeedsNoQuotes(value)) {
    line_ += value;
  } else {
    absl::StrAppend(&line_, "\"", absl::Utf8SafeCEscape({value.data(), value.size()}), "\"");
  }
  return *this;
}

LogLine& LogLine::Number(std::string_view key, int64_t value) {
  Key(key);
  absl::StrAppend(&line_, value);
  return *this;
}

LogLine& LogLine::Number(std::string_view key, double value) {
  Key(key);
  absl::StrAppendFormat(&line_, "%.3f", value);
  return *this;
}

}  // namespace semsam
