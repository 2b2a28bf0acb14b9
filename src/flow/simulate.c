/* Makes simulated recent changes. Weights, shares of kinds and field sets are those of a recorded
 * stretch of the real feed; nothing else of it is here: titles, users and comments are invented. */
#include "flow/simulate.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"

struct wiki {
    const char *domain;
    const char *name; /* the field `wiki` */
    unsigned weight;
};

/* The busiest first. */
static const struct wiki wikis[] = {
    {"www.wikidata.org", "wikidatawiki", 4100},
    {"commons.wikimedia.org", "commonswiki", 3400},
    {"en.wikipedia.org", "enwiki", 1300},
    {"ru.wikipedia.org", "ruwiki", 300},
    {"fr.wikipedia.org", "frwiki", 300},
    {"de.wikipedia.org", "dewiki", 260},
    {"es.wikipedia.org", "eswiki", 200},
    {"it.wikipedia.org", "itwiki", 180},
    {"zh.wikipedia.org", "zhwiki", 130},
    {"ja.wikipedia.org", "jawiki", 120},
    {"hu.wiktionary.org", "huwiktionary", 100},
    {"en.wiktionary.org", "enwiktionary", 90},
    {"pl.wikipedia.org", "plwiki", 85},
    {"hy.wikipedia.org", "hywiki", 80},
    {"pt.wikipedia.org", "ptwiki", 75},
    {"lmo.wikipedia.org", "lmowiki", 65},
    {"az.wikipedia.org", "azwiki", 60},
    {"uk.wikipedia.org", "ukwiki", 60},
    {"www.mediawiki.org", "mediawikiwiki", 50},
    {"ko.wikipedia.org", "kowiki", 47},
    {"eo.wikipedia.org", "eowiki", 45},
    {"tr.wikipedia.org", "trwiki", 45},
    {"nl.wiktionary.org", "nlwiktionary", 44},
    {"nl.wikipedia.org", "nlwiki", 40},
    {"ru.wikiquote.org", "ruwikiquote", 38},
    {"ast.wikipedia.org", "astwiki", 36},
    {"fi.wikipedia.org", "fiwiki", 32},
    {"ar.wikipedia.org", "arwiki", 30},
    {"he.wikipedia.org", "hewiki", 29},
    {"fa.wikipedia.org", "fawiki", 27},
    {"id.wikipedia.org", "idwiki", 25},
    {"nn.wikipedia.org", "nnwiki", 25},
    {"meta.wikimedia.org", "metawiki", 24},
    {"sr.wikipedia.org", "srwiki", 24},
    {"bn.wikipedia.org", "bnwiki", 24},
    {"fr.wikisource.org", "frwikisource", 23},
    {"no.wikipedia.org", "nowiki", 23},
    {"pl.wiktionary.org", "plwiktionary", 22},
    {"simple.wikipedia.org", "simplewiki", 21},
    {"sv.wikipedia.org", "svwiki", 21},
    {"hu.wikipedia.org", "huwiki", 21},
    {"de.wiktionary.org", "dewiktionary", 17},
    {"bg.wikipedia.org", "bgwiki", 16},
    {"fr.wiktionary.org", "frwiktionary", 15},
    {"ca.wikipedia.org", "cawiki", 15},
    {"sl.wikipedia.org", "slwiki", 14},
    {"eu.wikipedia.org", "euwiki", 13},
    {"cs.wikipedia.org", "cswiki", 12},
    {"ta.wikipedia.org", "tawiki", 11},
    {"en.wikibooks.org", "enwikibooks", 9},
    {"ml.wikipedia.org", "mlwiki", 9},
    {"el.wikipedia.org", "elwiki", 8},
    {"lt.wikipedia.org", "ltwiki", 8},
    {"de.wikisource.org", "dewikisource", 8},
    {"species.wikimedia.org", "specieswiki", 7},
    {"ru.wiktionary.org", "ruwiktionary", 7},
    {"incubator.wikimedia.org", "incubatorwiki", 6},
    {"vi.wikipedia.org", "viwiki", 6},
    {"gl.wikipedia.org", "glwiki", 6},
    {"it.wikisource.org", "itwikisource", 4},
};
enum { WIKIS = sizeof wikis / sizeof *wikis };

enum kind { KIND_EDIT, KIND_NEW, KIND_LOG, KIND_CATEGORIZE };
static const char *const kind_names[] = {"edit", "new", "log", "categorize"};

struct simulator {
    struct rng rng;
    int rate;
    double mood; /* the rate's drift, 0.5 to 1.5 */
    unsigned weights;
    int64_t id, offset, revision;
    struct buf id_text, data;
};

struct simulator *simulator_new(uint64_t seed, int rate)
{
    struct simulator *s = mem_calloc(sizeof *s);
    rng_seed(&s->rng, seed);
    s->rate = rate < 1 ? 1 : rate > 100000 ? 100000 : rate;
    s->mood = 1;
    for (size_t i = 0; i < WIKIS; i++) s->weights += wikis[i].weight;
    s->id = 1000000000;
    s->offset = 4000000000;
    s->revision = 1800000000;
    return s;
}

void simulator_free(struct simulator *s)
{
    if (s == NULL) return;
    buf_fini(&s->id_text);
    buf_fini(&s->data);
    mem_free(s);
}

const char *simulator_domain(size_t index)
{
    return index < WIKIS ? wikis[index].domain : NULL;
}

int64_t simulator_gap_us(struct simulator *s)
{
    s->mood += (rng_unit(&s->rng) - 0.5) * 0.05;
    if (s->mood < 0.5) s->mood = 0.5;
    if (s->mood > 1.5) s->mood = 1.5;
    double seconds = -log(1 - rng_unit(&s->rng)) / (s->rate * s->mood);
    return (int64_t)(seconds * 1e6);
}

static const struct wiki *pick_wiki(struct simulator *s)
{
    uint64_t n = rng_below(&s->rng, s->weights);
    size_t i = 0;
    while (n >= wikis[i].weight) n -= wikis[i++].weight;
    return &wikis[i];
}

static enum kind pick_kind(struct simulator *s, const struct wiki *w)
{
    uint64_t n = rng_below(&s->rng, 100);
    bool commons = w == &wikis[1];
    if (n < (commons ? 70 : 12)) return KIND_CATEGORIZE;
    if (n < (commons ? 73 : 18)) return KIND_NEW;
    if (n < (commons ? 77 : 24)) return KIND_LOG;
    return KIND_EDIT;
}

/* 1 to n, small numbers much more often: a few pages and users are busy, most are not. */
static unsigned pick_skewed(struct simulator *s, unsigned n)
{
    double u = rng_unit(&s->rng);
    return 1 + (unsigned)(u * u * u * n);
}

static void put_uuid(struct simulator *s, struct buf *out)
{
    uint64_t a = rng_next(&s->rng), b = rng_next(&s->rng);
    buf_printf(out, "%08x-%04x-4%03x-%04x-%012llx", (unsigned)(a >> 32),
               (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff,
               0x8000 | ((unsigned)(b >> 48) & 0x3fff), (unsigned long long)b & 0xffffffffffff);
}

static void format_time(int64_t unix_s, char ret[24])
{
    time_t t = unix_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(ret, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

struct page {
    const struct wiki *wiki;
    enum kind kind;
    int namespace;
    char title[64], path[64]; /* the path has underscores */
};

static void pick_page(struct simulator *s, struct page *p)
{
    unsigned n = pick_skewed(s, 5000);
    const char *what = "Simulated page";
    p->wiki = pick_wiki(s);
    p->kind = pick_kind(s, p->wiki);
    p->namespace = 0;
    if (p->kind == KIND_CATEGORIZE) {
        p->namespace = 14;
        what = "Category:Simulated category";
    } else if (p->wiki == &wikis[1]) {
        p->namespace = 6;
        what = "File:Simulated file";
    } else if (p->wiki == &wikis[0]) {
        what = "Simulated item";
    } else if (rng_below(&s->rng, 10) == 0) {
        p->namespace = 1;
        what = "Talk:Simulated page";
    }
    snprintf(p->title, sizeof p->title, "%s %u", what, n);
    strcpy(p->path, p->title);
    for (char *c = p->path; *c != '\0'; c++) {
        if (*c == ' ') *c = '_';
    }
}

static void put_meta(struct simulator *s, const struct page *p, int64_t unix_s)
{
    char dt[24];
    format_time(unix_s, dt);
    struct buf *out = &s->data;
    buf_printf(out, "\"meta\":{\"uri\":\"https://%s/wiki/%s\",\"request_id\":\"", p->wiki->domain,
               p->path);
    put_uuid(s, out);
    buf_printf(out, "\",\"id\":\"");
    put_uuid(s, out);
    buf_printf(out,
               "\",\"dt\":\"%s\",\"domain\":\"%s\",\"stream\":\"mediawiki.recentchange\","
               "\"topic\":\"eqiad.mediawiki.recentchange\",\"partition\":0,\"offset\":%lld}",
               dt, p->wiki->domain, (long long)s->offset++);
}

/* What only changes of pages have: sizes and revisions; a new page has no old ones. */
static void put_change(struct simulator *s, enum kind kind)
{
    if (kind != KIND_EDIT && kind != KIND_NEW) return;
    struct buf *out = &s->data;
    long long old_length = 200 + (long long)rng_below(&s->rng, 40000);
    long long new_length = old_length + (long long)rng_below(&s->rng, 600) - 150;
    long long revision = s->revision += 1 + (long long)rng_below(&s->rng, 3);
    buf_printf(out, ",\"minor\":%s", rng_below(&s->rng, 4) == 0 ? "true" : "false");
    if (kind == KIND_NEW) {
        buf_printf(out, ",\"length\":{\"new\":%lld},\"revision\":{\"new\":%lld}", new_length,
                   revision);
    } else {
        buf_printf(out,
                   ",\"length\":{\"old\":%lld,\"new\":%lld},\"revision\":{\"old\":%lld,"
                   "\"new\":%lld}",
                   old_length, new_length, revision - 1 - (long long)rng_below(&s->rng, 9000),
                   revision);
    }
}

static void put_comments(struct simulator *s, const struct page *p, char *comment,
                         struct buf *parsed)
{
    unsigned n = pick_skewed(s, 400);
    if (p->kind == KIND_CATEGORIZE) {
        sprintf(comment, "[[:Simulated page %u]] added to category", n);
        buf_printf(parsed,
                   "<a href=\\\"/wiki/Simulated_page_%u\\\" title=\\\"Simulated page %u\\\">"
                   "Simulated page %u</a> added to category",
                   n, n, n);
    } else {
        sprintf(comment, "/* Simulated section %u */ a simulated change", n % 20);
        buf_printf(parsed,
                   "<span dir=\\\"auto\\\"><span class=\\\"autocomment\\\">"
                   "<a href=\\\"/wiki/%s#Simulated_section_%u\\\" title=\\\"%s\\\">"
                   "\u2192Simulated section %u</a>: </span> a simulated change</span>",
                   p->path, n % 20, p->title, n % 20);
    }
}

static void put_user(struct simulator *s)
{
    if (rng_below(&s->rng, 10) < 3) {
        buf_printf(&s->data, "\"user\":\"Simulated bot %u\",\"bot\":true", pick_skewed(s, 40));
    } else {
        buf_printf(&s->data, "\"user\":\"Simulated user %u\",\"bot\":false", pick_skewed(s, 2000));
    }
}

static void put_event(struct simulator *s, int64_t unix_s)
{
    struct page p;
    char comment[128];
    struct buf parsed = {0}, *out = &s->data;
    pick_page(s, &p);
    put_comments(s, &p, comment, &parsed);
    buf_printf(out, "{\"$schema\":\"/mediawiki/recentchange/1.0.0\",");
    put_meta(s, &p, unix_s);
    if (p.kind != KIND_LOG) buf_printf(out, ",\"id\":%lld", (long long)s->id++);
    buf_printf(out, ",\"type\":\"%s\",\"namespace\":%d,\"title\":\"%s\",\"comment\":\"%s\"",
               kind_names[p.kind], p.namespace, p.title, comment);
    buf_printf(out, ",\"timestamp\":%lld,", (long long)unix_s);
    put_user(s);
    put_change(s, p.kind);
    buf_printf(out,
               ",\"server_url\":\"https://%s\",\"server_name\":\"%s\",\"server_script_path\":\"/w\""
               ",\"wiki\":\"%s\",\"parsedcomment\":\"",
               p.wiki->domain, p.wiki->domain, p.wiki->name);
    buf_put(out, buf_bytes(&parsed));
    buf_printf(out, "\",\"simulated\":true}");
    buf_fini(&parsed);
}

/* Events of one second share an id, as in the feed; some are a second or two late, so that their
 * times run backwards, as in the feed. */
void simulator_next(struct simulator *s, int64_t now_ms, struct simulator_event *ret)
{
    static const int late_s[] = {0, 0, 0, 0, 1, 1, 2, 3};
    int64_t unix_s = now_ms / 1000 - late_s[rng_below(&s->rng, 8)];
    s->id_text.len = 0;
    s->data.len = 0;
    buf_printf(&s->id_text,
               "[{\"topic\":\"eqiad.mediawiki.recentchange\",\"partition\":0,\"timestamp\":%lld},"
               "{\"topic\":\"codfw.mediawiki.recentchange\",\"partition\":0,\"offset\":-1}]",
               (long long)unix_s * 1000 + 1);
    put_event(s, unix_s);
    *ret = (struct simulator_event){buf_bytes(&s->id_text), buf_bytes(&s->data)};
}
