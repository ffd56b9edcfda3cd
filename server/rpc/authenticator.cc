#include "server/rpc/authenticator.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "server/cache/sha256.h"

namespace semsam {
namespace {

constexpr char kTokensField[] = "auth.tokens_file";
constexpr char kScheme[] = "bearer ";
constexpr size_t kSchemeBytes = sizeof(kScheme) - 1;
constexpr size_t kDigestDigits = 64;
constexpr size_t kMaxTokens = 10000;
// Longer ones are not worth hashing.
constexpr size_t kMaxTokenBytes = 8192;

bool IsDigest(std::string_view text) {
  return text.size() == kDigestDigits &&
         std::all_of(text.begin(), text.end(), absl::ascii_isxdigit);
}

absl::Status Unauthenticated(std::string_view message) {
  return ErrorWithReason(absl::StatusCode::kUnauthenticated, reason::kUnauthenticated, message);
}

}  // namespace

absl::Status AuthOptions::Validate() const {
  if (!tokens_file.empty() && trust_tenant_metadata) {
    return InvalidField("auth.trust_tenant_metadata", "tokens already tell the tenant");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Authenticator>> Authenticator::Create(const AuthOptions& options) {
  SEMSAM_RETURN_IF_ERROR(options.Validate());
  std::unique_ptr<Authenticator> authenticator(new Authenticator(options));
  SEMSAM_RETURN_IF_ERROR(authenticator->Reload());
  return authenticator;
}

Authenticator::Authenticator(const AuthOptions& options)
    : options_(options),
      file_(options.tokens_file, kTokensField),
      tokens_(std::make_shared<const Tokens>()) {}

absl::StatusOr<Authenticator::Tokens> Authenticator::ParseTokens(const std::string& path,
                                                                 std::string_view text) {
  Tokens tokens;
  int number = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const auto bad = [&](std::string_view what) {
      return InvalidField(kTokensField, absl::StrCat(path, ":", number, ": ", std::string(what)));
    };
    const absl::string_view content = line.substr(0, line.find('#'));
    const std::vector<std::string> words =
        absl::StrSplit(content, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.empty()) continue;
    if (words.size() != 2) return bad("wants a tenant and the SHA-256 of its token");
    if (!IsValidTenantName(words[0])) {
      return bad("a tenant's name has letters, digits, '-', '_' and '.', 64 at most");
    }
    if (!IsDigest(words[1])) return bad("a SHA-256 has 64 hexadecimal digits");
    if (tokens.size() == kMaxTokens) return bad(absl::StrCat("more than ", kMaxTokens, " tokens"));
    if (!tokens.emplace(absl::AsciiStrToLower(words[1]), TenantId{words[0]}).second) {
      return bad("the same token again");
    }
  }
  if (tokens.empty()) return InvalidField(kTokensField, absl::StrCat(path, ": holds no token"));
  return tokens;
}

absl::Status Authenticator::Reload() {
  if (options_.tokens_file.empty()) return absl::OkStatus();
  MutexLock lock(mutex_);
  SEMSAM_ASSIGN_OR_RETURN(const std::optional<std::string> text, file_.ReadIfChanged());
  if (!text.has_value()) return absl::OkStatus();
  SEMSAM_ASSIGN_OR_RETURN(Tokens tokens, ParseTokens(options_.tokens_file, *text));
  tokens_ = std::make_shared<const Tokens>(std::move(tokens));
  return absl::OkStatus();
}

absl::StatusOr<TenantId> Authenticator::ByToken(std::string_view authorization) const {
  const absl::string_view value(authorization.data(), authorization.size());
  if (!absl::StartsWithIgnoreCase(value, kScheme)) {
    return Unauthenticated("the authorization is no bearer token");
  }
  const absl::string_view token = absl::StripAsciiWhitespace(value.substr(kSchemeBytes));
  if (token.empty() || token.size() > kMaxTokenBytes) {
    return Unauthenticated("the token is unknown");
  }
  std::shared_ptr<const Tokens> tokens;
  {
    MutexLock lock(mutex_);
    tokens = tokens_;
  }
  // By digest: what the time of a search tells is about digests, from which no token
  // follows.
  const auto found = tokens->find(Sha256Hex({token.data(), token.size()}));
  if (found == tokens->end()) return Unauthenticated("the token is unknown");
  return found->second;
}

absl::StatusOr<TenantId> Authenticator::Authenticate(std::optional<std::string_view> authorization,
                                                     std::optional<std::string_view> tenant) const {
  if (!options_.tokens_file.empty()) {
    if (!authorization.has_value()) {
      return Unauthenticated("this server wants a token: metadata 'authorization: Bearer TOKEN'");
    }
    return ByToken(*authorization);
  }
  if (!options_.trust_tenant_metadata || !tenant.has_value()) return TenantId{};
  if (!IsValidTenantName(*tenant)) {
    return Unauthenticated(absl::StrCat("metadata '", kTenantKey, "' is no tenant's name"));
  }
  return TenantId{std::string(*tenant)};
}

}  // namespace semsam
