// Early-return macros for absl::Status and absl::StatusOr.
//
//   SEMSAM_RETURN_IF_ERROR(Validate(options));
//   SEMSAM_ASSIGN_OR_RETURN(Rgb8Image image, DecodeImage(bytes, limits));
#ifndef SEMSAM_MODEL_BASE_STATUS_MACROS_H_
#define SEMSAM_MODEL_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SEMSAM_RETURN_IF_ERROR(expr)                                    \
  do {                                                                  \
    if (::absl::Status semsam_status_ = (expr); !semsam_status_.ok()) { \
      return semsam_status_;                                            \
    }                                                                   \
  } while (false)

#define SEMSAM_MACRO_CONCAT_INNER_(a, b) a##b
#define SEMSAM_MACRO_CONCAT_(a, b) SEMSAM_MACRO_CONCAT_INNER_(a, b)

#define SEMSAM_ASSIGN_OR_RETURN(lhs, expr) \
  SEMSAM_ASSIGN_OR_RETURN_IMPL_(SEMSAM_MACRO_CONCAT_(semsam_statusor_, __LINE__), lhs, expr)

#define SEMSAM_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()

#endif  // SEMSAM_MODEL_BASE_STATUS_MACROS_H_
