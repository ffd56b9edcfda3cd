// Keys and certificates for tests of TLS.
#ifndef SEMSAM_TESTS_FAKES_TLS_IDENTITY_H_
#define SEMSAM_TESTS_FAKES_TLS_IDENTITY_H_

#include <string>

namespace semsam {

// A key and a certificate for "localhost" that vouches for itself, both PEM, valid for
// an hour.
struct TlsIdentity {
  std::string key;
  std::string certificate;
};

// Another one each time.
TlsIdentity MakeTlsIdentity();

}  // namespace semsam

#endif  // SEMSAM_TESTS_FAKES_TLS_IDENTITY_H_
