#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>

#include <functional>
#include <memory>
#include <string>

// The walk that convert() and fold() have in common. Internal to nn/: not installed.
namespace decorr::nn {

/// A module, and the same with its type if it may be an element of a Sequential.
struct Part {
  std::shared_ptr<torch::nn::Module> module;
  torch::nn::AnyModule typed;
};

/// What shall stand in the place of `module`, which is registered at `path`; empty to keep it.
using Replace = std::function<torch::nn::AnyModule(
    const std::string& path, const std::shared_ptr<torch::nn::Module>& module)>;

/// Whether rebuild() can put other modules into `module`: LibTorch's Sequential, ModuleList and
/// ModuleDict and decorr::nn::Centred, but no class derived from them.
bool is_container(const torch::nn::Module& module);

/// The tree of containers that starts at `root`, with the modules in them replaced.
///
/// `replace` is asked once for each module that is no container, with the path where it is
/// registered first; a module that is registered twice is replaced by one module, registered twice.
/// A container with a replaced module is built anew, with the same names and in the same mode; all
/// others, and the modules that are kept, are the very objects of `root`.
Part rebuild(const std::shared_ptr<torch::nn::Module>& root, const Replace& replace);

/// `name` in the module at `path`.
std::string joined(const std::string& path, const std::string& name);

}  // namespace decorr::nn
