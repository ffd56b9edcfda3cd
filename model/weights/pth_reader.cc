#include "model/weights/pth_reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/errors.h"
#include "model/base/status_macros.h"
#include "model/weights/pickle.h"
#include "model/weights/shown_name.h"
#include "model/weights/zip_directory.h"

namespace semsam {
namespace {

using Bytes = std::span<const std::byte>;
using Kind = PickleObject::Kind;

// LONG1 of the magic number that opens the old format, with its PROTO and STOP.
constexpr unsigned char kLegacyMagic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                          0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
constexpr int64_t kLegacyProtocol = 1001;
constexpr size_t kMaxTensors = 100'000;
constexpr std::string_view kPrefixes[] = {"module.", "model."};

// Storage key -> its bytes.
using Storages = std::map<std::string, Bytes, std::less<>>;

absl::Status Bad(const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat("checkpoint: ", message));
}

bool StartsWith(Bytes bytes, std::span<const unsigned char> start) {
  return bytes.size() >= start.size() && std::memcmp(bytes.data(), start.data(), start.size()) == 0;
}

bool IsZip(Bytes bytes) {
  constexpr unsigned char kZipMagic[] = {'P', 'K', 3, 4};
  return StartsWith(bytes, kZipMagic);
}

absl::StatusOr<int64_t> StorageBytes(const PickleStorage& storage) {
  const absl::StatusOr<int64_t> bytes = CheckedBytes({&storage.elements, 1}, storage.dtype);
  if (bytes.ok()) return *bytes;
  return Bad(absl::StrCat("storage ", ShownName(storage.key), " has an impossible size"));
}

absl::StatusOr<TensorView> MakeTensor(const Pickle& pickle, const PickleTensor& tensor,
                                      std::string_view name, const Storages& storages) {
  const PickleStorage& storage = pickle.storages[tensor.storage];
  const std::string shown = ShownName(name);
  const auto found = storages.find(storage.key);
  if (found == storages.end()) {
    return Bad(absl::StrCat("tensor ", shown, " lies in storage ", ShownName(storage.key),
                            ", which the file lacks"));
  }
  SEMSAM_ASSIGN_OR_RETURN(const int64_t expected_bytes, StorageBytes(storage));
  if (found->second.size() != static_cast<size_t>(expected_bytes)) {
    return Bad(absl::StrCat("storage ", ShownName(storage.key), " of tensor ", shown, " holds ",
                            found->second.size(), " bytes instead of ", expected_bytes));
  }
  if (tensor.offset < 0 || tensor.offset > storage.elements ||
      tensor.shape.size() != tensor.strides.size()) {
    return Bad(absl::StrCat("tensor ", shown, " does not lie inside its storage"));
  }
  TensorView view{
      .name = std::string(name),
      .dtype = storage.dtype,
      .shape = tensor.shape,
      .strides = tensor.strides,
      .data = found->second.subspan(static_cast<size_t>(tensor.offset) * ItemBytes(storage.dtype))};
  SEMSAM_RETURN_IF_ERROR(Annotate(CheckTensor(view), "checkpoint"));
  // Strides of zero could make terabytes of one number.
  if (Elements(view) > storage.elements) {
    return Bad(absl::StrCat("tensor ", shown, " has more elements than its storage"));
  }
  if (IsContiguous(view)) {
    view.strides.clear();
    view.data = view.data.first(static_cast<size_t>(SizeBytes(view)));
  }
  return view;
}

absl::StatusOr<std::vector<TensorView>> StateTensors(const Pickle& pickle,
                                                     const Storages& storages) {
  const PickleObject* state = &pickle.root_object();
  for (const char* wrapper : {"model", "state_dict"}) {
    const PickleObject* wrapped = pickle.Find(*state, wrapper);
    if (wrapped == nullptr) continue;
    state = wrapped;
    break;
  }
  if (state->kind != Kind::kDict) return Bad("it holds no dictionary of tensors");
  std::vector<TensorView> tensors;
  std::set<std::string_view> names;
  for (size_t i = 0; i + 1 < state->items.size(); i += 2) {
    const PickleObject& key = pickle.objects[state->items[i]];
    const PickleObject& value = pickle.objects[state->items[i + 1]];
    if (key.kind != Kind::kText || value.kind != Kind::kTensor) continue;
    if (!names.insert(key.text).second) {
      return Bad(absl::StrCat("tensor ", ShownName(key.text), " appears twice"));
    }
    if (names.size() > kMaxTensors) return Bad("it holds too many tensors");
    SEMSAM_ASSIGN_OR_RETURN(
        TensorView tensor,
        MakeTensor(pickle, pickle.tensors[static_cast<size_t>(value.integer)], key.text, storages));
    tensors.push_back(std::move(tensor));
  }
  if (tensors.empty()) return Bad("it holds no tensors");
  return tensors;
}

std::string_view WithoutPrefixes(std::string_view name) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view prefix : kPrefixes) {
      if (name.substr(0, prefix.size()) != prefix) continue;
      name.remove_prefix(prefix.size());
      found = true;
    }
  }
  return name;
}

std::string_view Text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// "<archive>/" of the archive's "<archive>/data.pkl".
absl::StatusOr<std::string> ArchivePrefix(const ZipEntries& entries) {
  for (const auto& [name, bytes] : entries) {
    const size_t slash = name.find('/');
    if (slash != std::string::npos && name.substr(slash + 1) == "data.pkl") {
      return name.substr(0, slash + 1);
    }
  }
  return Bad("the zip archive has no data.pkl, so PyTorch did not write it");
}

absl::StatusOr<std::vector<TensorView>> ReadZip(Bytes bytes) {
  SEMSAM_ASSIGN_OR_RETURN(const ZipEntries entries, ReadZipDirectory(bytes));
  SEMSAM_ASSIGN_OR_RETURN(const std::string prefix, ArchivePrefix(entries));
  if (const auto order = entries.find(prefix + "byteorder");
      order != entries.end() && Text(order->second) != "little") {
    return Bad("it was written on a big-endian machine");
  }
  SEMSAM_ASSIGN_OR_RETURN(const Pickle pickle, ReadPickle(entries.at(prefix + "data.pkl")));
  Storages storages;
  const std::string data = prefix + "data/";
  for (auto it = entries.lower_bound(data); it != entries.end(); ++it) {
    if (it->first.compare(0, data.size(), data) != 0) break;
    storages.emplace(it->first.substr(data.size()), it->second);
  }
  return StateTensors(pickle, storages);
}

// Reads a pickle and moves past it.
absl::StatusOr<Pickle> NextPickle(Bytes& bytes) {
  SEMSAM_ASSIGN_OR_RETURN(Pickle pickle, ReadPickle(bytes));
  bytes = bytes.subspan(pickle.size_bytes);
  return pickle;
}

// After the last pickle: for each key the number of elements, then the bytes.
absl::StatusOr<Storages> ReadLegacyStorages(const Pickle& pickle, const Pickle& keys, Bytes bytes) {
  if (keys.root_object().kind != Kind::kList) return Bad("it has no list of storages");
  std::map<std::string_view, int> item_bytes;
  for (const PickleStorage& storage : pickle.storages) {
    item_bytes.emplace(storage.key, ItemBytes(storage.dtype));
  }
  Storages storages;
  for (const uint32_t item : keys.root_object().items) {
    const PickleObject& key = keys.objects[item];
    const auto known = item_bytes.find(key.text);
    if (key.kind != Kind::kText || known == item_bytes.end()) {
      return Bad(absl::StrCat("nothing uses its storage ", ShownName(key.text),
                              ", so its size is unknown"));
    }
    int64_t elements = 0;
    if (bytes.size() < sizeof(elements)) return Bad("it is cut short before a storage");
    std::memcpy(&elements, bytes.data(), sizeof(elements));
    bytes = bytes.subspan(sizeof(elements));
    if (elements < 0 || static_cast<uint64_t>(elements) > bytes.size() / known->second) {
      return Bad(absl::StrCat("it is cut short inside storage ", ShownName(key.text)));
    }
    const size_t size = static_cast<size_t>(elements) * known->second;
    storages.emplace(key.text, bytes.first(size));
    bytes = bytes.subspan(size);
  }
  return storages;
}

absl::StatusOr<std::vector<TensorView>> ReadLegacy(Bytes bytes) {
  bytes = bytes.subspan(sizeof(kLegacyMagic));
  SEMSAM_ASSIGN_OR_RETURN(const Pickle protocol, NextPickle(bytes));
  if (protocol.root_object().kind != Kind::kInt ||
      protocol.root_object().integer != kLegacyProtocol) {
    return Bad("it has an unknown protocol version");
  }
  SEMSAM_ASSIGN_OR_RETURN(const Pickle system, NextPickle(bytes));
  const PickleObject* little = system.Find(system.root_object(), "little_endian");
  if (little == nullptr || little->kind != Kind::kBool || little->integer != 1) {
    return Bad("it was written on a big-endian machine");
  }
  SEMSAM_ASSIGN_OR_RETURN(const Pickle pickle, NextPickle(bytes));
  SEMSAM_ASSIGN_OR_RETURN(const Pickle keys, NextPickle(bytes));
  SEMSAM_ASSIGN_OR_RETURN(const Storages storages, ReadLegacyStorages(pickle, keys, bytes));
  return StateTensors(pickle, storages);
}

}  // namespace

bool LooksLikePth(Bytes bytes) {
  constexpr unsigned char kPickle[] = {0x80};
  return IsZip(bytes) || StartsWith(bytes, kPickle);
}

absl::StatusOr<std::vector<TensorView>> ReadPth(Bytes bytes) {
  if (IsZip(bytes)) return ReadZip(bytes);
  if (StartsWith(bytes, kLegacyMagic)) return ReadLegacy(bytes);
  if (!LooksLikePth(bytes)) return Bad("it is neither a zip archive nor a pickle");
  // Some other pickle. Reading it tells what it asks for, if anything.
  SEMSAM_RETURN_IF_ERROR(ReadPickle(bytes).status());
  return Bad("it is a pickle, but torch.save did not write it");
}

std::vector<TensorView> PublishedModelTensors(std::vector<TensorView> tensors) {
  std::vector<TensorView> prefixed;
  for (TensorView& tensor : tensors) {
    const std::string_view bare = WithoutPrefixes(tensor.name);
    if (bare.size() == tensor.name.size()) continue;
    std::string name(bare);
    prefixed.emplace_back(std::move(tensor)).name = std::move(name);
  }
  if (prefixed.empty()) return tensors;
  return prefixed;
}

}  // namespace semsam
