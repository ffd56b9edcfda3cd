// One line on a terminal that says what the program waits for.
//
// Shows nothing when it is disabled, so that logs and pipes stay clean. The
// line is wiped when the object ends. Call it from one thread; the seconds tick
// on a thread of its own.
#ifndef SEMSAM_CLIENT_CLI_PROGRESS_H_
#define SEMSAM_CLIENT_CLI_PROGRESS_H_

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/time/time.h"

namespace semsam::client {

class ProgressLine {
 public:
  // `out` must outlive the object.
  ProgressLine(std::ostream& out, bool enabled);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // "encoding" -> "encoding, 3 s". Starts the clock anew.
  void Stage(const std::string& what);
  void Bytes(const std::string& what, size_t done_bytes, size_t total_bytes);
  // "decoding points" -> "decoding points 448 of 1024 (43%), 3 s".
  void Count(const std::string& what, int done, int total);
  void Done();

 private:
  void Tick(const std::stop_token& stop);
  void Draw();  // with mutex_ held

  std::ostream& out_;
  const bool enabled_;
  // std types, not model/base's: the wait has a time limit and a stop token,
  // and the client links nothing of the model.
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string what_;                      // guarded by mutex_; empty: no line
  std::string detail_;                    // guarded by mutex_
  absl::Time start_ = absl::UnixEpoch();  // guarded by mutex_
  std::jthread ticker_;                   // last: joins before the rest goes
};

}  // namespace semsam::client

#endif  // SEMSAM_CLIENT_CLI_PROGRESS_H_
