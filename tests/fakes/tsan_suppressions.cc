// Read by ThreadSanitizer at start; nothing calls it in other builds.
//
// An absl::Status is reference-counted by a library that is not instrumented, so
// ThreadSanitizer sees the last owner free what another thread read, and not the
// atomic count between the two. Only that release is silenced.
//
// OpenCV shares connected components out among threads of its own, and is not
// instrumented either: what frees a matrix looks unordered with what those threads
// read. Only what happens inside OpenCV is silenced.
extern "C" const char* __tsan_default_suppressions() {
  return "race:absl::*Status::UnrefNonInlined\n"
         "race:absl::*Storage<absl::*status_internal::Payload*::DestroyContents\n"
         "race:libopencv_\n";
}
