// What a pickle's classes mean: the few that PyTorch's checkpoints are made of.
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/base/status_macros.h"
#include "model/weights/pickle_machine.h"
#include "model/weights/shown_name.h"

namespace semsam {
namespace {

using Kind = PickleObject::Kind;

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

}  // namespace

absl::Status PickleMachine::Global() {
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view module, TakeLine());
  SEMSAM_ASSIGN_OR_RETURN(const std::string_view name, TakeLine());
  return PushClass(module, name);
}

absl::Status PickleMachine::StackGlobal() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t name, Pop());
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t module, Pop());
  if (At(name).kind != Kind::kText || At(module).kind != Kind::kText) {
    return BadPickle("names a class by something that is no text");
  }
  return PushClass(At(module).text, At(name).text);
}

absl::Status PickleMachine::PushClass(std::string_view module, std::string_view name) {
  const std::optional<int64_t> known = FindClass(module, name);
  if (!known) {
    return BadPickle(absl::StrCat("asks for ", ShownName(module), ".", ShownName(name),
                                  ", which is not executed"));
  }
  return PushNew({.kind = Kind::kClass, .integer = *known});
}

// ("storage", class, key, device, elements[, view]) stands for named bytes.
absl::Status PickleMachine::PersistentId() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t id, Pop());
  const std::vector<uint32_t>& parts = At(id).items;
  if (At(id).kind != Kind::kTuple || parts.size() < 5 || parts.size() > 6 ||
      At(parts[0]).kind != Kind::kText || At(parts[0]).text != "storage" ||
      At(parts[1]).kind != Kind::kClass || At(parts[1]).integer < kFirstStorage ||
      At(parts[2]).kind != Kind::kText || At(parts[4]).kind != Kind::kInt) {
    return BadPickle("refers to outside data in an unknown way");
  }
  if (parts.size() == 6 && At(parts[5]).kind != Kind::kOpaque) {
    return BadPickle("refers to a view of a storage, which only very old PyTorch wrote");
  }
  pickle_.storages.push_back({.dtype = static_cast<DType>(At(parts[1]).integer - kFirstStorage),
                              .key = At(parts[2]).text,
                              .elements = At(parts[4]).integer});
  return PushNew(
      {.kind = Kind::kStorage, .integer = static_cast<int64_t>(pickle_.storages.size() - 1)});
}

absl::Status PickleMachine::Reduce() {
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t arguments, Pop());
  SEMSAM_ASSIGN_OR_RETURN(const uint32_t callee, Pop());
  if (At(callee).kind != Kind::kClass || At(arguments).kind != Kind::kTuple) {
    return BadPickle("calls something that is no class");
  }
  const std::vector<uint32_t>& items = At(arguments).items;  // dies with the next push
  switch (At(callee).integer) {
    case kOrderedDict:
      if (!items.empty()) return BadPickle("makes an OrderedDict from arguments");
      return PushNew({.kind = Kind::kDict});
    case kRebuildTensor:
      return RebuildTensor(items);
    case kRebuildParameter:
      if (items.empty() || At(items[0]).kind != Kind::kTensor) {
        return BadPickle("makes a Parameter from something that is no tensor");
      }
      return Push(items[0]);
    default:
      return BadPickle("calls a storage class");
  }
}

// (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
absl::Status PickleMachine::RebuildTensor(const std::vector<uint32_t>& arguments) {
  if (arguments.size() < 4 || At(arguments[0]).kind != Kind::kStorage ||
      At(arguments[1]).kind != Kind::kInt || At(arguments[2]).kind != Kind::kTuple ||
      At(arguments[3]).kind != Kind::kTuple) {
    return BadPickle("rebuilds a tensor from unknown arguments");
  }
  PickleTensor tensor{.storage = static_cast<uint32_t>(At(arguments[0]).integer),
                      .offset = At(arguments[1]).integer};
  for (const auto& [source, target] : {std::pair{&At(arguments[2]).items, &tensor.shape},
                                       std::pair{&At(arguments[3]).items, &tensor.strides}}) {
    if (source->size() > limits_.max_rank) return BadPickle("has a tensor of too many dimensions");
    for (const uint32_t item : *source) {
      if (At(item).kind != Kind::kInt) return BadPickle("has a tensor size that is no integer");
      target->push_back(At(item).integer);
    }
  }
  pickle_.tensors.push_back(std::move(tensor));
  return PushNew(
      {.kind = Kind::kTensor, .integer = static_cast<int64_t>(pickle_.tensors.size() - 1)});
}

// Only a dictionary may get a state (the _metadata of a state_dict), and what
// it says is of no use here.
absl::Status PickleMachine::Build() {
  SEMSAM_RETURN_IF_ERROR(Pop().status());
  return Top(Kind::kDict, "sets the state of something that is no dictionary").status();
}

}  // namespace semsam
