// Uses the installed client as an outside program would; exits with 0 if the
// library links and behaves.
#include <iostream>

#include "semsam/client/client.h"

int main() {
  const auto bitmap = semsam::client::DecodeCocoRle("112", {.height = 2, .width = 2});
  if (!bitmap.ok() || bitmap->pixels != std::vector<uint8_t>{0, 0, 1, 0}) {
    std::cerr << "a mask does not decode: " << bitmap.status() << "\n";
    return 1;
  }
  // Nobody listens on port 1: the error shows that gRPC is linked and runs.
  const auto client = semsam::client::Client::Connect(
      {.target = "127.0.0.1:1", .connect_timeout = absl::Seconds(10)});
  if (!absl::IsUnavailable(client.status())) {
    std::cerr << "expected UNAVAILABLE, got " << client.status() << "\n";
    return 1;
  }
  std::cout << client.status() << "\n";
  return 0;
}
