/* Sentences about what went wrong between us and an HTTP peer. They say what happened, then what
 * helps, so that nobody has to look up a number. */
#include "flow/http_why.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code;
    const char *what, *remedy;
} transport[] = {
    {CURLE_COULDNT_RESOLVE_HOST, "the host name is not known",
     "check the URL, the network and the name server"},
    {CURLE_COULDNT_RESOLVE_PROXY, "the proxy's name is not known",
     "check https_proxy, http_proxy and no_proxy in the environment"},
    {CURLE_COULDNT_CONNECT, "nobody answers there",
     "check that the server runs and that host, port and proxy settings are right"},
    {CURLE_OPERATION_TIMEDOUT, "the connection took too long",
     "check the network, or raise connect_timeout"},
    {CURLE_UNSUPPORTED_PROTOCOL, "only http:// and https:// are read", "correct the URL"},
    {CURLE_URL_MALFORMAT, "this is not a URL", "it should look like https://host/path"},
    {CURLE_TOO_MANY_REDIRECTS, "it redirects more than 5 times",
     "use the address where the redirects lead to"},
    {CURLE_PEER_FAILED_VERIFICATION, "its TLS certificate is not trusted",
     "check the host name, this machine's clock and the package ca-certificates; SSL_CERT_FILE "
     "names an "
     "authority of your own"},
    {CURLE_SSL_CACERT_BADFILE, "the trusted certificates cannot be read",
     "install the package ca-certificates"},
    {CURLE_SSL_CONNECT_ERROR, "TLS could not be agreed on",
     "check that the port speaks TLS, else use http://"},
    {CURLE_GOT_NOTHING, "the peer closed the connection without an answer",
     "check that the port speaks HTTP"},
    {CURLE_RECV_ERROR, "the connection broke", "it is tried again by itself"},
    {CURLE_SEND_ERROR, "the connection broke", "it is tried again by itself"},
    {CURLE_PARTIAL_FILE, "the connection broke in the middle of the response",
     "it is tried again by itself"},
    {CURLE_BAD_CONTENT_ENCODING, "the compressed response is damaged",
     "if this stays, report it to who runs the server"},
    {CURLE_WEIRD_SERVER_REPLY, "the answer is not HTTP", "check host and port"},
};

void http_why(int code, const char *detail, char *ret_text, size_t size)
{
    /* What is not HTTP is taken for its version 0.9, which had no head. */
    if (strstr(detail, "HTTP/0.9") != NULL) code = CURLE_WEIRD_SERVER_REPLY;
    const char *what = curl_easy_strerror((CURLcode)code);
    const char *remedy = "it is tried again by itself";
    for (size_t i = 0; i < sizeof transport / sizeof *transport; i++) {
        if (transport[i].code != code) continue;
        what = transport[i].what;
        remedy = transport[i].remedy;
        break;
    }
    if (detail[0] != '\0') {
        snprintf(ret_text, size, "%s (%s); %s", what, detail, remedy);
    } else {
        snprintf(ret_text, size, "%s; %s", what, remedy);
    }
}

static const char *remedy_of(long status)
{
    switch (status) {
    case 204:
        return "the server has no more events and wants no reconnection; it is asked again, seldom";
    case 401:
        return "it wants credentials: put them into the URL as https://user:password@host/";
    case 403:
        return "it refuses us: it may want credentials, or a user_agent that says who you are";
    case 404:
    case 410:
        return "there is nothing at this address: check the path of the URL";
    case 407:
        return "the proxy wants credentials: put them into https_proxy or http_proxy";
    case 406:
    case 415:
        return "it does not serve this format: check the source's type";
    case 429:
        return "we ask too often: we wait as long as it says";
    case 503:
        return "it is overloaded or being serviced: we wait as long as it says";
    default:
        if (status >= 500) return "the server is in trouble: it is tried again by itself";
        if (status >= 400) return "the server does not accept the request: check the URL";
        return "that is no stream: check the URL";
    }
}

void http_why_status(long status, char *ret_text, size_t size)
{
    snprintf(ret_text, size, "the answer is HTTP %ld; %s", status, remedy_of(status));
}
