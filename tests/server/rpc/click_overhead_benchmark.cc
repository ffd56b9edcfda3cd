// What the protocol costs a click: on an Interact stream, minus the same click made
// in the process, over a model that answers at once.
//
// Blocks of each way are interleaved, so that what else the machine does falls on all
// of them. Differences are of the medians of one round of blocks; printed are their
// median and their range over the rounds. The floor is a click that the stream refuses
// before the engine sees it: a message there and one back, and nothing else.
// Client and server share this process.
#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "model/base/mutex.h"
#include "semsam/v1/segmentation_service.grpc.pb.h"
#include "server/metrics/metrics.h"
#include "server/pipeline/engine.h"
#include "server/rpc/rpc_server.h"
#include "tests/fakes/fake_image_stages.h"
#include "tests/fakes/fake_segmenter.h"

ABSL_FLAG(int, clicks, 500, "clicks a block");
ABSL_FLAG(int, rounds, 15, "rounds of blocks");
ABSL_FLAG(int, mask_bytes, 1500, "bytes of an encoded mask, as run lengths have them");

namespace semsam {
namespace {

constexpr double kGoalUs = 100;

using Levels = std::vector<int64_t>;
using Way = std::function<double()>;  // one click, in microseconds

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <typename Work>
double MicrosecondsOf(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  return took.count();
}

template <typename Value>
Value Need(absl::StatusOr<Value> value) {
  if (!value.ok()) {
    std::cerr << value.status() << "\n";
    std::exit(EXIT_FAILURE);
  }
  return *std::move(value);
}

// A grid of a few pixels: what is left is the way there and back.
ModelConfig TinyConfig() {
  ModelConfig config = SwinT();
  config.short_edge_px = 64;
  return config;
}

// Set by one thread, awaited by another, again and again.
class Signal {
 public:
  void Set() {
    MutexLock lock(mutex_);
    set_ = true;
    changed_.NotifyAll();
  }
  void Await() {
    MutexLock lock(mutex_);
    while (!set_) changed_.Wait(mutex_);
    set_ = false;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mutex_) = false;
};

// An engine with one image in it.
struct Service {
  Service() : segmenter({.config = TinyConfig()}), stages(TinyConfig(), nullptr, MaskBytes()) {
    engine = Need(Engine::Create({.cpu_threads = 1}, {&segmenter}, stages, clock, metrics));
    image.session_id = Need(engine->CreateSession({}, absl::ZeroDuration())).session_id;
    ImageUpload upload = Need(engine->BeginUpload({}, {.session_id = image.session_id}));
    if (!upload.Append(FakeImageBytes(64, 64)).ok()) std::exit(EXIT_FAILURE);
    Signal done;
    engine->FinishUpload(std::move(upload), {}, [&](absl::StatusOr<UploadedImage> uploaded) {
      image.image_id = Need(std::move(uploaded)).image.image_id;
      done.Set();
    });
    done.Await();
  }

  static size_t MaskBytes() {
    return static_cast<size_t>(std::max(0, absl::GetFlag(FLAGS_mask_bytes)));
  }

  RealClock clock;
  Metrics metrics{MetricsInfo{}};
  FakeSegmenter segmenter;
  FakeImageStages stages;
  std::unique_ptr<Engine> engine;
  ImageReference image;
};

class InProcess {
 public:
  InProcess(Service& service, Levels levels) : service_(service), levels_(std::move(levels)) {}

  double Click() {
    return MicrosecondsOf([this] {
      service_.engine->Segment(
          {.image = service_.image,
           .prompts = {{.shape = UserClick{32, 32}}},
           .options = {.levels = levels_}},
          {.deadline = service_.engine->EffectiveDeadline(absl::InfiniteFuture())},
          {.on_mask = [](const SegmentMask&) {},
           .on_done =
               [this](const absl::StatusOr<SegmentSummary>& summary) {
                 if (!summary.ok()) std::exit(EXIT_FAILURE);
                 done_.Set();
               }});
      done_.Await();
    });
  }

 private:
  Service& service_;
  const Levels levels_;
  Signal done_;
};

class OnStream {
 public:
  OnStream(Service& service, const std::string& address, const Levels& levels)
      : stub_(v1::SegmentationService::NewStub(
            grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))),
        stream_(stub_->Interact(&context_)) {
    v1::InteractRequest start;
    start.mutable_start()->set_session_id(service.image.session_id);
    start.mutable_start()->set_image_id(service.image.image_id);
    start.mutable_start()->mutable_options()->mutable_levels()->Add(levels.begin(), levels.end());
    stream_->Write(start);
  }
  ~OnStream() {
    stream_->WritesDone();
    v1::InteractResponse response;
    while (stream_->Read(&response)) {
    }
    (void)stream_->Finish();
  }
  OnStream(const OnStream&) = delete;
  OnStream& operator=(const OnStream&) = delete;

  double Click() { return Send(/*prompts=*/1, v1::InteractEvent::kSummary); }
  double Refused() { return Send(/*prompts=*/0, v1::InteractEvent::kError); }
  double responses_a_click() const { return static_cast<double>(responses_) / clicks_; }

 private:
  double Send(int prompts, v1::InteractEvent::PayloadCase last) {
    return MicrosecondsOf([&] {
      v1::InteractRequest request;
      request.mutable_click()->set_correlation_id(++id_);
      for (int i = 0; i < prompts; ++i) {
        v1::Click& click = *request.mutable_click()->add_prompts()->mutable_click();
        click.set_x(32);
        click.set_y(32);
      }
      if (!stream_->Write(request)) std::exit(EXIT_FAILURE);
      clicks_ += prompts;
      while (true) {
        v1::InteractResponse response;
        if (!stream_->Read(&response)) std::exit(EXIT_FAILURE);
        responses_ += prompts;
        if (response.events().rbegin()->payload_case() == last) return;
      }
    });
  }

  grpc::ClientContext context_;
  const std::unique_ptr<v1::SegmentationService::Stub> stub_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::InteractRequest, v1::InteractResponse>>
      stream_;
  uint64_t id_ = 0;
  int64_t clicks_ = 0;
  int64_t responses_ = 0;
};

std::vector<double> Block(const Way& way) {
  std::vector<double> times_us(std::max(1, absl::GetFlag(FLAGS_clicks)));
  for (double& time_us : times_us) time_us = way();
  return times_us;
}

struct Range {
  double median = 0;
  double least = 0;
  double most = 0;
};

Range RangeOf(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {.median = Median(values), .least = *least, .most = *most};
}

void Print(const std::string& name, const Range& range) {
  std::cout << "  " << std::left << std::setw(44) << name << std::right << std::fixed
            << std::setprecision(1) << std::setw(8) << range.median << " us  (" << range.least
            << " to " << range.most << ")\n";
}

// The median of each round, by way; the first round warms up and does not count.
std::vector<std::vector<double>> RunRounds(const std::vector<Way>& ways) {
  std::vector<std::vector<double>> medians(ways.size());
  const int rounds = std::max(1, absl::GetFlag(FLAGS_rounds));
  for (int round = 0; round <= rounds; ++round) {
    for (size_t way = 0; way < ways.size(); ++way) {
      const double median = Median(Block(ways[way]));
      if (round > 0) medians[way].push_back(median);
    }
  }
  return medians;
}

std::vector<double> Differences(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> differences(a.size());
  std::transform(a.begin(), a.end(), b.begin(), differences.begin(), std::minus<>());
  return differences;
}

void Compare(Service& service, const std::string& unix_address, const std::string& tcp_address,
             const Levels& levels) {
  InProcess in_process(service, levels);
  OnStream unix_stream(service, unix_address, levels);
  OnStream tcp_stream(service, tcp_address, levels);
  const std::vector<std::vector<double>> medians =
      RunRounds({[&] { return in_process.Click(); }, [&] { return unix_stream.Click(); },
                 [&] { return tcp_stream.Click(); }, [&] { return unix_stream.Refused(); },
                 [&] { return tcp_stream.Refused(); }});
  std::cout << "\nA click at " << levels.size() << (levels.size() == 1 ? " level" : " levels")
            << ", median of a block: median and range over the rounds\n";
  Print("in the process", RangeOf(medians[0]));
  Print("on a stream, unix socket", RangeOf(medians[1]));
  Print("on a stream, TCP", RangeOf(medians[2]));
  Print("floor, unix socket", RangeOf(medians[3]));
  Print("floor, TCP", RangeOf(medians[4]));
  const Range unix_cost = RangeOf(Differences(medians[1], medians[0]));
  const Range tcp_cost = RangeOf(Differences(medians[2], medians[0]));
  Print("stream minus in the process, unix socket", unix_cost);
  Print("stream minus in the process, TCP", tcp_cost);
  std::cout << "  messages a click: " << unix_stream.responses_a_click() << " on the unix socket, "
            << tcp_stream.responses_a_click() << " on TCP\n";
  for (const auto& [name, cost] : {std::pair{"unix socket", unix_cost}, {"TCP", tcp_cost}}) {
    std::cout << "  goal " << kGoalUs << " us, " << name << ": "
              << (cost.median <= kGoalUs ? "met" : "missed") << "\n";
  }
}

void Run() {
  Service service;
  const std::filesystem::path socket =
      std::filesystem::temp_directory_path() /
      absl::StrCat("click_overhead_", absl::ToUnixNanos(absl::Now()));
  {
    const auto on_unix = Need(RpcServer::Start({.listen = absl::StrCat("unix:", socket.string())},
                                               *service.engine, service.metrics, service.clock));
    const auto on_tcp = Need(RpcServer::Start({.listen = "127.0.0.1:0"}, *service.engine,
                                              service.metrics, service.clock));
    std::cout << absl::GetFlag(FLAGS_rounds) << " rounds of " << absl::GetFlag(FLAGS_clicks)
              << " clicks, masks of " << Service::MaskBytes() << " bytes\n";
    Compare(service, on_unix->address(), on_tcp->address(), {3});
    Compare(service, on_unix->address(), on_tcp->address(), {1, 2, 3, 4, 5, 6});
  }
  service.engine->Shutdown();
  std::filesystem::remove(socket);
}

}  // namespace
}  // namespace semsam

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  semsam::Run();
  return EXIT_SUCCESS;
}
