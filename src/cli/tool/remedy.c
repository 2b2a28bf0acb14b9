/* See remedy.h. Codes are Redis's; the first row that fits counts. */
#include "cli/tool/remedy.h"

#include <stddef.h>

struct remedy {
    const char *part; /* of the error, at its start when `at_start` */
    bool at_start;
    const char *text;
};

static const struct remedy of_replies[] = {
    {"NOAUTH", true, "give the password: --url redis://:PASSWORD@HOST or LEAT_URL"},
    {"WRONGPASS", true, "check user and password of --url or LEAT_URL"},
    {"NOPERM", true, "the user of --url lacks a permission: ACL SETUSER on the server grants it"},
    {"NOGROUP", true,
     "`leat groups STREAM` lists the groups; `leat read STREAM --group G --consumer C --create` "
     "makes one"},
    {"WRONGTYPE", true,
     "the key holds something else: redis-cli TYPE KEY; `leat streams` lists streams"},
    {"MOVED", true, "the key lives on another node of the cluster: name the node above in --url"},
    {"CLUSTERDOWN", true, "the cluster has no node for this key at present; try again later"},
    {"READONLY", true, "this is a replica: name its primary in --url"},
    {"OOM", true, "the server is full: trim streams (`leat trim`) or raise its maxmemory"},
    {"MISCONF", true, "the server cannot write to its disk: see its log"},
    {"LOADING", true, "the server is starting; try again in a moment"},
    {"NOREPLICAS", true, "the server waits for its replicas; try again later"},
    {"unknown command", false,
     "this server does not have that command: streams need leat, Valkey, or Redis 5 or later"},
    {"equal or smaller than the target stream top item", false,
     "ids only grow: leave --id out, or give a larger one (`leat streams` shows the last)"},
    {"must be greater than 0-0", false, "the smallest id is 0-1"},
    {"no such key", false, "`leat streams` lists the streams; `leat add` makes one"},
    {"Invalid stream ID", false, "an id is written like 1795281361250-0"},
    {NULL, false, NULL},
};

static const struct remedy of_connections[] = {
    {"Connection refused", false,
     "does a server run there? `leat serve` starts one; --url names another"},
    {"No such file", false, "no socket is at that path: check --url, or the server's unixsocket"},
    {"Permission denied", false, "you may not use that socket: check its owner and mode"},
    {"timed out", false, "check host and port of --url, and any firewall in between"},
    {"No route", false, "check the host of --url, and the network"},
    {"Name or service", false, "check the host's name in --url"},
    {"name resolution", false, "check the host's name in --url, and the name server"},
    {"AUTH", true, "check user and password of --url or LEAT_URL"},
    {"NOAUTH", false, "give the password: --url redis://:PASSWORD@HOST or LEAT_URL"},
    {"SELECT", true, "check the database at the end of --url"},
    {"a URL", true, "write redis://HOST:PORT or unix:///PATH"},
    {"Protocol error", true, "what listens there does not speak the Redis protocol"},
    {NULL, false, NULL},
};

static const char *find(const struct remedy *rows, struct bytes error)
{
    for (; rows->part != NULL; rows++) {
        size_t len = strlen(rows->part);
        if (error.len < len) continue;
        bool fits = rows->at_start ? memcmp(error.data, rows->part, len) == 0
                                   : memmem(error.data, error.len, rows->part, len) != NULL;
        if (fits) return rows->text;
    }
    return NULL;
}

const char *remedy_for_reply(struct bytes error)
{
    return find(of_replies, error);
}

const char *remedy_for_connection(struct bytes error)
{
    return find(of_connections, error);
}
