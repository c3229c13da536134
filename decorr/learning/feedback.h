#pragma once

#include "decorr/learning/layers.h"
#include "decorr/learning/rule.h"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

// What the rules with feedback matrices share. Internal to learning/: not installed.
namespace decorr::learning {

/// Root mean square of the entries of `weights`; if they are all zero, that of LibTorch's initial
/// weights of the same shape.
double root_mean_square(const at::Tensor& weights);

/// A random matrix in the shape `sizes` and the type of `like` whose entries are drawn as `init`
/// says (`uniform` or `normal`) with root mean square `scale`.
at::Tensor random_matrix(at::IntArrayRef sizes, const at::Tensor& like, const std::string& init,
                         double scale, const RandomStream& random);

/// Backpropagates the error of a batch with `matrices[i]` in place of the weights of `layers[i]` on
/// the way back; undefined for layers that read the data. As Rule::accumulate(); `rule` is what
/// errors call the rule.
BatchResult accumulate_through(const std::vector<at::Tensor>& matrices,
                               const std::vector<TracedLayer>& layers, const Network& network,
                               const Loss& loss, const at::Tensor& input, const at::Tensor& target,
                               double weight, const std::string& rule);

/// The defined ones of `tensors`, one a layer, by `<path of the layer>.<name>`.
std::map<std::string, at::Tensor> by_path(const std::vector<TracedLayer>& layers,
                                          const std::vector<at::Tensor>& tensors,
                                          const std::string& name);

/// Index of the layer at `path`; the number of layers if there is none.
std::size_t index_of(const std::vector<TracedLayer>& layers, const std::string& path);

}  // namespace decorr::learning
