// Load reports as one SVG picture.
#ifndef SEMSAM_CLIENT_LOAD_PLOT_H_
#define SEMSAM_CLIENT_LOAD_PLOT_H_

#include <string>
#include <vector>

#include "client/load/report.h"

namespace semsam::load {

// Latency by percentile, every kind of every report a line, both axes logarithmic; and
// for each report the calls due and done over time. At least one report.
std::string DrawPlot(const std::vector<LoadReport>& reports);

}  // namespace semsam::load

#endif  // SEMSAM_CLIENT_LOAD_PLOT_H_
