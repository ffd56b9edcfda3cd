#include "model/weights/pickle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/base/status_macros.h"
#include "model/weights/pickle_machine.h"

namespace semsam {
namespace {

using Kind = PickleObject::Kind;

}  // namespace

absl::Status BadPickle(const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat("pickle ", message));
}

// All of protocol 2 that PyTorch writes, and the same things as protocol 4
// spells them. The rest is there to be named.
const PickleMachine::Opcode PickleMachine::kOpcodes[] = {
    {0x80, "PROTO", &PickleMachine::Proto},
    {0x95, "FRAME", &PickleMachine::Frame},
    {'(', "MARK", &PickleMachine::Mark},
    {'.', "STOP", &PickleMachine::Stop},
    {'N', "NONE", &PickleMachine::None},
    {0x88, "NEWTRUE", &PickleMachine::True},
    {0x89, "NEWFALSE", &PickleMachine::False},
    {'J', "BININT", &PickleMachine::ReadInt<int32_t>},
    {'K', "BININT1", &PickleMachine::ReadInt<uint8_t>},
    {'M', "BININT2", &PickleMachine::ReadInt<uint16_t>},
    {0x8a, "LONG1", &PickleMachine::Long1},
    {'G', "BINFLOAT", &PickleMachine::Float},
    {'X', "BINUNICODE", &PickleMachine::ReadText<uint32_t>},
    {0x8c, "SHORT_BINUNICODE", &PickleMachine::ReadText<uint8_t>},
    {')', "EMPTY_TUPLE", &PickleMachine::FixedTuple<0>},
    {0x85, "TUPLE1", &PickleMachine::FixedTuple<1>},
    {0x86, "TUPLE2", &PickleMachine::FixedTuple<2>},
    {0x87, "TUPLE3", &PickleMachine::FixedTuple<3>},
    {'t', "TUPLE", &PickleMachine::Tuple},
    {']', "EMPTY_LIST", &PickleMachine::Empty<Kind::kList>},
    {'a', "APPEND", &PickleMachine::Append},
    {'e', "APPENDS", &PickleMachine::ExtendFromMark<Kind::kList>},
    {'}', "EMPTY_DICT", &PickleMachine::Empty<Kind::kDict>},
    {'s', "SETITEM", &PickleMachine::SetItem},
    {'u', "SETITEMS", &PickleMachine::ExtendFromMark<Kind::kDict>},
    {'q', "BINPUT", &PickleMachine::Put<uint8_t>},
    {'r', "LONG_BINPUT", &PickleMachine::Put<uint32_t>},
    {0x94, "MEMOIZE", &PickleMachine::Memoize},
    {'h', "BINGET", &PickleMachine::Get<uint8_t>},
    {'j', "LONG_BINGET", &PickleMachine::Get<uint32_t>},
    {'c', "GLOBAL", &PickleMachine::Global},
    {0x93, "STACK_GLOBAL", &PickleMachine::StackGlobal},
    {'Q', "BINPERSID", &PickleMachine::PersistentId},
    {'R', "REDUCE", &PickleMachine::Reduce},
    {'b', "BUILD", &PickleMachine::Build},
    {'0', "POP", nullptr},
    {'1', "POP_MARK", nullptr},
    {'2', "DUP", nullptr},
    {'F', "FLOAT", nullptr},
    {'I', "INT", nullptr},
    {'L', "LONG", nullptr},
    {'P', "PERSID", nullptr},
    {'S', "STRING", nullptr},
    {'T', "BINSTRING", nullptr},
    {'U', "SHORT_BINSTRING", nullptr},
    {'V', "UNICODE", nullptr},
    {'d', "DICT", nullptr},
    {'g', "GET", nullptr},
    {'i', "INST", nullptr},
    {'l', "LIST", nullptr},
    {'o', "OBJ", nullptr},
    {'p', "PUT", nullptr},
    {'B', "BINBYTES", nullptr},
    {'C', "SHORT_BINBYTES", nullptr},
    {0x81, "NEWOBJ", nullptr},
    {0x82, "EXT1", nullptr},
    {0x83, "EXT2", nullptr},
    {0x84, "EXT4", nullptr},
    {0x8b, "LONG4", nullptr},
    {0x8d, "BINUNICODE8", nullptr},
    {0x8e, "BINBYTES8", nullptr},
    {0x8f, "EMPTY_SET", nullptr},
    {0x90, "ADDITEMS", nullptr},
    {0x91, "FROZENSET", nullptr},
    {0x92, "NEWOBJ_EX", nullptr},
    {0x96, "BYTEARRAY8", nullptr},
    {0x97, "NEXT_BUFFER", nullptr},
    {0x98, "READONLY_BUFFER", nullptr},
};

std::array<const PickleMachine::Opcode*, 256> PickleMachine::OpcodeTable() {
  std::array<const Opcode*, 256> table{};
  for (const Opcode& opcode : kOpcodes) table[opcode.code] = &opcode;
  return table;
}

absl::StatusOr<Pickle> PickleMachine::Run() {
  static const std::array<const Opcode*, 256> kTable = OpcodeTable();
  for (size_t count = 0; !stopped_; ++count) {
    if (count >= limits_.max_opcodes) return BadPickle("is too long");
    const size_t start = at_;
    SEMSAM_ASSIGN_OR_RETURN(const auto code, TakeNumber<uint8_t>());
    const Opcode* opcode = kTable[code];
    if (opcode == nullptr || opcode->handler == nullptr) {
      return BadPickle(absl::StrFormat("opcode %s (0x%02x) at byte %d is not supported",
                                       opcode == nullptr ? "unknown" : opcode->name, code, start));
    }
    SEMSAM_RETURN_IF_ERROR((this->*opcode->handler)());
    if (pickle_.objects.size() > limits_.max_objects || stack_.size() > limits_.max_stack) {
      return BadPickle("makes too many objects");
    }
  }
  pickle_.size_bytes = at_;
  return std::move(pickle_);
}

absl::StatusOr<std::string_view> PickleMachine::Take(uint64_t count) {
  if (count > bytes_.size() - at_) {
    return BadPickle(absl::StrCat("is cut short at byte ", bytes_.size()));
  }
  const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_,
                               static_cast<size_t>(count));
  at_ += static_cast<size_t>(count);
  return taken;
}

absl::StatusOr<std::string_view> PickleMachine::TakeLine() {
  constexpr size_t kMaxLine = 512;
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_,
                              std::min(kMaxLine, bytes_.size() - at_));
  const size_t length = rest.find('\n');
  if (length == std::string_view::npos) return BadPickle("has a class name without an end");
  at_ += length + 1;
  return rest.substr(0, length);
}

template <typename T>
absl::StatusOr<T> PickleMachine::TakeNumber() {
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view taken, Take(sizeof(T)));
  T value;
  std::memcpy(&value, taken.data(), sizeof(T));
  return value;
}

absl::Status PickleMachine::Push(uint32_t object) {
  stack_.push_back(object);
  return absl::OkStatus();
}

absl::Status PickleMachine::PushNew(PickleObject object) {
  pickle_.objects.push_back(std::move(object));
  return Push(static_cast<uint32_t>(pickle_.objects.size() - 1));
}

absl::StatusOr<uint32_t> PickleMachine::Pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    return BadPickle("takes more than it has put on the stack");
  }
  const uint32_t top = stack_.back();
  stack_.pop_back();
  return top;
}

absl::StatusOr<std::vector<uint32_t>> PickleMachine::PopToMark() {
  if (marks_.empty()) return BadPickle("closes a mark that it has not opened");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<uint32_t> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

absl::StatusOr<PickleObject*> PickleMachine::Top(Kind kind, const char* what) {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    return BadPickle("takes more than it has put on the stack");
  }
  PickleObject* top = &pickle_.objects[stack_.back()];
  if (top->kind != kind) return BadPickle(what);
  return top;
}

template <typename Length>
absl::Status PickleMachine::ReadText() {
  SEMSAM_ASSIGN_OR_RETURN(const Length length, TakeNumber<Length>());
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view text, Take(length));
  return PushNew({.kind = Kind::kText, .text = text});
}

template <typename T>
absl::Status PickleMachine::ReadInt() {
  SEMSAM_ASSIGN_OR_RETURN(const T value, TakeNumber<T>());
  return PushNew({.kind = Kind::kInt, .integer = value});
}

template <typename Index>
absl::Status PickleMachine::Put() {
  SEMSAM_ASSIGN_OR_RETURN(const Index index, TakeNumber<Index>());
  return Remember(index);
}

template <typename Index>
absl::Status PickleMachine::Get() {
  SEMSAM_ASSIGN_OR_RETURN(const Index index, TakeNumber<Index>());
  const auto found = memo_.find(index);
  if (found == memo_.end())
    return BadPickle(absl::StrCat("recalls memo ", index, ", never stored"));
  return Push(found->second);
}

template <int kCount>
absl::Status PickleMachine::FixedTuple() {
  PickleObject tuple{.kind = Kind::kTuple, .items = std::vector<uint32_t>(kCount)};
  for (int i = kCount - 1; i >= 0; --i) {
    SEMSAM_ASSIGN_OR_RETURN(tuple.items[i], Pop());
  }
  return PushNew(std::move(tuple));
}

template <Kind kKind>
absl::Status PickleMachine::Empty() {
  return PushNew({.kind = kKind});
}

template <Kind kKind>
absl::Status PickleMachine::ExtendFromMark() {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<uint32_t> items, PopToMark());
  SEMSAM_ASSIGN_OR_RETURN(PickleObject * target,
                          Top(kKind, "adds items to something that is no list or dictionary"));
  if (kKind == Kind::kDict && items.size() % 2 != 0) return BadPickle("has a key without a value");
  target->items.insert(target->items.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status PickleMachine::Proto() {
  constexpr uint8_t kNewest = 5;
  SEMSAM_ASSIGN_OR_RETURN(const auto version, TakeNumber<uint8_t>());
  if (version > kNewest) return BadPickle(absl::StrCat("has the unknown protocol ", version));
  return absl::OkStatus();
}

absl::Status PickleMachine::Frame() { return TakeNumber<uint64_t>().status(); }

absl::Status PickleMachine::Mark() {
  if (marks_.size() >= limits_.max_marks) return BadPickle("is nested too deep");
  marks_.push_back(stack_.size());
  return absl::OkStatus();
}

absl::Status PickleMachine::Stop() {
  SEMSAM_ASSIGN_OR_RETURN(pickle_.root, Pop());
  if (!stack_.empty() || !marks_.empty()) return BadPickle("ends with something left over");
  stopped_ = true;
  return absl::OkStatus();
}

absl::Status PickleMachine::None() { return PushNew({}); }
absl::Status PickleMachine::True() { return PushNew({.kind = Kind::kBool, .integer = 1}); }
absl::Status PickleMachine::False() { return PushNew({.kind = Kind::kBool, .integer = 0}); }

absl::Status PickleMachine::Float() {
  SEMSAM_RETURN_IF_ERROR(Take(8).status());
  return PushNew({});
}

absl::Status PickleMachine::Long1() {
  SEMSAM_ASSIGN_OR_RETURN(const auto length, TakeNumber<uint8_t>());
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view digits, Take(length));
  if (digits.size() > 8) return PushNew({});
  // Two's complement of any length, lowest byte first.
  uint64_t value = 0;
  if (!digits.empty() && (digits.back() & 0x80) != 0) value = ~uint64_t{0};
  std::memcpy(&value, digits.data(), digits.size());
  return PushNew({.kind = Kind::kInt, .integer = static_cast<int64_t>(value)});
}

absl::Status PickleMachine::Tuple() {
  SEMSAM_ASSIGN_OR_RETURN(std::vector<uint32_t> items, PopToMark());
  return PushNew({.kind = Kind::kTuple, .items = std::move(items)});
}

absl::Status PickleMachine::Append() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t value, Pop());
  SEMSAM_ASSIGN_OR_RETURN(PickleObject * list,
                          Top(Kind::kList, "appends to something that is no list"));
  list->items.push_back(value);
  return absl::OkStatus();
}

absl::Status PickleMachine::SetItem() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t value, Pop());
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t key, Pop());
  SEMSAM_ASSIGN_OR_RETURN(PickleObject * dict,
                          Top(Kind::kDict, "sets an item of something that is no dictionary"));
  dict->items.insert(dict->items.end(), {key, value});
  return absl::OkStatus();
}

absl::Status PickleMachine::Memoize() { return Remember(memo_.size()); }

absl::Status PickleMachine::Remember(uint64_t index) {
  if (stack_.empty()) return BadPickle("stores a memo of nothing");
  if (memo_.size() >= limits_.max_memo) return BadPickle("stores too many memos");
  memo_[index] = stack_.back();
  return absl::OkStatus();
}

const PickleObject* Pickle::Find(const PickleObject& dict, std::string_view key) const {
  if (dict.kind != Kind::kDict) return nullptr;
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleObject& candidate = objects[dict.items[i - 2]];
    if (candidate.kind == Kind::kText && candidate.text == key) return &objects[dict.items[i - 1]];
  }
  return nullptr;
}

absl::StatusOr<Pickle> ReadPickle(std::span<const std::byte> bytes, const PickleLimits& limits) {
  return PickleMachine(bytes, limits).Run();
}

}  // namespace semsam
