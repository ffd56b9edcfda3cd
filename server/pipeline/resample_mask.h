// A mask at another resolution, without its logits.
#ifndef SEMSAM_SERVER_PIPELINE_RESAMPLE_MASK_H_
#define SEMSAM_SERVER_PIPELINE_RESAMPLE_MASK_H_

#include "model/base/types.h"

namespace semsam {

// Each pixel of the result is that of `runs` under its centre. Neither size is
// empty. Holds the mask at its own size, and two rows of the other. Thread-safe.
RunLengths ResampleMask(const RunLengths& runs, ImageSize size);

}  // namespace semsam

#endif  // SEMSAM_SERVER_PIPELINE_RESAMPLE_MASK_H_
