// A pickle machine that can only describe tensors.
//
// It knows the opcodes that PyTorch writes and the handful of classes that make
// up a checkpoint. Nothing a pickle asks for is ever called: a "call" of a known
// class becomes a record, any other one ends the reading with an error that
// names the class.
//
// Objects live in one arena and refer to each other by index, so that cycles and
// deep nesting need neither recursion nor reference counts. Every size is
// bounded (PickleLimits).
//
// Thread-safety: free function, plain data.
#ifndef SEMSAM_MODEL_WEIGHTS_PICKLE_H_
#define SEMSAM_MODEL_WEIGHTS_PICKLE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/weights/dtype.h"

namespace semsam {

// Far above any checkpoint of this family (about 15 objects a tensor).
struct PickleLimits {
  size_t max_opcodes = 8'000'000;
  size_t max_objects = 1'000'000;
  size_t max_stack = 1'000'000;
  size_t max_memo = 1'000'000;
  size_t max_marks = 1'000;  // tuples, lists and dictionaries open at once
  size_t max_rank = 16;      // dimensions of a tensor
};

struct PickleObject {
  enum class Kind : uint8_t {
    kOpaque,   // a number or None that no reader needs
    kInt,      // integer
    kBool,     // integer: 0 or 1
    kText,     // text
    kTuple,    // items
    kList,     // items
    kDict,     // items: key, value, key, value, ...
    kClass,    // integer: internal to the machine
    kStorage,  // integer: index into Pickle::storages
    kTensor,   // integer: index into Pickle::tensors
  };

  Kind kind = Kind::kOpaque;
  int64_t integer = 0;
  std::string_view text;        // into the pickle's bytes; any bytes
  std::vector<uint32_t> items;  // indices into Pickle::objects
};

// Named bytes outside of the pickle.
struct PickleStorage {
  DType dtype;
  std::string_view key;
  int64_t elements;
};

// A strided window on a storage, unchecked.
struct PickleTensor {
  uint32_t storage;  // index into Pickle::storages
  int64_t offset;    // elements
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // elements
};

struct Pickle {
  std::vector<PickleObject> objects;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  uint32_t root = 0;      // index into objects
  size_t size_bytes = 0;  // of the pickle, STOP included

  const PickleObject& root_object() const { return objects[root]; }
  // The value of `key` in a dictionary; the last one as in Python; null: none.
  const PickleObject* Find(const PickleObject& dict, std::string_view key) const;
};

// Reads one pickle from the start of `bytes`, which outlive the result.
absl::StatusOr<Pickle> ReadPickle(std::span<const std::byte> bytes,
                                  const PickleLimits& limits = {});

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_PICKLE_H_
