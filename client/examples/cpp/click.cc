// click HOST:PORT IMAGE X Y: the masks of one click, a line each.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "semsam/client/client.h"

namespace {

namespace client = semsam::client;

absl::Status Run(const std::string& server, const std::string& path, client::Click click) {
  std::ifstream file(path, std::ios::binary);
  const auto image = std::make_shared<const std::string>(std::istreambuf_iterator<char>(file),
                                                         std::istreambuf_iterator<char>());

  auto connected = client::Client::Connect({.target = server});
  if (!connected.ok()) return connected.status();
  client::Client& semsam = **connected;
  const auto session = semsam.CreateSession();
  if (!session.ok()) return session.status();
  const auto upload = semsam.UploadImage(session->session_id, *image);
  if (!upload.ok()) return upload.status();

  const client::SegmentRequest request{.session_id = session->session_id,
                                       .image_id = upload->image.image_id,
                                       .prompts = {{.shape = click}},
                                       .recovery_image = image};
  const auto summary = semsam.Segment(request, [](const client::Mask& mask) {
    const auto bitmap = client::DecodeMask(mask);  // one byte a pixel
    std::cout << "level " << mask.level << ": predicted IoU " << mask.predicted_iou << ", "
              << mask.area_px << " of " << (bitmap.ok() ? bitmap->size.area() : 0) << " px\n";
    return bitmap.ok();
  });
  if (!summary.ok()) return summary.status();
  return semsam.DeleteSession(session->session_id);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: click HOST:PORT IMAGE X Y\n";
    return 1;
  }
  const absl::Status status = Run(
      argv[1], argv[2], {.x = std::strtof(argv[3], nullptr), .y = std::strtof(argv[4], nullptr)});
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
