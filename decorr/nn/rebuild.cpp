#include "decorr/nn/rebuild.h"

#include "decorr/core/check.h"
#include "decorr/nn/subtract_mean.h"

#include <torch/nn/modules/container/moduledict.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>

#include <map>
#include <typeinfo>
#include <utility>
#include <vector>

namespace decorr::nn {
namespace {

using torch::nn::AnyModule;
using torch::nn::Module;
using torch::nn::ModuleDictImpl;
using torch::nn::ModuleListImpl;
using torch::nn::SequentialImpl;
using ModulePointer = std::shared_ptr<Module>;

template <typename T>
bool is_exactly(const Module& module) {
  return typeid(module) == typeid(T);
}

class Rebuilder {
 public:
  explicit Rebuilder(const Replace& replace) : replace_(replace) {}

  // The part that stands for `module`: the module itself, untyped, if nothing changes.
  const Part& part(const std::string& path, const ModulePointer& module) {
    const auto found = parts_.find(module.get());
    if (found != parts_.end()) return found->second;
    Part made = make(path, module);
    return parts_.emplace(module.get(), std::move(made)).first->second;
  }

 private:
  Part make(const std::string& path, const ModulePointer& module) {
    if (!is_container(*module)) {
      AnyModule replacement = replace_(path, module);
      if (replacement.is_empty()) return {module, {}};
      const ModulePointer replaced = replacement.ptr();
      return {replaced, std::move(replacement)};
    }
    bool changed = false;
    std::vector<std::pair<std::string, Part>> children;
    for (const auto& child : module->named_children()) {
      children.emplace_back(child.key(), part(joined(path, child.key()), child.value()));
      changed = changed || children.back().second.module != child.value();
    }
    if (!changed) return {module, {}};
    if (is_exactly<ModuleListImpl>(*module)) return list(*module, children);
    if (is_exactly<ModuleDictImpl>(*module)) return dictionary(*module, children);
    if (is_exactly<CentredImpl>(*module)) {
      const auto result = sequence<CentredImpl>(*module, children);
      return {result, AnyModule(result)};
    }
    return {sequence<SequentialImpl>(*module, children), {}};
  }

  // What the containers have of their own: a mode, and tensors if somebody registered any.
  static void copy_own(const Module& from, Module& to) {
    to.train(from.is_training());
    for (const auto& item : from.named_parameters(/*recurse=*/false))
      to.register_parameter(item.key(), item.value(), item.value().requires_grad());
    for (const auto& item : from.named_buffers(/*recurse=*/false))
      to.register_buffer(item.key(), item.value());
  }

  using Children = std::vector<std::pair<std::string, Part>>;

  template <typename T>
  static std::shared_ptr<T> sequence(const Module& module, const Children& children) {
    auto result = std::make_shared<T>();
    copy_own(module, *result);
    auto child = children.begin();
    for (const AnyModule& original : dynamic_cast<const T&>(module)) {
      const auto& [name, part] = *child++;
      result->push_back(name, part.typed.is_empty() ? original : part.typed);
    }
    return result;
  }

  static Part list(const Module& module, const Children& children) {
    auto result = std::make_shared<ModuleListImpl>();
    copy_own(module, *result);
    for (const auto& child : children) result->push_back(child.second.module);
    return {result, {}};
  }

  static Part dictionary(const Module& module, const Children& children) {
    auto result = std::make_shared<ModuleDictImpl>();
    copy_own(module, *result);
    std::vector<std::pair<std::string, ModulePointer>> items;
    for (const auto& [name, part] : children) items.emplace_back(name, part.module);
    result->update(items);
    return {result, {}};
  }

  const Replace& replace_;
  std::map<const Module*, Part> parts_;
};

}  // namespace

bool is_container(const Module& module) {
  return is_exactly<SequentialImpl>(module) || is_exactly<ModuleListImpl>(module) ||
         is_exactly<ModuleDictImpl>(module) || is_exactly<CentredImpl>(module);
}

Part rebuild(const std::shared_ptr<Module>& root, const Replace& replace) {
  return Rebuilder(replace).part("", root);
}

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

}  // namespace decorr::nn
