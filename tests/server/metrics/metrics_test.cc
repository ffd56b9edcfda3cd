#include "server/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/base/errors.h"

namespace semsam {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MetricsInfo Info() {
  return {.version = "1.2.3",
          .model_name = "swin-t",
          .model_digest = "abcd",
          .device = "cpu",
          .trained = false,
          .workers = 2};
}

TEST(Metrics, EverySeriesIsThereFromTheStart) {
  const Metrics metrics(Info());
  const std::string text = metrics.Text();
  for (const char* line : {
           "semsam_requests_total{code=\"OK\",method=\"Segment\"} 0\n",
           "semsam_requests_total{code=\"UNAUTHENTICATED\",method=\"GetServerInfo\"} 0\n",
           "semsam_request_duration_seconds_count{method=\"UploadImage\"} 0\n",
           "semsam_time_to_first_mask_seconds_count 0\n",
           "semsam_rejections_total{reason=\"QUEUE_FULL\"} 0\n",
           "semsam_rejections_total{reason=\"OTHER\"} 0\n",
           "semsam_cancellations_total{stage=\"decode_queue\"} 0\n",
           "semsam_queue_depth{queue=\"encode\"} 0\n",
           "semsam_queue_capacity{queue=\"masks\"} 0\n",
           "semsam_queue_wait_seconds_count{queue=\"images\"} 0\n",
           "semsam_stage_duration_seconds_count{stage=\"decoder\"} 0\n",
           "semsam_batch_size_count{unit=\"queries\"} 0\n",
           "semsam_cache_bytes 0\n",
           "semsam_cache_capacity_bytes 0\n",
           "semsam_cache_entries 0\n",
           "semsam_cache_lookups_total{outcome=\"hit\"} 0\n",
           "semsam_cache_evictions_total{tier=\"device\"} 0\n",
           "semsam_cache_evictions_total{tier=\"host\"} 0\n",
           "semsam_cache_evictions_total{tier=\"disk\"} 0\n",
           "semsam_cache_tier_lookups_total{outcome=\"miss\",tier=\"host\"} 0\n",
           "semsam_cache_tier_lookups_total{outcome=\"failed\",tier=\"disk\"} 0\n",
           "semsam_cache_tier_bytes{tier=\"host\"} 0\n",
           "semsam_cache_tier_capacity_bytes{tier=\"disk\"} 0\n",
           "semsam_cache_tier_entries{tier=\"disk\"} 0\n",
           "semsam_cache_tier_errors_total{tier=\"disk\"} 0\n",
           "semsam_cache_demotions_total{outcome=\"dropped\"} 0\n",
           "semsam_queue_depth{queue=\"tier_find\"} 0\n",
           "semsam_queue_depth{queue=\"demote\"} 0\n",
           "semsam_queue_depth{queue=\"load\"} 0\n",
           "semsam_stage_duration_seconds_count{stage=\"tier_load\"} 0\n",
           "semsam_cancellations_total{stage=\"tier_queue\"} 0\n",
           "semsam_requests_total{code=\"OK\",method=\"GenerateMasks\"} 0\n",
           "semsam_rejections_total{reason=\"MASK_NOT_FOUND\"} 0\n",
           "semsam_cancellations_total{stage=\"background_queue\"} 0\n",
           "semsam_queue_depth{queue=\"text\"} 0\n",
           "semsam_queue_depth{queue=\"results\"} 0\n",
           "semsam_stage_duration_seconds_count{stage=\"text\"} 0\n",
           "semsam_stage_duration_seconds_count{stage=\"regions\"} 0\n",
           "semsam_batch_size_count{unit=\"terms\"} 0\n",
           "semsam_text_cache_bytes 0\n",
           "semsam_text_cache_capacity_bytes 0\n",
           "semsam_text_cache_entries 0\n",
           "semsam_text_cache_lookups_total{outcome=\"joined\"} 0\n",
           "semsam_text_cache_evictions_total 0\n",
           "semsam_word_bytes 0\n",
           "semsam_mask_query_bytes 0\n",
           "semsam_background_calls_active 0\n",
           "semsam_result_bytes 0\n",
           "semsam_sessions_active 0\n",
           "semsam_sessions_created_total 0\n",
           "semsam_sessions_closed_total{cause=\"max_age\"} 0\n",
           "semsam_retained_image_bytes 0\n",
           "semsam_unlisted_images 0\n",
           "semsam_recent_requests 0\n",
           "semsam_requests_total{code=\"OK\",method=\"AttachImage\"} 0\n",
           "semsam_rejections_total{reason=\"QUOTA_EXCEEDED\"} 0\n",
           "semsam_upload_buffer_bytes 0\n",
           "semsam_segment_calls_active 0\n",
           "semsam_mask_bytes_count 0\n",
           "semsam_ready 0\n",
           "semsam_draining 0\n",
           "semsam_log_lines_dropped_total 0\n",
           "semsam_device_faults_total 0\n",
           "semsam_worker_busy_seconds_total{worker=\"0\"} 0\n",
           "semsam_worker_cache_bytes{worker=\"1\"} 0\n",
           "semsam_device_memory_used_bytes{worker=\"0\"} 0\n",
           "semsam_device_memory_capacity_bytes{worker=\"1\"} 0\n",
           "semsam_image_placements_total{outcome=\"home\"} 0\n",
           "semsam_image_placements_total{outcome=\"spilled\"} 0\n",
           "semsam_rejections_total{reason=\"DEVICE_FAULT\"} 0\n",
           "semsam_rejections_total{reason=\"DEADLINE_UNMEETABLE\"} 0\n",
           "semsam_reload_failures_total{file=\"tokens\"} 0\n",
           "semsam_certificate_expiry_timestamp_seconds 0\n",
           "semsam_rejections_total{reason=\"UNAUTHENTICATED\"} 0\n",
           "semsam_build_info{version=\"1.2.3\"} 1\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, HasSubstr("semsam_model_info{device=\"cpu\",digest=\"abcd\",name=\"swin-t\","
                              "trained=\"false\"} 1\n"));
}

TEST(Metrics, RecordsLandInTheirSeries) {
  Metrics metrics(Info());
  metrics.RecordRequest(Method::kSegment, absl::StatusCode::kNotFound, absl::Milliseconds(20));
  metrics.RecordRejection(reason::kImageNotFound);
  metrics.RecordRejection("something new");
  metrics.RecordStage(Stage::kEncode, absl::Seconds(2));
  metrics.RecordBatch(BatchKind::kQueries, 12);
  metrics.AddToQueueDepth(Queue::kDecode, 5, 30);
  metrics.AddToQueueDepth(Queue::kDecode, -2, -12);
  metrics.RecordBusy(1, absl::Seconds(3));
  metrics.RecordBusy(2, absl::Seconds(5));  // there is none
  metrics.SetWorkerCacheBytes(0, 70);
  metrics.RecordPlacement(Placement::kSpilled);
  metrics.SetCapacity(Bounded::kCacheBytes, 100);
  metrics.SetUsed(Bounded::kCacheBytes, 40);
  metrics.RecordLookup(LookupOutcome::kMiss);
  metrics.RecordEvictions(5);
  metrics.RecordTierLookup(Tier::kHost, TierOutcome::kHit);
  metrics.RecordTierLookup(Tier::kDisk, TierOutcome::kMiss);
  metrics.RecordTierError(Tier::kDisk);
  metrics.SetTier(Tier::kHost, {.bytes = 30, .capacity_bytes = 50, .entries = 3, .evicted = 2});
  metrics.SetTier(Tier::kHost, {.bytes = 40, .capacity_bytes = 50, .entries = 4, .evicted = 6});
  metrics.RecordDemotion(Demotion::kDropped);
  metrics.RecordSessionClosed(SessionClose::kIdle);
  metrics.RecordCancellation(CancelStage::kMasks);
  metrics.RecordTextLookup(LookupOutcome::kHit);
  metrics.RecordTextEvictions(3);
  metrics.SetTextCacheEntries(5);
  metrics.RecordStage(Stage::kRegions, absl::Seconds(3));
  metrics.RecordStage(Stage::kUpsample, absl::Microseconds(200));
  metrics.SetUsed(Bounded::kMaskQueryBytes, 77);
  metrics.SetReady(true);
  metrics.RecordReloadFailure(Reloaded::kCertificate);
  metrics.SetCertificateExpiry(absl::FromUnixSeconds(1234));
  metrics.SetLogLinesDropped(4);
  metrics.SetLogLinesDropped(6);
  metrics.RecordDeviceFault();
  metrics.SetDeviceMemory(1, 30, 80);
  metrics.SetDeviceMemory(2, 30, 80);  // there is no such worker
  const std::string text = metrics.Text();
  for (const char* line : {
           "semsam_requests_total{code=\"NOT_FOUND\",method=\"Segment\"} 1\n",
           "semsam_request_duration_seconds_bucket{method=\"Segment\",le=\"0.025\"} 1\n",
           "semsam_stage_duration_seconds_bucket{stage=\"upsample\",le=\"0.0001\"} 0\n",
           "semsam_stage_duration_seconds_bucket{stage=\"upsample\",le=\"0.00025\"} 1\n",
           "semsam_rejections_total{reason=\"IMAGE_NOT_FOUND\"} 1\n",
           "semsam_rejections_total{reason=\"OTHER\"} 1\n",
           "semsam_stage_duration_seconds_sum{stage=\"encode\"} 2\n",
           "semsam_batch_size_sum{unit=\"queries\"} 12\n",
           "semsam_queue_depth{queue=\"decode\"} 3\n",
           "semsam_queue_units{queue=\"decode\"} 18\n",
           "semsam_worker_busy_seconds_total{worker=\"0\"} 0\n",
           "semsam_worker_busy_seconds_total{worker=\"1\"} 3\n",
           "semsam_worker_cache_bytes{worker=\"0\"} 70\n",
           "semsam_device_memory_used_bytes{worker=\"0\"} 0\n",
           "semsam_device_memory_used_bytes{worker=\"1\"} 30\n",
           "semsam_device_memory_capacity_bytes{worker=\"1\"} 80\n",
           "semsam_image_placements_total{outcome=\"spilled\"} 1\n",
           "semsam_cache_capacity_bytes 100\n",
           "semsam_cache_bytes 40\n",
           "semsam_cache_lookups_total{outcome=\"miss\"} 1\n",
           "semsam_cache_evictions_total{tier=\"device\"} 5\n",
           "semsam_cache_evictions_total{tier=\"host\"} 6\n",
           "semsam_cache_evictions_total{tier=\"disk\"} 0\n",
           "semsam_cache_tier_lookups_total{outcome=\"hit\",tier=\"host\"} 1\n",
           "semsam_cache_tier_lookups_total{outcome=\"miss\",tier=\"disk\"} 1\n",
           "semsam_cache_tier_errors_total{tier=\"disk\"} 1\n",
           "semsam_cache_tier_bytes{tier=\"host\"} 40\n",
           "semsam_cache_tier_capacity_bytes{tier=\"host\"} 50\n",
           "semsam_cache_tier_entries{tier=\"host\"} 4\n",
           "semsam_cache_demotions_total{outcome=\"dropped\"} 1\n",
           "semsam_sessions_closed_total{cause=\"idle\"} 1\n",
           "semsam_cancellations_total{stage=\"masks\"} 1\n",
           "semsam_text_cache_lookups_total{outcome=\"hit\"} 1\n",
           "semsam_text_cache_evictions_total 3\n",
           "semsam_text_cache_entries 5\n",
           "semsam_stage_duration_seconds_sum{stage=\"regions\"} 3\n",
           "semsam_mask_query_bytes 77\n",
           "semsam_ready 1\n",
           "semsam_log_lines_dropped_total 6\n",
           "semsam_device_faults_total 1\n",
           "semsam_reload_failures_total{file=\"certificate\"} 1\n",
           "semsam_certificate_expiry_timestamp_seconds 1234\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, StatusCodesKeepTheirNames) {
  Metrics metrics(Info());
  metrics.RecordRequest(Method::kGetSession, absl::StatusCode::kUnavailable, absl::Seconds(1));
  metrics.RecordRequest(Method::kGetSession, absl::StatusCode::kUnauthenticated, absl::Seconds(1));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("semsam_requests_total{code=\"UNAVAILABLE\",method=\"GetSession\"} 1\n"));
  EXPECT_THAT(
      metrics.Text(),
      HasSubstr("semsam_requests_total{code=\"UNAUTHENTICATED\",method=\"GetSession\"} 1\n"));
  EXPECT_THAT(metrics.Text(),
              Not(HasSubstr("semsam_requests_total{code=\"OK\",method=\"GetSession\"} 1\n")));
}

}  // namespace
}  // namespace semsam
