#include "decorr/data/fetch/transfer.h"

#include "decorr/core/check.h"
#include "decorr/core/version.h"
#include "decorr/data/fetch/disk_space.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <curl/curl.h>
#include <exception>
#include <map>
#include <memory>

namespace decorr::data {
namespace {

constexpr long kSlow = 1000;  // bytes a second
constexpr long kRedirects = 10;

struct EasyCloser {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct ListCloser {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

CURL* new_handle() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* handle = ready == CURLE_OK ? curl_easy_init() : nullptr;
  check_runtime(handle != nullptr, "[fetch] libcurl does not start; check its installation");
  return handle;
}

std::string trimmed(std::string_view text) {
  const auto space = [](char letter) { return std::isspace(static_cast<unsigned char>(letter)); };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return std::string(text);
}

class Request {
 public:
  Request(const std::string& url, const RemoteFile& file, PartFile& part,
          const std::filesystem::path& folder, const DownloadOptions& options,
          const FetchEvents& events)
      : url_(url),
        file_(file),
        part_(part),
        folder_(folder),
        events_(events),
        handle_(new_handle()),
        offset_(part.size()) {
    set(CURLOPT_URL, url.c_str());
    set(CURLOPT_USERAGENT, (std::string("decorr/") + kVersion).c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kRedirects);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_timeout()));
    set(CURLOPT_LOW_SPEED_LIMIT, kSlow);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall_timeout()));
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_HEADERFUNCTION, &Request::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Request::on_bytes);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Request::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    if (offset_ > 0) ask_for_the_rest();
  }

  Transfer run() {
    const CURLcode code = curl_easy_perform(handle_.get());
    if (failure_) std::rethrow_exception(failure_);
    events_.check_stop();
    if (!refusal_.empty()) return {refusal_outcome_, refusal_, false};
    if (code != CURLE_OK) return failed(code);
    if (!begun_) begin();  // an empty file has no bytes that would begin it
    if (!refusal_.empty()) return {refusal_outcome_, refusal_, false};
    if (part_.size() < file_.bytes)
      return {kPasses, fmt::format("the answer ended at {} of {} bytes", part_.size(), file_.bytes),
              false};
    return {Transfer::Outcome::kWhole, "", resumed_};
  }

 private:
  static constexpr auto kPasses = Transfer::Outcome::kPasses;
  static constexpr auto kStays = Transfer::Outcome::kStays;
  static constexpr auto kWrong = Transfer::Outcome::kWrong;

  template <typename Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(handle_.get(), option, value);
    check_runtime(code == CURLE_OK,
                  "[fetch] libcurl does not take option {} ({}); install version 7.85 or newer",
                  static_cast<int>(option), curl_easy_strerror(code));
  }

  void ask_for_the_rest() {
    set(CURLOPT_RANGE, fmt::format("{}-", offset_).c_str());
    const std::string validator = part_.validator(url_);
    if (validator.empty()) return;
    headers_.reset(curl_slist_append(nullptr, ("If-Range: " + validator).c_str()));
    set(CURLOPT_HTTPHEADER, headers_.get());
  }

  // A failure that libcurl reports.
  Transfer failed(CURLcode code) {
    if (status() == 416) {  // nothing follows what the part has: it is whole, or of another file
      unsigned long long total = 0;
      const std::string range = header("content-range");
      if (std::sscanf(range.c_str(), "bytes */%llu", &total) == 1 && total == offset_)
        return {Transfer::Outcome::kWhole, "", true};
      part_.remove();
      return {kPasses, "the server has no such part", false};
    }
    if (code == CURLE_HTTP_RETURNED_ERROR) {
      const bool passes = status() >= 500 || status() == 408 || status() == 429;
      return {passes ? kPasses : kStays, fmt::format("HTTP status {}", status()), false};
    }
    const bool untrusted =
        code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
    const bool stays = untrusted || code == CURLE_UNSUPPORTED_PROTOCOL ||
                       code == CURLE_URL_MALFORMAT || code == CURLE_TOO_MANY_REDIRECTS;
    std::string reason = error_[0] != '\0' ? error_.data() : curl_easy_strerror(code);
    std::replace(reason.begin(), reason.end(), '\n', ' ');
    reason = trimmed(reason);
    if (untrusted) reason += " (install the package ca-certificates and check the clock)";
    return {stays ? kStays : kPasses, reason, false};
  }

  long status() const {
    long value = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &value);
    return value;
  }

  std::string header(const std::string& name) const {
    const auto found = headers_in_.find(name);
    return found == headers_in_.end() ? "" : found->second;
  }

  // The answer's first bytes are here: decides where they go. False if nowhere.
  bool begin() {
    begun_ = true;
    if (status() == 206 && offset_ > 0) {
      unsigned long long first = 0, last = 0, total = 0;
      const int fields = std::sscanf(header("content-range").c_str(), "bytes %llu-%llu/%llu",
                                     &first, &last, &total);
      const bool fits = fields >= 2 && first == offset_ &&
                        (fields == 2 || file_.bytes == 0 || total == file_.bytes);
      if (!fits) {
        part_.remove();
        return refuse("the server sent another part than asked for", kPasses);
      }
      resumed_ = true;
      total_ = fields == 3 ? total : file_.bytes;
      return true;
    }
    if (status() != 200) return refuse(fmt::format("HTTP status {}", status()), kStays);
    curl_off_t length = -1;
    curl_easy_getinfo(handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    total_ = length > 0 ? static_cast<std::uint64_t>(length) : file_.bytes;
    if (file_.bytes != 0 && total_ != file_.bytes)
      return refuse(fmt::format("it has {} bytes, expected {}", total_, file_.bytes), kWrong);
    check_free_space(folder_, total_, "to download " + file_.name);
    const std::string tag = header("etag");
    // A weak ETag does not tell whether the bytes are the same.
    part_.restart(url_, tag.rfind('"', 0) == 0 ? tag : header("last-modified"));
    if (offset_ > 0) events_.message(url_ + " sends the whole file: starting over");
    offset_ = 0;
    return true;
  }

  bool refuse(const std::string& reason, Transfer::Outcome outcome) {
    refusal_ = reason;
    refusal_outcome_ = outcome;
    return false;
  }

  bool take(std::string_view bytes) {
    if (!begun_ && !begin()) return false;
    if (file_.bytes != 0 && offset_ + bytes.size() > file_.bytes) {
      part_.remove();
      return refuse(fmt::format("it has more than {} bytes", file_.bytes), kWrong);
    }
    part_.append(bytes);
    offset_ += bytes.size();
    return true;
  }

  // Calls `work` for libcurl, through which no exception may pass.
  template <typename Work>
  bool guarded(Work work) {
    try {
      return work();
    } catch (...) {
      failure_ = std::current_exception();
      return false;
    }
  }

  static std::size_t on_header(char* line, std::size_t size, std::size_t count, void* self) {
    Request& request = *static_cast<Request*>(self);
    const std::string_view text(line, size * count);
    const bool good = request.guarded([&] {
      if (text.rfind("HTTP/", 0) == 0) request.headers_in_.clear();  // of a redirect
      const std::size_t colon = text.find(':');
      if (colon == std::string_view::npos) return true;
      std::string name = trimmed(text.substr(0, colon));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
      request.headers_in_[name] = trimmed(text.substr(colon + 1));
      return true;
    });
    return good ? size * count : 0;
  }

  static std::size_t on_bytes(char* bytes, std::size_t size, std::size_t count, void* self) {
    Request& request = *static_cast<Request*>(self);
    const bool good = request.guarded([&] { return request.take({bytes, size * count}); });
    return good ? size * count : CURL_WRITEFUNC_ERROR;
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    Request& request = *static_cast<Request*>(self);
    const bool good = request.guarded([&] {
      if (request.begun_)
        request.events_.progress(request.file_.name, request.offset_, request.total_);
      return !request.events_.stopping();
    });
    return good ? 0 : 1;
  }

  const std::string& url_;
  const RemoteFile& file_;
  PartFile& part_;
  const std::filesystem::path& folder_;
  const FetchEvents& events_;
  std::unique_ptr<CURL, EasyCloser> handle_;
  std::unique_ptr<curl_slist, ListCloser> headers_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::map<std::string, std::string> headers_in_;
  std::uint64_t offset_;  // bytes in the part
  std::uint64_t total_ = 0;
  bool begun_ = false, resumed_ = false;
  std::string refusal_;  // why the answer is not taken
  Transfer::Outcome refusal_outcome_ = kStays;
  std::exception_ptr failure_;
};

}  // namespace

Transfer transfer(const std::string& url, const RemoteFile& file, PartFile& part,
                  const std::filesystem::path& folder, const DownloadOptions& options,
                  const FetchEvents& events) {
  return Request(url, file, part, folder, options, events).run();
}

}  // namespace decorr::data
