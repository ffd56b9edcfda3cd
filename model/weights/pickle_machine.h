// Internal to pickle.cc and pickle_torch.cc: the machine behind ReadPickle.
#ifndef SEMSAM_MODEL_WEIGHTS_PICKLE_MACHINE_H_
#define SEMSAM_MODEL_WEIGHTS_PICKLE_MACHINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/weights/pickle.h"

namespace semsam {

absl::Status BadPickle(const std::string& message);

// Runs one pickle once. The class is declared here only because its two halves,
// the opcodes and what they mean to PyTorch, stand in two files.
class PickleMachine {
 public:
  PickleMachine(std::span<const std::byte> bytes, const PickleLimits& limits)
      : bytes_(bytes), limits_(limits) {}

  absl::StatusOr<Pickle> Run();

 private:
  using Handler = absl::Status (PickleMachine::*)();
  struct Opcode {
    uint8_t code;
    const char* name;
    Handler handler;  // null: known to pickle, refused here
  };
  static const Opcode kOpcodes[];
  static std::array<const Opcode*, 256> OpcodeTable();

  // The next bytes of the pickle.
  absl::StatusOr<std::string_view> Take(uint64_t count);
  absl::StatusOr<std::string_view> TakeLine();
  template <typename T>
  absl::StatusOr<T> TakeNumber();

  // The stack. Nothing pops below the last open mark.
  absl::Status Push(uint32_t object);
  absl::Status PushNew(PickleObject object);
  absl::StatusOr<uint32_t> Pop();
  absl::StatusOr<std::vector<uint32_t>> PopToMark();
  absl::StatusOr<PickleObject*> Top(PickleObject::Kind kind, const char* what);

  template <typename Length>
  absl::Status ReadText();
  template <typename T>
  absl::Status ReadInt();
  template <typename Index>
  absl::Status Put();
  template <typename Index>
  absl::Status Get();
  template <int kCount>
  absl::Status FixedTuple();
  template <PickleObject::Kind kKind>
  absl::Status Empty();
  template <PickleObject::Kind kKind>
  absl::Status ExtendFromMark();

  absl::Status Proto();
  absl::Status Frame();
  absl::Status Mark();
  absl::Status Stop();
  absl::Status None();
  absl::Status True();
  absl::Status False();
  absl::Status Float();
  absl::Status Long1();
  absl::Status Tuple();
  absl::Status Append();
  absl::Status SetItem();
  absl::Status Memoize();
  absl::Status Global();
  absl::Status StackGlobal();
  absl::Status PersistentId();
  absl::Status Reduce();
  absl::Status Build();

  absl::Status Remember(uint64_t index);
  absl::Status PushClass(std::string_view module, std::string_view name);
  absl::Status RebuildTensor(const std::vector<uint32_t>& arguments);
  const PickleObject& At(uint32_t index) const { return pickle_.objects[index]; }

  const std::span<const std::byte> bytes_;
  const PickleLimits limits_;
  size_t at_ = 0;
  bool stopped_ = false;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, uint32_t> memo_;
  Pickle pickle_;
};

}  // namespace semsam

#endif  // SEMSAM_MODEL_WEIGHTS_PICKLE_MACHINE_H_
