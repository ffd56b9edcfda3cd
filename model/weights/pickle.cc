#include "model/weights/pickle.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "model/base/status_macros.h"
#include "model/weights/shown_name.h"

namespace semsam {
namespace {

using Kind = PickleObject::Kind;

absl::Status Bad(const std::string& message) {
  return absl::InvalidArgumentError(absl::StrCat("pickle ", message));
}

// PickleObject::integer of a kClass; a storage class is kFirstStorage + DType.
enum Class : int64_t { kOrderedDict, kRebuildTensor, kRebuildParameter, kFirstStorage };

std::optional<int64_t> FindClass(std::string_view module, std::string_view name) {
  if (module == "collections" && name == "OrderedDict") return kOrderedDict;
  if (module == "torch._utils" && name == "_rebuild_tensor_v2") return kRebuildTensor;
  if (module == "torch._utils" && name == "_rebuild_parameter") return kRebuildParameter;
  if (module != "torch") return std::nullopt;
  for (const DTypeInfo& info : AllDTypes()) {
    if (name == info.torch_storage) return kFirstStorage + static_cast<int64_t>(info.dtype);
  }
  return std::nullopt;
}

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const PickleLimits& limits)
      : bytes_(bytes), limits_(limits) {}

  absl::StatusOr<Pickle> Run();

 private:
  using Handler = absl::Status (Machine::*)();
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
  absl::StatusOr<PickleObject*> Top(Kind kind, const char* what);

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
  template <Kind kKind>
  absl::Status Empty();
  template <Kind kKind>
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

// All of protocol 2 that PyTorch writes, and the same things as protocol 4
// spells them. The rest is there to be named.
const Machine::Opcode Machine::kOpcodes[] = {
    {0x80, "PROTO", &Machine::Proto},
    {0x95, "FRAME", &Machine::Frame},
    {'(', "MARK", &Machine::Mark},
    {'.', "STOP", &Machine::Stop},
    {'N', "NONE", &Machine::None},
    {0x88, "NEWTRUE", &Machine::True},
    {0x89, "NEWFALSE", &Machine::False},
    {'J', "BININT", &Machine::ReadInt<int32_t>},
    {'K', "BININT1", &Machine::ReadInt<uint8_t>},
    {'M', "BININT2", &Machine::ReadInt<uint16_t>},
    {0x8a, "LONG1", &Machine::Long1},
    {'G', "BINFLOAT", &Machine::Float},
    {'X', "BINUNICODE", &Machine::ReadText<uint32_t>},
    {0x8c, "SHORT_BINUNICODE", &Machine::ReadText<uint8_t>},
    {')', "EMPTY_TUPLE", &Machine::FixedTuple<0>},
    {0x85, "TUPLE1", &Machine::FixedTuple<1>},
    {0x86, "TUPLE2", &Machine::FixedTuple<2>},
    {0x87, "TUPLE3", &Machine::FixedTuple<3>},
    {'t', "TUPLE", &Machine::Tuple},
    {']', "EMPTY_LIST", &Machine::Empty<Kind::kList>},
    {'a', "APPEND", &Machine::Append},
    {'e', "APPENDS", &Machine::ExtendFromMark<Kind::kList>},
    {'}', "EMPTY_DICT", &Machine::Empty<Kind::kDict>},
    {'s', "SETITEM", &Machine::SetItem},
    {'u', "SETITEMS", &Machine::ExtendFromMark<Kind::kDict>},
    {'q', "BINPUT", &Machine::Put<uint8_t>},
    {'r', "LONG_BINPUT", &Machine::Put<uint32_t>},
    {0x94, "MEMOIZE", &Machine::Memoize},
    {'h', "BINGET", &Machine::Get<uint8_t>},
    {'j', "LONG_BINGET", &Machine::Get<uint32_t>},
    {'c', "GLOBAL", &Machine::Global},
    {0x93, "STACK_GLOBAL", &Machine::StackGlobal},
    {'Q', "BINPERSID", &Machine::PersistentId},
    {'R', "REDUCE", &Machine::Reduce},
    {'b', "BUILD", &Machine::Build},
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

std::array<const Machine::Opcode*, 256> Machine::OpcodeTable() {
  std::array<const Opcode*, 256> table{};
  for (const Opcode& opcode : kOpcodes) table[opcode.code] = &opcode;
  return table;
}

absl::StatusOr<Pickle> Machine::Run() {
  static const std::array<const Opcode*, 256> kTable = OpcodeTable();
  for (size_t count = 0; !stopped_; ++count) {
    if (count >= limits_.max_opcodes) return Bad("is too long");
    const size_t start = at_;
    SEMSAM_ASSIGN_OR_RETURN(const auto code, TakeNumber<uint8_t>());
    const Opcode* opcode = kTable[code];
    if (opcode == nullptr || opcode->handler == nullptr) {
      return Bad(absl::StrFormat("opcode %s (0x%02x) at byte %d is not supported",
                                 opcode == nullptr ? "unknown" : opcode->name, code, start));
    }
    SEMSAM_RETURN_IF_ERROR((this->*opcode->handler)());
    if (pickle_.objects.size() > limits_.max_objects || stack_.size() > limits_.max_stack) {
      return Bad("makes too many objects");
    }
  }
  pickle_.size_bytes = at_;
  return std::move(pickle_);
}

absl::StatusOr<std::string_view> Machine::Take(uint64_t count) {
  if (count > bytes_.size() - at_) {
    return Bad(absl::StrCat("is cut short at byte ", bytes_.size()));
  }
  const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_,
                               static_cast<size_t>(count));
  at_ += static_cast<size_t>(count);
  return taken;
}

absl::StatusOr<std::string_view> Machine::TakeLine() {
  constexpr size_t kMaxLine = 512;
  const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_,
                              std::min(kMaxLine, bytes_.size() - at_));
  const size_t length = rest.find('\n');
  if (length == std::string_view::npos) return Bad("has a class name without an end");
  at_ += length + 1;
  return rest.substr(0, length);
}

template <typename T>
absl::StatusOr<T> Machine::TakeNumber() {
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view taken, Take(sizeof(T)));
  T value;
  std::memcpy(&value, taken.data(), sizeof(T));
  return value;
}

absl::Status Machine::Push(uint32_t object) {
  stack_.push_back(object);
  return absl::OkStatus();
}

absl::Status Machine::PushNew(PickleObject object) {
  pickle_.objects.push_back(std::move(object));
  return Push(static_cast<uint32_t>(pickle_.objects.size() - 1));
}

absl::StatusOr<uint32_t> Machine::Pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    return Bad("takes more than it has put on the stack");
  }
  const uint32_t top = stack_.back();
  stack_.pop_back();
  return top;
}

absl::StatusOr<std::vector<uint32_t>> Machine::PopToMark() {
  if (marks_.empty()) return Bad("closes a mark that it has not opened");
  const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<uint32_t> items(first, stack_.end());
  stack_.erase(first, stack_.end());
  marks_.pop_back();
  return items;
}

absl::StatusOr<PickleObject*> Machine::Top(Kind kind, const char* what) {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) {
    return Bad("takes more than it has put on the stack");
  }
  PickleObject* top = &pickle_.objects[stack_.back()];
  if (top->kind != kind) return Bad(what);
  return top;
}

template <typename Length>
absl::Status Machine::ReadText() {
  SEMSAM_ASSIGN_OR_RETURN(const Length length, TakeNumber<Length>());
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view text, Take(length));
  return PushNew({.kind = Kind::kText, .text = text});
}

template <typename T>
absl::Status Machine::ReadInt() {
  SEMSAM_ASSIGN_OR_RETURN(const T value, TakeNumber<T>());
  return PushNew({.kind = Kind::kInt, .integer = value});
}

template <typename Index>
absl::Status Machine::Put() {
  SEMSAM_ASSIGN_OR_RETURN(const Index index, TakeNumber<Index>());
  return Remember(index);
}

template <typename Index>
absl::Status Machine::Get() {
  SEMSAM_ASSIGN_OR_RETURN(const Index index, TakeNumber<Index>());
  const auto found = memo_.find(index);
  if (found == memo_.end()) return Bad(absl::StrCat("recalls memo ", index, ", never stored"));
  return Push(found->second);
}

template <int kCount>
absl::Status Machine::FixedTuple() {
  PickleObject tuple{.kind = Kind::kTuple, .items = std::vector<uint32_t>(kCount)};
  for (int i = kCount - 1; i >= 0; --i) {
    SEMSAM_ASSIGN_OR_RETURN(tuple.items[i], Pop());
  }
  return PushNew(std::move(tuple));
}

template <Kind kKind>
absl::Status Machine::Empty() {
  return PushNew({.kind = kKind});
}

template <Kind kKind>
absl::Status Machine::ExtendFromMark() {
  SEMSAM_ASSIGN_OR_RETURN(const std::vector<uint32_t> items, PopToMark());
  SEMSAM_ASSIGN_OR_RETURN(PickleObject * target,
                          Top(kKind, "adds items to something that is no list or dictionary"));
  if (kKind == Kind::kDict && items.size() % 2 != 0) return Bad("has a key without a value");
  target->items.insert(target->items.end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status Machine::Proto() {
  constexpr uint8_t kNewest = 5;
  SEMSAM_ASSIGN_OR_RETURN(const auto version, TakeNumber<uint8_t>());
  if (version > kNewest) return Bad(absl::StrCat("has the unknown protocol ", version));
  return absl::OkStatus();
}

absl::Status Machine::Frame() { return TakeNumber<uint64_t>().status(); }

absl::Status Machine::Mark() {
  if (marks_.size() >= limits_.max_marks) return Bad("is nested too deep");
  marks_.push_back(stack_.size());
  return absl::OkStatus();
}

absl::Status Machine::Stop() {
  SEMSAM_ASSIGN_OR_RETURN(pickle_.root, Pop());
  if (!stack_.empty() || !marks_.empty()) return Bad("ends with something left over");
  stopped_ = true;
  return absl::OkStatus();
}

absl::Status Machine::None() { return PushNew({}); }
absl::Status Machine::True() { return PushNew({.kind = Kind::kBool, .integer = 1}); }
absl::Status Machine::False() { return PushNew({.kind = Kind::kBool, .integer = 0}); }

absl::Status Machine::Float() {
  SEMSAM_RETURN_IF_ERROR(Take(8).status());
  return PushNew({});
}

absl::Status Machine::Long1() {
  SEMSAM_ASSIGN_OR_RETURN(const auto length, TakeNumber<uint8_t>());
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view digits, Take(length));
  if (digits.size() > 8) return PushNew({});
  // Two's complement of any length, lowest byte first.
  uint64_t value = 0;
  if (!digits.empty() && (digits.back() & 0x80) != 0) value = ~uint64_t{0};
  std::memcpy(&value, digits.data(), digits.size());
  return PushNew({.kind = Kind::kInt, .integer = static_cast<int64_t>(value)});
}

absl::Status Machine::Tuple() {
  SEMSAM_ASSIGN_OR_RETURN(std::vector<uint32_t> items, PopToMark());
  return PushNew({.kind = Kind::kTuple, .items = std::move(items)});
}

absl::Status Machine::Append() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t value, Pop());
  SEMSAM_ASSIGN_OR_RETURN(PickleObject * list,
                          Top(Kind::kList, "appends to something that is no list"));
  list->items.push_back(value);
  return absl::OkStatus();
}

absl::Status Machine::SetItem() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t value, Pop());
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t key, Pop());
  SEMSAM_ASSIGN_OR_RETURN(PickleObject * dict,
                          Top(Kind::kDict, "sets an item of something that is no dictionary"));
  dict->items.insert(dict->items.end(), {key, value});
  return absl::OkStatus();
}

absl::Status Machine::Memoize() { return Remember(memo_.size()); }

absl::Status Machine::Remember(uint64_t index) {
  if (stack_.empty()) return Bad("stores a memo of nothing");
  if (memo_.size() >= limits_.max_memo) return Bad("stores too many memos");
  memo_[index] = stack_.back();
  return absl::OkStatus();
}

absl::Status Machine::Global() {
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view module, TakeLine());
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view name, TakeLine());
  return PushClass(module, name);
}

absl::Status Machine::StackGlobal() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t name, Pop());
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t module, Pop());
  if (At(name).kind != Kind::kText || At(module).kind != Kind::kText) {
    return Bad("names a class by something that is no text");
  }
  return PushClass(At(module).text, At(name).text);
}

absl::Status Machine::PushClass(std::string_view module, std::string_view name) {
  const std::optional<int64_t> known = FindClass(module, name);
  if (!known) {
    return Bad(absl::StrCat("asks for ", ShownName(module), ".", ShownName(name),
                            ", which is not executed"));
  }
  return PushNew({.kind = Kind::kClass, .integer = *known});
}

// ("storage", class, key, device, elements[, view]) stands for named bytes.
absl::Status Machine::PersistentId() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t id, Pop());
  const std::vector<uint32_t>& parts = At(id).items;
  if (At(id).kind != Kind::kTuple || parts.size() < 5 || parts.size() > 6 ||
      At(parts[0]).kind != Kind::kText || At(parts[0]).text != "storage" ||
      At(parts[1]).kind != Kind::kClass || At(parts[1]).integer < kFirstStorage ||
      At(parts[2]).kind != Kind::kText || At(parts[4]).kind != Kind::kInt) {
    return Bad("refers to outside data in an unknown way");
  }
  if (parts.size() == 6 && At(parts[5]).kind != Kind::kOpaque) {
    return Bad("refers to a view of a storage, which only very old PyTorch wrote");
  }
  pickle_.storages.push_back({.dtype = static_cast<DType>(At(parts[1]).integer - kFirstStorage),
                              .key = At(parts[2]).text,
                              .elements = At(parts[4]).integer});
  return PushNew(
      {.kind = Kind::kStorage, .integer = static_cast<int64_t>(pickle_.storages.size() - 1)});
}

absl::Status Machine::Reduce() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t arguments, Pop());
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t callee, Pop());
  if (At(callee).kind != Kind::kClass || At(arguments).kind != Kind::kTuple) {
    return Bad("calls something that is no class");
  }
  const std::vector<uint32_t>& items = At(arguments).items;  // dies with the next push
  switch (At(callee).integer) {
    case kOrderedDict:
      if (!items.empty()) return Bad("makes an OrderedDict from arguments");
      return PushNew({.kind = Kind::kDict});
    case kRebuildTensor:
      return RebuildTensor(items);
    case kRebuildParameter:
      if (items.empty() || At(items[0]).kind != Kind::kTensor) {
        return Bad("makes a Parameter from something that is no tensor");
      }
      return Push(items[0]);
    default:
      return Bad("calls a storage class");
  }
}

// (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
absl::Status Machine::RebuildTensor(const std::vector<uint32_t>& arguments) {
  if (arguments.size() < 4 || At(arguments[0]).kind != Kind::kStorage ||
      At(arguments[1]).kind != Kind::kInt || At(arguments[2]).kind != Kind::kTuple ||
      At(arguments[3]).kind != Kind::kTuple) {
    return Bad("rebuilds a tensor from unknown arguments");
  }
  PickleTensor tensor{.storage = static_cast<uint32_t>(At(arguments[0]).integer),
                      .offset = At(arguments[1]).integer};
  for (const auto& [source, target] : {std::pair{&At(arguments[2]).items, &tensor.shape},
                                       std::pair{&At(arguments[3]).items, &tensor.strides}}) {
    if (source->size() > limits_.max_rank) return Bad("has a tensor of too many dimensions");
    for (const uint32_t item : *source) {
      if (At(item).kind != Kind::kInt) return Bad("has a tensor size that is no integer");
      target->push_back(At(item).integer);
    }
  }
  pickle_.tensors.push_back(std::move(tensor));
  return PushNew(
      {.kind = Kind::kTensor, .integer = static_cast<int64_t>(pickle_.tensors.size() - 1)});
}

// Only a dictionary may get a state (the _metadata of a state_dict), and what
// it says is of no use here.
absl::Status Machine::Build() {
  SEMSAM_RETURN_IF_ERROR(Pop().status());
  return Top(Kind::kDict, "sets the state of something that is no dictionary").status();
}

}  // namespace

const PickleObject* Pickle::Find(const PickleObject& dict, std::string_view key) const {
  if (dict.kind != Kind::kDict) return nullptr;
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleObject& candidate = objects[dict.items[i - 2]];
    if (candidate.kind == Kind::kText && candidate.text == key) return &objects[dict.items[i - 1]];
  }
  return nullptr;
}

absl::StatusOr<Pickle> ReadPickle(std::span<const std::byte> bytes, const PickleLimits& limits) {
  return Machine(bytes, limits).Run();
}

}  // namespace semsam
