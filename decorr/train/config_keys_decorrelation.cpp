#include "decorr/train/config_binding.h"

#include <algorithm>
#include <utility>

namespace decorr::train {
namespace {

// The methods without those in `others`.
std::vector<std::string> methods_except(const std::vector<std::string>& others) {
  std::vector<std::string> rest;
  for (const std::string& name : whitening::methods())
    if (std::count(others.begin(), others.end(), name) == 0) rest.push_back(name);
  return rest;
}

}  // namespace

std::vector<std::string> decorrelating_methods() { return methods_except({"none"}); }

std::vector<Binding> schedule_bindings(Schedule& schedule, const std::string& table,
                                       const std::string& unit, bool total_required,
                                       const std::vector<Condition>& conditions) {
  const auto only = [&](const char* kind) {
    std::vector<Condition> all = conditions;
    all.push_back({table + ".schedule", {kind}});
    return all;
  };
  const std::string whole_run = total_required ? "" : "; 0 is the whole run";
  return {Binding(table + ".schedule", &schedule.kind, "how the rate changes after the warm-up")
              .among({"constant", "step", "cosine"})
              .when(conditions),
          Binding(table + ".warmup", &schedule.warmup, unit + " of linear warm-up")
              .within(Range::at_least(0))
              .when(conditions),
          Binding(table + ".step_size", &schedule.step_size, unit + " between drops of the rate")
              .within(Range::at_least(1))
              .when(only("step"))
              .needed(),
          Binding(table + ".gamma", &schedule.gamma, "factor of a drop")
              .within(Range::share())
              .when(only("step")),
          Binding(table + ".total", &schedule.total,
                  unit + " after the warm-up until the rate is at its floor" + whole_run)
              .within(Range::at_least(total_required ? 1 : 0))
              .when(only("cosine"))
              .needed(total_required),
          Binding(table + ".floor", &schedule.floor, "last rate, as a share of the first")
              .within(Range::between(0, 1))
              .when(only("cosine"))};
}

std::vector<Binding> decorrelator_bindings(whitening::DecorrelatorOptions& options,
                                           const std::string& table) {
  const auto key = [&](const char* leaf) { return table + "." + leaf; };
  const std::vector<Condition> active{{key("method"), decorrelating_methods()}};
  const std::vector<std::string> exact{"zca", "pca", "cholesky", "newton-schulz"};
  // The methods but for `none`, `standardize` and those in `others`.
  const auto methods_but = [&](std::vector<std::string> others) {
    others.insert(others.end(), {"none", "standardize"});
    return std::vector<Condition>{{key("method"), methods_except(others)}};
  };
  std::vector<std::string> dense = exact;
  dense.push_back("lateral");
  const std::vector<Condition> full = methods_but({}), learnt = methods_but(exact),
                               low_rank = methods_but(dense);
  const std::vector<Condition> whitens{{key("method"), exact}};
  const std::vector<Condition> dbp{{key("method"), {"dbp"}}};
  const std::vector<Condition> lateral{{key("method"), {"lateral"}}};
  std::vector<Binding> all{
      Binding(key("method"), &options.method, "rule that learns the decorrelation matrix R")
          .among(whitening::methods()),
      Binding(key("structure"), &options.structure,
              "features that decorrelate each other: full, block(SIZE), or channel (convolutions)")
          .accepting([](const std::string& value) {
            whitening::DecorrelatorOptions probe;
            probe.structure = value;
            probe.validate();
          })
          .when(active),
      Binding(key("lr"), &options.lr, "decorrelation learning rate an update")
          .within(Range::positive())
          .when(learnt)};
  for (Binding& binding : schedule_bindings(options.schedule, table, "updates", true, learnt))
    all.push_back(std::move(binding));
  const std::vector<Binding> rest{
      Binding(key("sample_fraction"), &options.sample_fraction,
              "share of the rows an update samples")
          .within(Range::share())
          .when(active),
      Binding(key("max_samples"), &options.max_samples, "upper bound of the sampled rows; 0: none")
          .within(Range::at_least(0))
          .when(active),
      Binding(key("sampling"), &options.sampling, "rows drawn by global index, or the first rows")
          .among({"global", "first"})
          .when(active),
      Binding(key("update_every"), &options.update_every, "steps between updates")
          .within(Range::at_least(1))
          .when(active),
      Binding(key("damping"), &options.damping, "damping in units of the input's mean variance")
          .within(Range::at_least(0))
          .when(active),
      Binding(key("gain"), &options.gain, "what keeps the size of the activity")
          .among({"energy", "published", "none"})
          .when(full),
      Binding(key("mean"), &options.mean, "mean subtracted in training")
          .among({"running", "batch"})
          .when(active),
      Binding(key("mean_momentum"), &options.mean_momentum,
              "weight of the newest batch in the running mean")
          .within(Range::share())
          .when(active),
      Binding(key("precision"), &options.precision,
              "of the products with R: as the weights are, or rounded to bfloat16")
          .among({"float32", "bf16"})
          .when(full),
      Binding(key("scale_free"), &options.scale_free, "make R independent of the input's scale")
          .when(learnt),
      Binding(key("function_preserving"), &options.function_preserving,
              "change W and b with R so that the layer's function stays")
          .when(active),
      Binding(key("guard"), &options.guard, "shorten steps that would turn a direction around")
          .when(low_rank),
      Binding(key("pad"), &options.pad,
              "convolutions: pad the raw input and then centre it, or pad the demeaned input")
          .among({"raw", "demeaned"})
          .when(active),
      Binding(key("kappa"), &options.kappa, "weight of unit variance against zero covariance")
          .within(Range::between(0, 1))
          .when(dbp),
      Binding(key("unit_variance"), &options.unit_variance, "learn unit variances too")
          .when(lateral),
      Binding(key("settling"), &options.settling,
              "explicit steps of the settling dynamics; 0: their fixed point")
          .within(Range::at_least(0))
          .when(lateral),
      Binding(key("refresh_every"), &options.refresh_every,
              "updates between new whitening matrices")
          .within(Range::at_least(1))
          .when(whitens),
      Binding(key("covariance_momentum"), &options.covariance_momentum,
              "least weight of the newest sample in the running covariance")
          .within(Range::share())
          .when(whitens),
      Binding(key("moments"), &options.moments,
              "what a new whitening matrix does to the optimizer's moments of the weights")
          .among({"transport", "keep", "reset"})
          .when(whitens)};
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

}  // namespace decorr::train
