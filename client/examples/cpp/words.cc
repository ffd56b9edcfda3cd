// words HOST:PORT IMAGE X Y WORD OTHER_WORD: what a click's masks are called, and
// called anew without another run of the decoder.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "semsam/client/client.h"

namespace {

namespace client = semsam::client;

void Print(uint64_t mask_id, const std::vector<client::Label>& labels) {
  std::cout << "mask " << mask_id << ":";
  for (const client::Label& label : labels) std::cout << " " << label.name << " " << label.score;
  std::cout << "\n";
}

absl::Status Run(const std::string& server, const std::string& path, client::Click click,
                 const std::string& word, const std::string& other_word) {
  std::ifstream file(path, std::ios::binary);
  const std::string image{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};

  auto connected = client::Client::Connect({.target = server});
  if (!connected.ok()) return connected.status();
  client::Client& semsam = **connected;
  const auto session = semsam.CreateSession();
  if (!session.ok()) return session.status();
  const auto upload = semsam.UploadImage(session->session_id, image);
  if (!upload.ok()) return upload.status();

  std::vector<uint64_t> mask_ids;
  const auto summary = semsam.Segment({.session_id = session->session_id,
                                       .image_id = upload->image.image_id,
                                       .prompts = {{.shape = click}},
                                       .labels = {.objects = {.words = {word}}}},
                                      [&mask_ids](const client::Mask& mask) {
                                        mask_ids.push_back(mask.mask_id);
                                        Print(mask.mask_id, mask.object_labels);
                                        return true;
                                      });
  if (!summary.ok()) return summary.status();

  const auto named = semsam.RefreshLabels({.session_id = session->session_id,
                                           .mask_ids = mask_ids,
                                           .labels = {.objects = {.words = {other_word}}}});
  if (!named.ok()) return named.status();
  for (const client::MaskLabels& mask : named->masks) Print(mask.mask_id, mask.object_labels);
  return semsam.DeleteSession(session->session_id);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: words HOST:PORT IMAGE X Y WORD OTHER_WORD\n";
    return 1;
  }
  const absl::Status status = Run(
      argv[1], argv[2], {.x = std::strtof(argv[3], nullptr), .y = std::strtof(argv[4], nullptr)},
      argv[5], argv[6]);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
