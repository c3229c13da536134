#pragma once

#include "decorr/whitening/rule.h"

#include <memory>

/// The rules, each in a file of its own name.
namespace decorr::whitening {

std::shared_ptr<const Rule> make_norm_preserving(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_copi(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_dbp(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_relative_gradient(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_lateral(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_zca(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_pca(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_cholesky(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_newton_schulz(const DecorrelatorOptions& options);
std::shared_ptr<const Rule> make_standardize(const DecorrelatorOptions& options);

}  // namespace decorr::whitening
