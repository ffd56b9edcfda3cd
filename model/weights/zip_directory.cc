#include "model/weights/zip_directory.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/shown_name.h"

namespace semsam {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30;
constexpr size_t kCentralBytes = 46;
constexpr size_t kEndBytes = 22;
constexpr size_t kEnd64Bytes = 56;
constexpr size_t kLocator64Bytes = 20;
constexpr size_t kMaxCommentBytes = 65535;
constexpr uint64_t kMaxEntries = 1'000'000;
constexpr uint16_t kExtraZip64 = 0x0001;
constexpr uint32_t kIn64 = 0xffffffff;  // "see the zip64 record"

absl::Status Bad(const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat("zip archive: ", message));
}

// The caller has checked that the bytes are there.
template <typename T>
T Get(Bytes bytes, size_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

std::optional<Bytes> Slice(Bytes bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

struct Directory {
  uint64_t entries = 0;
  uint64_t size_bytes = 0;
  uint64_t offset = 0;
};

absl::StatusOr<Directory> ReadEnd64(Bytes archive, size_t end) {
  if (end < kLocator64Bytes ||
      Get<uint32_t>(archive, end - kLocator64Bytes) != kLocator64Signature) {
    return Bad("the zip64 locator is missing");
  }
  const auto offset = Get<uint64_t>(archive, end - kLocator64Bytes + 8);
  const std::optional<Bytes> record = Slice(archive, offset, kEnd64Bytes);
  if (!record || Get<uint32_t>(*record, 0) != kEnd64Signature) {
    return Bad("the zip64 end record is missing");
  }
  return Directory{.entries = Get<uint64_t>(*record, 32),
                   .size_bytes = Get<uint64_t>(*record, 40),
                   .offset = Get<uint64_t>(*record, 48)};
}

absl::StatusOr<Directory> FindDirectory(Bytes archive) {
  if (archive.size() < kEndBytes) return Bad("the file is too short");
  const size_t last = archive.size() - kEndBytes;
  const size_t first = last - std::min(last, kMaxCommentBytes);
  for (size_t at = last + 1; at-- > first;) {
    if (Get<uint32_t>(archive, at) != kEndSignature) continue;
    if (at + kEndBytes + Get<uint16_t>(archive, at + 20) != archive.size()) continue;
    if (Get<uint16_t>(archive, at + 4) != 0 && Get<uint16_t>(archive, at + 4) != 0xffff) {
      return Bad("it is one part of several");
    }
    const Directory directory{.entries = Get<uint16_t>(archive, at + 10),
                              .size_bytes = Get<uint32_t>(archive, at + 12),
                              .offset = Get<uint32_t>(archive, at + 16)};
    const bool in64 =
        directory.entries == 0xffff || directory.size_bytes == kIn64 || directory.offset == kIn64;
    if (in64) return ReadEnd64(archive, at);
    return directory;
  }
  return Bad("it has no end record: the file is cut short or no zip archive");
}

struct CentralRecord {
  std::string name;
  uint64_t stored_bytes = 0;  // in the archive
  uint64_t size_bytes = 0;    // of the entry
  uint64_t local_offset = 0;
};

// Replaces the fields that did not fit 32 bits by those of the zip64 extra field.
absl::Status ApplyZip64(Bytes extra, CentralRecord& record) {
  while (extra.size() >= 4) {
    const auto id = Get<uint16_t>(extra, 0);
    const auto size = Get<uint16_t>(extra, 2);
    const std::optional<Bytes> field = Slice(extra, 4, size);
    if (!field) break;
    if (id == kExtraZip64) {
      size_t at = 0;
      for (uint64_t* value : {&record.size_bytes, &record.stored_bytes, &record.local_offset}) {
        if (*value != kIn64) continue;
        if (at + 8 > field->size()) return Bad("a zip64 field is too short");
        *value = Get<uint64_t>(*field, at);
        at += 8;
      }
      return absl::OkStatus();
    }
    extra = extra.subspan(4 + size_t{size});
  }
  return absl::OkStatus();
}

// Reads the record at the start of `directory` and moves past it.
absl::StatusOr<CentralRecord> ReadCentral(Bytes& directory) {
  if (directory.size() < kCentralBytes || Get<uint32_t>(directory, 0) != kCentralSignature) {
    return Bad("the directory is damaged");
  }
  const auto name_bytes = Get<uint16_t>(directory, 28);
  const auto extra_bytes = Get<uint16_t>(directory, 30);
  const auto comment_bytes = Get<uint16_t>(directory, 32);
  const size_t total = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  if (total > directory.size()) return Bad("the directory is damaged");

  CentralRecord record{
      .name =
          std::string(reinterpret_cast<const char*>(directory.data()) + kCentralBytes, name_bytes),
      .stored_bytes = Get<uint32_t>(directory, 20),
      .size_bytes = Get<uint32_t>(directory, 24),
      .local_offset = Get<uint32_t>(directory, 42)};
  const auto flags = Get<uint16_t>(directory, 8);
  const auto method = Get<uint16_t>(directory, 10);
  SEMSAM_RETURN_IF_ERROR(
      ApplyZip64(directory.subspan(kCentralBytes + name_bytes, extra_bytes), record));
  const std::string shown = ShownName(record.name);
  if ((flags & 1) != 0) return Bad(absl::StrCat("entry ", shown, " is encrypted"));
  if (method != 0) {
    return Bad(absl::StrCat("entry ", shown, " is compressed (method ", method,
                            "); weights are read in place and must be stored"));
  }
  if (record.stored_bytes != record.size_bytes) {
    return Bad(absl::StrCat("entry ", shown, " is stored in another size than its own"));
  }
  directory = directory.subspan(total);
  return record;
}

absl::StatusOr<Bytes> EntryBytes(Bytes archive, const CentralRecord& record) {
  const std::string shown = ShownName(record.name);
  const std::optional<Bytes> local = Slice(archive, record.local_offset, kLocalBytes);
  if (!local || Get<uint32_t>(*local, 0) != kLocalSignature) {
    return Bad(absl::StrCat("entry ", shown, " has no local header"));
  }
  const auto name_bytes = Get<uint16_t>(*local, 26);
  const auto extra_bytes = Get<uint16_t>(*local, 28);
  const uint64_t name_offset = record.local_offset + kLocalBytes;  // inside: the header is
  const std::optional<Bytes> name = Slice(archive, name_offset, name_bytes);
  if (!name || record.name.size() != name_bytes ||
      std::memcmp(name->data(), record.name.data(), name_bytes) != 0) {
    return Bad(absl::StrCat("entry ", shown, " has another name in its local header"));
  }
  const std::optional<Bytes> bytes =
      Slice(archive, name_offset + name_bytes + extra_bytes, record.size_bytes);
  if (!bytes) return Bad(absl::StrCat("entry ", shown, " reaches beyond the end of the file"));
  return *bytes;
}

}  // namespace

absl::StatusOr<ZipEntries> ReadZipDirectory(Bytes archive) {
  SEMSAM_ASSIGN_OR_RETURN(const Directory found, FindDirectory(archive));
  if (found.entries > kMaxEntries) return Bad("it has too many entries");
  const std::optional<Bytes> slice = Slice(archive, found.offset, found.size_bytes);
  if (!slice) return Bad("the directory reaches beyond the end of the file");
  Bytes directory = *slice;
  ZipEntries entries;
  for (uint64_t i = 0; i < found.entries; ++i) {
    SEMSAM_ASSIGN_OR_RETURN(const CentralRecord record, ReadCentral(directory));
    SEMSAM_ASSIGN_OR_RETURN(const Bytes bytes, EntryBytes(archive, record));
    if (!entries.emplace(record.name, bytes).second) {
      return Bad(absl::StrCat("entry ", ShownName(record.name), " appears twice"));
    }
  }
  return entries;
}

}  // namespace semsam
