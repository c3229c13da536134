#include "decorr/learning/rule.h"

#include "decorr/core/check.h"
#include "decorr/learning/backprop.h"
#include "decorr/learning/direct_feedback_alignment.h"
#include "decorr/learning/feedback_alignment.h"
#include "decorr/learning/kolen_pollack.h"
#include "decorr/learning/node_perturbation.h"
#include "decorr/learning/sign_symmetry.h"
#include "decorr/learning/weight_perturbation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace decorr::learning {
namespace {

struct Entry {
  std::string name;
  RuleFactory make;
};

// Rules whose error travels back through matrices of their own; they look at the network first.
template <typename R>
RuleFactory with_example() {
  return
      [](Network network, const Loss& loss, const RuleOptions& options, const at::Tensor& example) {
        return std::make_unique<R>(std::move(network), loss, options, example);
      };
}

template <typename R>
RuleFactory with_options() {
  return [](Network network, const Loss& loss, const RuleOptions& options,
            const at::Tensor& /*example*/) {
    return std::make_unique<R>(std::move(network), loss, options);
  };
}

std::vector<Entry>& entries() {
  static std::vector<Entry> list = {
      {"backprop",
       [](Network network, const Loss& loss, const RuleOptions&, const at::Tensor&) {
         return std::make_unique<Backprop>(std::move(network), loss);
       }},
      {"feedback-alignment", with_example<FeedbackAlignment>()},
      {"direct-feedback-alignment", with_example<DirectFeedbackAlignment>()},
      {"sign-symmetry", with_example<SignSymmetry>()},
      {"kolen-pollack", with_example<KolenPollack>()},
      {"node-perturbation", with_options<NodePerturbation>()},
      {"weight-perturbation", with_options<WeightPerturbation>()}};
  return list;
}

void check_entry(const std::string& key, const at::Tensor& own, const at::Tensor& loaded) {
  check_argument(loaded.defined() && loaded.sizes() == own.sizes() &&
                     loaded.scalar_type() == own.scalar_type(),
                 "[Rule] state {} must be {}[{}], got {}[{}]", key,
                 c10::toString(own.scalar_type()), fmt::join(own.sizes(), ", "),
                 loaded.defined() ? c10::toString(loaded.scalar_type()) : "nothing",
                 fmt::join(loaded.defined() ? loaded.sizes() : at::IntArrayRef(), ", "));
}

}  // namespace

std::map<std::string, at::Tensor> Rule::state_dict() const {
  std::map<std::string, at::Tensor> copies;
  for (const auto& [key, tensor] : state())
    copies.emplace(key, tensor.clone(at::MemoryFormat::Contiguous));
  return copies;
}

void Rule::load_state_dict(const std::map<std::string, at::Tensor>& loaded) {
  const std::map<std::string, at::Tensor> own = state();
  for (const auto& item : loaded)
    check_argument(own.count(item.first) > 0, "[Rule] state {} is unknown to this rule",
                   item.first);
  for (const auto& [key, tensor] : own) {
    check_argument(loaded.count(key) > 0, "[Rule] state {} is missing", key);
    check_entry(key, tensor, loaded.at(key));
  }
  const at::NoGradGuard no_grad;
  for (const auto& [key, tensor] : own) at::Tensor(tensor).copy_(loaded.at(key));
}

std::vector<std::string> rules() {
  std::vector<std::string> names;
  for (const Entry& entry : entries()) names.push_back(entry.name);
  return names;
}

void register_rule(const std::string& name, RuleFactory factory) {
  const std::vector<std::string> names = rules();
  check_argument(!name.empty(), "[register_rule] the name of a learning rule must not be empty");
  check_argument(std::find(names.begin(), names.end(), name) == names.end(),
                 "[register_rule] there is a learning rule \"{}\" already, choose another name",
                 name);
  entries().push_back({name, std::move(factory)});
}

std::unique_ptr<Rule> make_rule(const std::string& name, Network network, const Loss& loss,
                                const RuleOptions& options, const at::Tensor& example) {
  options.validate();
  for (const Entry& entry : entries())
    if (name == entry.name) return entry.make(std::move(network), loss, options, example);
  check_argument(false, "[learning] rule must be one of {}, got \"{}\"", fmt::join(rules(), ", "),
                 name);
  return nullptr;
}

}  // namespace decorr::learning
