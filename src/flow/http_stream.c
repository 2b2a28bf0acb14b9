/* libcurl's multi interface on libevent, for one transfer.
 *
 * curl tells which sockets to watch and when to call it again; both become events, and each event
 * drives curl_multi_socket_action(). Callbacks of the body come from inside that call, where the
 * transfer must not be taken down; on_end comes from outside of it, where it may. */
#include "flow/http_stream.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/must.h"
#include "flow/http_why.h"

struct http_stream {
    struct event_base *base;
    struct event *timer;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct http_stream_options options; /* its strings are curl's copies, not kept here */
    char error[CURL_ERROR_SIZE];
    bool inside;    /* in a callback of curl's */
    bool head_done; /* on_head has been called */
    bool refused;
    bool has_location; /* of the head being read */
    bool chunked;
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;

static void global_init(void)
{
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static void end(struct http_stream *h, CURLcode code)
{
    curl_off_t length = -1, retry_after = 0;
    char why[512] = "";
    curl_easy_getinfo(h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(h->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (code != CURLE_OK) http_why(code, h->error, why, sizeof why);
    struct http_end e = {
        .orderly = code == CURLE_OK,
        .complete = code == CURLE_OK && (h->chunked || length >= 0),
        .refused = h->refused,
        .retry_after_s = retry_after,
        .why = why,
    };
    h->options.on_end(h->options.arg, &e);
}

static void act(struct http_stream *h, curl_socket_t fd, int mask)
{
    int running = 0, left = 0;
    must(!h->inside);
    h->inside = true;
    curl_multi_socket_action(h->multi, fd, mask, &running);
    h->inside = false;
    CURLMsg *m = curl_multi_info_read(h->multi, &left);
    if (m != NULL && m->msg == CURLMSG_DONE) end(h, m->data.result); /* h may be gone after this */
}

static void on_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    int mask =
        ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0);
    act(arg, fd, mask);
}

static void on_timer_due(evutil_socket_t fd, short what, void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *at)
{
    struct http_stream *h = arg;
    if (at != NULL) event_free(at);
    struct event *ev = NULL;
    if (what != CURL_POLL_REMOVE) {
        short flags = EV_PERSIST;
        if (what & CURL_POLL_IN) flags |= EV_READ;
        if (what & CURL_POLL_OUT) flags |= EV_WRITE;
        ev = event_new(h->base, fd, flags, on_socket_ready, h);
        must(ev != NULL && event_add(ev, NULL) == 0);
    }
    curl_multi_assign(h->multi, fd, ev);
    return 0;
}

static int watch_time(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_stream *h = arg;
    struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    if (timeout_ms < 0) {
        evtimer_del(h->timer);
    } else {
        evtimer_add(h->timer, &tv);
    }
    return 0;
}

static bool starts_with(struct bytes line, const char *word)
{
    size_t n = strlen(word);
    return line.len >= n && strncasecmp(line.data, word, n) == 0;
}

/* The head is complete. Of heads on the way (100 Continue, a redirect that is followed) nothing is
 * said; false refuses the response. */
static bool finish_head(struct http_stream *h)
{
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(h->easy, CURLINFO_CONTENT_TYPE, &type);
    if (status < 200 || (status >= 300 && status < 400 && h->has_location)) return true;
    struct http_head head = {status, bytes_of(type != NULL ? type : "")};
    h->head_done = true;
    h->refused = !h->options.on_head(h->options.arg, &head);
    return !h->refused;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct http_stream *h = arg;
    struct bytes line = {data, size * n};
    if (h->head_done) return line.len; /* a trailer */
    h->options.on_alive(h->options.arg);
    if (starts_with(line, "HTTP/")) {
        h->has_location = h->chunked = false;
    } else if (starts_with(line, "Location:")) {
        h->has_location = true;
    } else if (starts_with(line, "Transfer-Encoding:")) {
        h->chunked = true;
    } else if (line.len <= 2 && !finish_head(h)) {
        return 0;
    }
    return line.len;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
    struct http_stream *h = arg;
    h->options.on_body(h->options.arg, (struct bytes){data, size * n});
    return size * n;
}

static void set_headers(struct http_stream *h, const struct http_stream_options *o)
{
    char line[256];
    snprintf(line, sizeof line, "Accept: %s", o->accept);
    h->headers = curl_slist_append(h->headers, line);
    h->headers = curl_slist_append(h->headers, "Cache-Control: no-cache");
    if (o->last_event_id != NULL && o->last_event_id[0] != '\0') {
        size_t size = strlen(o->last_event_id) + 32;
        char *id = mem_alloc(size);
        snprintf(id, size, "Last-Event-ID: %s", o->last_event_id);
        h->headers = curl_slist_append(h->headers, id);
        mem_free(id);
    }
    must(h->headers != NULL);
    curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
}

/* curl itself does not look at OpenSSL's variable, which is where people with a certificate
 * authority of their own set it. */
static void set_trust(CURL *easy)
{
    const char *file = getenv("SSL_CERT_FILE");
    if (file != NULL && file[0] != '\0') curl_easy_setopt(easy, CURLOPT_CAINFO, file);
}

static void set_transport(CURL *easy, const struct http_stream_options *o)
{
    curl_easy_setopt(easy, CURLOPT_URL, o->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, o->user_agent);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that curl can decode */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)HTTP_BODY_MAX);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name lookup to end */
}

static void set_callbacks(struct http_stream *h)
{
    curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
    curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, h);
    curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, watch_time);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
}

struct http_stream *http_stream_new(struct event_base *base, const struct http_stream_options *o)
{
    pthread_once(&global_once, global_init);
    struct http_stream *h = mem_calloc(sizeof *h);
    h->base = base;
    h->options = *o;
    h->timer = evtimer_new(base, on_timer_due, h);
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    must(h->timer != NULL && h->multi != NULL && h->easy != NULL);
    set_transport(h->easy, o);
    set_trust(h->easy);
    set_headers(h, o);
    set_callbacks(h);
    must(curl_multi_add_handle(h->multi, h->easy) == CURLM_OK);
    return h;
}

void http_stream_free(struct http_stream *h)
{
    if (h == NULL) return;
    must(!h->inside);
    curl_multi_remove_handle(h->multi, h->easy);
    curl_easy_cleanup(h->easy);
    curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    event_free(h->timer);
    mem_free(h);
}

void http_stream_pause(struct http_stream *h)
{
    curl_easy_pause(h->easy, CURLPAUSE_RECV);
}

void http_stream_resume(struct http_stream *h)
{
    must(!h->inside);
    h->inside = true;
    curl_easy_pause(h->easy, CURLPAUSE_CONT);
    h->inside = false;
}

void http_url_redact(const char *url, char *out)
{
    const char *host = strstr(url, "://");
    host = host != NULL ? host + 3 : url;
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    size_t scheme = (size_t)(host - url);
    memcpy(out, url, scheme);
    strcpy(out + scheme, at != NULL ? at + 1 : host);
}
