#include "server/rpc/readiness.h"

#include <algorithm>

#include "semsam/v1/segmentation_service.grpc.pb.h"

namespace semsam {

void Readiness::Attach(grpc::HealthCheckServiceInterface& health) {
  MutexLock lock(mutex_);
  health_.push_back(&health);
  Publish();
}

void Readiness::Detach(const grpc::HealthCheckServiceInterface& health) {
  MutexLock lock(mutex_);
  health_.erase(std::remove(health_.begin(), health_.end(), &health), health_.end());
}

void Readiness::WarmedUp() {
  MutexLock lock(mutex_);
  warm_ = true;
  Publish();
}

void Readiness::StartDrain() {
  MutexLock lock(mutex_);
  draining_ = true;
  Publish();
}

void Readiness::ReportFault() {
  MutexLock lock(mutex_);
  faulty_ = true;
  Publish();
}

void Readiness::Publish() {
  const bool ready = warm_ && !draining_ && !faulty_;
  for (grpc::HealthCheckServiceInterface* health : health_) {
    health->SetServingStatus("", ready);
    health->SetServingStatus(v1::SegmentationService::service_full_name(), ready);
    health->SetServingStatus(kLiveService, !faulty_);
  }
  metrics_.SetReady(ready);
}

}  // namespace semsam
