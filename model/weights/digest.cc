#include "model/weights/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"

namespace semsam {

void Sha256::FreeContext::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  ok_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
}

Sha256::~Sha256() = default;

void Sha256::Update(std::span<const std::byte> bytes) {
  if (ok_) ok_ = EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

absl::StatusOr<std::string> Sha256::Hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (ok_) ok_ = EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1;
  if (!ok_) return absl::InternalError("OpenSSL cannot compute SHA-256");
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

absl::StatusOr<std::string> TensorDigest(const WeightMap& weights) {
  Sha256 hash;
  for (const auto& [name, tensor] : weights) {
    const std::string head = absl::StrCat(name.size(), ":", name, " ", DTypeName(tensor.dtype), " ",
                                          ShapeText(tensor.shape), "\n");
    hash.Update(std::as_bytes(std::span(head)));
    const auto size = static_cast<size_t>(SizeBytes(tensor));
    if (IsContiguous(tensor)) {
      hash.Update(tensor.data.first(size));
    } else {
      std::vector<std::byte> packed(size);
      SEMSAM_RETURN_IF_ERROR(CopyContiguous(tensor, packed));
      hash.Update(packed);
    }
  }
  return hash.Hex();
}

bool IsDigest(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace semsam
